// Package http1test is the two ends of an exchange in tests: the certificates
// of a small nation, and an insurer that a test scripts byte by byte.
package http1test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// A FarEnd is an insurer, read by net/http and answered by a script.
type FarEnd struct {
	t        testing.TB
	ln       net.Listener
	Accepted atomic.Int32 // connections

	mu     sync.Mutex
	got    []Got
	script func(c net.Conn, r Got) // writes the answer; nil: AnswerOK
	conns  map[net.Conn]bool
	wg     sync.WaitGroup
}

// A Got is one request that came.
type Got struct {
	*http.Request
	Body []byte // read whole
}

// New starts a FarEnd, which ends with the test.
func New(t testing.TB) *FarEnd {
	t.Helper()
	w := Certs()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{w.Far.TLS()}, ClientAuth: tls.RequireAnyClientCert,
	})
	if err != nil {
		t.Fatal(err)
	}
	f := &FarEnd{t: t, ln: ln, conns: map[net.Conn]bool{}}
	f.wg.Go(f.run)
	t.Cleanup(f.Close)
	return f
}

// Close ends every connection and the listener.
func (f *FarEnd) Close() {
	f.ln.Close()
	f.mu.Lock()
	for c := range f.conns {
		c.Close()
	}
	f.mu.Unlock()
	f.wg.Wait()
}

// Port is where it listens.
func (f *FarEnd) Port() string { _, p, _ := net.SplitHostPort(f.ln.Addr().String()); return p }

// URL is its address.
func (f *FarEnd) URL() string { return "https://" + FarName + ":" + f.Port() + "/services/roc?x=1" }

func (f *FarEnd) run() {
	for {
		c, err := f.ln.Accept()
		if err != nil {
			return
		}
		f.Accepted.Add(1)
		f.mu.Lock()
		f.conns[c] = true
		f.mu.Unlock()
		f.wg.Go(func() { f.serve(c) })
	}
}

func (f *FarEnd) serve(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	for {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		f.mu.Lock()
		f.got = append(f.got, Got{req, body})
		script := f.script
		f.mu.Unlock()
		if script == nil {
			script = AnswerOK
		}
		script(c, Got{req, body})
	}
}

// OK is the usual answer.
const OK = `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><ok/></s:Body></s:Envelope>`

// Fault is an answer that is a fault.
const Fault = `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><s:Fault/></s:Body></s:Envelope>`

// AnswerOK is the usual answer: 200 and OK.
func AnswerOK(c net.Conn, _ Got) { io.WriteString(c, Raw(200, OK)) }

// Raw is an answer with a Content-Length.
func Raw(status int, body string, lines ...string) string {
	return fmt.Sprintf("HTTP/1.1 %d X\r\nContent-Type: text/xml; charset=utf-8\r\nContent-Length: %d\r\n%s\r\n%s",
		status, len(body), strings.Join(append(lines, ""), "\r\n"), body)
}

// Says makes the far end answer each request with these bytes.
func (f *FarEnd) Says(bytes string) {
	f.Does(func(c net.Conn, _ Got) { io.WriteString(c, bytes) })
}

// Does makes it answer each request by that script.
func (f *FarEnd) Does(script func(net.Conn, Got)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.script = script
}

// Received is what came so far.
func (f *FarEnd) Received() []Got {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Got(nil), f.got...)
}

// Forget drops what came so far.
func (f *FarEnd) Forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.got = nil
}

// HangUp closes every connection that is open.
func (f *FarEnd) HangUp() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.conns {
		c.Close()
		delete(f.conns, c)
	}
}
