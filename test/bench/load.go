package main

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A load is connections kept alive that send the same request again and again.
type load struct {
	request []byte
	conns   []*tls.Conn
	readers []*bufio.Reader
}

func newLoad(address string, request []byte, config *tls.Config, n int) (*load, error) {
	l := &load{request: request}
	for range n {
		raw, err := net.DialTimeout("tcp", address, 5*time.Second)
		if err != nil {
			l.close()
			return nil, err
		}
		c := tls.Client(raw, config)
		if err := c.Handshake(); err != nil {
			l.close()
			return nil, err
		}
		l.conns = append(l.conns, c)
		l.readers = append(l.readers, bufio.NewReaderSize(c, 32<<10))
	}
	return l, nil
}

func (l *load) close() {
	for _, c := range l.conns {
		c.Close()
	}
}

// run sends on every connection for that long, and returns how many exchanges
// were answered. An answer that is not HTTP 200 is an error: there is no use
// in measuring refusals.
func (l *load) run(d time.Duration) (int, error) {
	until := time.Now().Add(d)
	counts, errs := make([]int, len(l.conns)), make([]error, len(l.conns))
	var wg sync.WaitGroup
	for i := range l.conns {
		wg.Go(func() {
			for time.Now().Before(until) && errs[i] == nil {
				errs[i] = l.exchange(i)
				counts[i]++
			}
		})
	}
	wg.Wait()
	total := 0
	for _, n := range counts {
		total += n
	}
	return total, cmp.Or(errs...) // one says enough
}

func (l *load) exchange(i int) error {
	if _, err := l.conns[i].Write(l.request); err != nil {
		return err
	}
	status, body, err := readMessage(l.readers[i])
	if err != nil {
		return err
	}
	if !strings.HasPrefix(status, "HTTP/1.1 200") {
		return fmt.Errorf("answered %q: %s", status, body)
	}
	return nil
}

// readMessage reads one HTTP/1.1 message with a Content-Length, and returns
// its first line and its body. The body is good until the next read.
func readMessage(r *bufio.Reader) (first string, body []byte, err error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return "", nil, err
	}
	first = strings.TrimRight(string(line), "\r\n")
	length := -1
	for {
		line, err = r.ReadSlice('\n')
		if err != nil {
			return "", nil, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte{':'})
		if bytes.EqualFold(name, []byte("Content-Length")) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return "", nil, err
			}
		}
	}
	if length < 0 {
		return "", nil, fmt.Errorf("%q came without a Content-Length", first)
	}
	if length <= r.Size() {
		body, err = r.Peek(length)
		if err == nil {
			_, err = r.Discard(length)
		}
		return first, body, err
	}
	body = make([]byte, length)
	_, err = io.ReadFull(r, body)
	return first, body, err
}

// serve answers every request on l with the same bytes, until l is closed.
func serve(l net.Listener, answer []byte) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			r := bufio.NewReaderSize(c, 32<<10)
			for {
				if _, _, err := readMessage(r); err != nil {
					return
				}
				if _, err := c.Write(answer); err != nil {
					return
				}
			}
		}()
	}
}
