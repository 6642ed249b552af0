package revocation_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// A line is one connection: a question each second, and a reader that sees at
// once when it ends.
type line struct {
	conn *tls.Conn
	in   *bufio.Reader
	stop chan struct{}
	both sync.WaitGroup

	mu  sync.Mutex // guards end
	end time.Time
}

var question = &http.Request{Method: http.MethodHead}

const questionText = "HEAD /roc?wsdl HTTP/1.1\r\nHost: rpn\r\n\r\n"

// openLine connects and asks once: it is an error not to be served.
func openLine(address string, config *tls.Config) (*line, error) {
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 20 * time.Second}, "tcp", address, config)
	if err != nil {
		return nil, err
	}
	l := &line{conn: conn, in: bufio.NewReader(conn), stop: make(chan struct{})}
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	if err = l.ask(); err == nil {
		err = l.read()
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	conn.SetDeadline(time.Time{})
	return l, nil
}

func (l *line) ask() error {
	_, err := io.WriteString(l.conn, questionText)
	return err
}

func (l *line) read() error {
	answer, err := http.ReadResponse(l.in, question)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("HTTP status %d", answer.StatusCode)
	}
	return nil
}

func (l *line) start(after time.Duration) {
	l.both.Go(func() {
		for l.read() == nil {
		}
		l.mu.Lock()
		l.end = time.Now()
		l.mu.Unlock()
		l.conn.NetConn().Close()
	})
	l.both.Go(func() {
		timer := time.NewTimer(after)
		defer timer.Stop()
		for {
			select {
			case <-l.stop:
				return
			case <-timer.C:
			}
			if l.ask() != nil {
				return
			}
			timer.Reset(time.Second)
		}
	})
}

// ended says when the connection ended.
func (l *line) ended() (time.Time, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.end, !l.end.IsZero()
}

func (l *line) close() {
	close(l.stop)
	l.conn.NetConn().Close()
	l.both.Wait()
}
