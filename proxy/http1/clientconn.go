package http1

import (
	"crypto/x509"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// A clientConn is one connection of an establishment. It stands between the socket
// and fasthttp: it reads each request itself, by our rules, and lets fasthttp
// see a constant request without a body in its place. So nothing a peer sends
// is framed by fasthttp, and the handler runs before a byte of the body is
// read.
type clientConn struct {
	net.Conn // verified TLS
	server   *Server
	leaf     *x509.Certificate
	peer     string
	socket   syscall.RawConn
	in       wire

	request Request
	unread  bool // a body is still in front of the next request
	give    []byte
	arrived time.Time            // of the first byte of the current request
	finish  func(writeErr error) // tells that the answer was written, once
	wrote   error                // of the answer
	last    bool                 // no request after this one

	// state is where the connection is between two requests: Shutdown may end
	// it only while it waits.
	state atomic.Int32
}

const (
	waiting int32 = iota
	busy
	ending
)

var errContinueGone = errors.New("the caller left before its body")

// Constant requests for fasthttp. HEAD matters: its answer has no body.
var (
	standIn     = []byte("POST / HTTP/1.1\r\nHost: rpn\r\n\r\n")
	standInHead = []byte("HEAD / HTTP/1.1\r\nHost: rpn\r\n\r\n")
)

// Read is called by fasthttp when it wants the next request.
func (g *clientConn) Read(p []byte) (int, error) {
	if len(g.give) == 0 {
		if !g.next() {
			return 0, io.EOF
		}
		g.give = standIn
		if g.request.head.method == "HEAD" {
			g.give = standInHead
		}
	}
	n := copy(p, g.give)
	g.give = g.give[n:]
	return n, nil
}

// Write is called by fasthttp with the answer.
func (g *clientConn) Write(p []byte) (int, error) {
	n, err := g.Conn.Write(p)
	if err != nil && g.wrote == nil {
		g.wrote = err
	}
	return n, err
}

// Close ends the last exchange, then the connection.
func (g *clientConn) Close() error {
	g.end()
	if g.unread {
		g.linger()
	}
	err := g.Conn.Close()
	g.server.forget(g)
	return err
}

// end tells the exchange that its answer is written, or that it failed.
func (g *clientConn) end() {
	if g.finish != nil {
		f := g.finish
		g.finish = nil
		f(g.wrote)
	}
}

// next reads the head of the next request into g.request; a malformed one is
// left there for the handler to refuse. False: there is none.
func (g *clientConn) next() bool {
	g.end()
	if g.last || g.wrote != nil || g.skipBody() != nil {
		return false
	}
	if !g.wait() {
		return false
	}
	h, err := g.in.readRequest(g.request.head.fields)
	g.request = Request{head: h, conn: g, in: g.arrived}
	if err != nil {
		return g.malformed(err)
	}
	g.unread = h.framing.chunked || h.framing.length > 0
	return true
}

// wait waits for the first byte of a request, within the idle time.
func (g *clientConn) wait() bool {
	if g.in.buffered() > 0 {
		g.arrived = g.server.o.Now()
		return true
	}
	g.state.Store(waiting)
	if g.server.ended.Load() {
		return false
	}
	g.SetReadDeadline(time.Now().Add(g.server.o.IdleTimeout))
	if g.in.fill(maxHead) != nil {
		return false
	}
	if !g.state.CompareAndSwap(waiting, busy) {
		return false
	}
	g.arrived = g.server.o.Now()
	// The whole head, from here, within its own time.
	if !g.in.holdsHead() {
		g.SetReadDeadline(time.Now().Add(g.server.o.HeadTimeout))
	}
	return true
}

// malformed keeps what is wrong for the handler; a peer that left gets nothing.
func (g *clientConn) malformed(err error) bool {
	m, ok := AsMalformed(err)
	if !ok && IsTimeout(err) {
		m, ok = &Malformed{408, "slow-head", "les en-têtes ne sont pas arrivés à temps"}, true
	}
	if !ok {
		return false
	}
	g.request.bad = m
	g.request.head = requestHead{fields: g.request.head.fields[:0]}
	g.unread, g.last = true, true // where its end is, nobody knows
	return true
}

// skipBody passes over a body that the last exchange did not read, when it is
// short enough to be worth a connection. The handler has asked keepable first.
func (g *clientConn) skipBody() error {
	if !g.unread {
		return nil
	}
	g.unread = false
	g.SetReadDeadline(time.Now().Add(g.server.o.BodyTimeout))
	return g.in.discard(g.request.head.framing.length)
}

// keepable reports whether the connection can serve another request after an
// answer to this one. A handshake costs a dozen requests and more, so a short
// body is passed over rather than the connection closed; but not one that may
// never come (Expect) and not one without a stated length.
func (g *clientConn) keepable() bool {
	h := &g.request.head
	switch {
	case g.last, h.http10, h.fields.Has("Connection", "close"), g.server.draining.Load():
		return false
	case !g.unread:
		return true
	}
	return !h.framing.chunked && h.framing.length <= maxSkip && h.fields.Count("Expect") == 0
}

const maxSkip = 256 << 10

// readBody reads the body of the current request. To a caller that waits for
// it, 100 is said here: after the decision to read, never before.
func (g *clientConn) readBody(limit int) ([]byte, error) {
	f := g.request.head.framing
	if f.length > limit {
		return nil, ErrTooLarge
	}
	if !g.unread {
		return nil, nil
	}
	if g.in.buffered() < f.length || f.chunked {
		g.SetReadDeadline(time.Now().Add(g.server.o.BodyTimeout))
		if g.request.expects() && g.in.buffered() == 0 {
			if err := g.sayContinue(); err != nil {
				return nil, err
			}
		}
	}
	b, err := g.in.readBody(f, limit)
	if err != nil {
		g.last = true
		return nil, err
	}
	g.unread = false
	return b, nil
}

func (g *clientConn) sayContinue() error {
	g.SetWriteDeadline(time.Now().Add(g.server.o.WriteTimeout))
	if _, err := g.Conn.Write([]byte("HTTP/1.1 100 Continue\r\n\r\n")); err != nil {
		g.wrote = err
		return errContinueGone
	}
	return nil
}

// refused says that the caller's certificate was revoked since its handshake.
// The connection is being closed, but this request was already read.
func (g *clientConn) refused() error {
	c, ok := g.Conn.(interface{ Refused() error }) // tlsconf.Conn
	if !ok {
		return nil
	}
	if err := c.Refused(); err != nil {
		return roc.Refuse(roc.Revoked, "the connection was closed since: %w", err).Saying("Le certificat de connexion n'est plus accepté.")
	}
	return nil
}

// gone reports whether the caller has hung up.
func (g *clientConn) gone() bool { return hasHungUp(g.socket) }

// Lingering (RFC 9112 section 9.6): closing a socket on unread bytes resets
// it, and the caller may lose the answer that says why. So: our side first,
// then what still comes is dropped for a moment.
const (
	lingerTime  = 2 * time.Second
	lingerBytes = 4 << 20
	lingerers   = 64 // at once; beyond, connections are just closed
)

func (g *clientConn) linger() {
	if g.wrote != nil || g.server.lingering.Add(1) > lingerers {
		g.server.lingering.Add(-1)
		return
	}
	defer g.server.lingering.Add(-1)
	g.SetDeadline(time.Now().Add(lingerTime))
	var c net.Conn = g.Conn
	for range 8 {
		if w, ok := c.(interface{ CloseWrite() error }); ok && w.CloseWrite() != nil {
			return
		}
		u, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		c = u.NetConn()
	}
	io.CopyN(io.Discard, c, lingerBytes)
}

// holdsHead reports whether a whole head is already read.
func (in *wire) holdsHead() bool {
	b := in.buf[in.r:in.w]
	for i := 3; i < len(b); i++ {
		if b[i] == '\n' && b[i-1] == '\r' && b[i-2] == '\n' {
			return true
		}
	}
	return false
}

// A Request is what the handler sees of a request. It is valid until its
// answer is written.
type Request struct {
	head requestHead
	conn *clientConn
	bad  *Malformed // what is wrong with it; then head is empty
	in   time.Time  // when its first byte was there
}

// Malformed says what is wrong with the request, or nil. It then has neither
// method, target nor fields, and its answer ends the connection.
func (q *Request) Malformed() *Malformed { return q.bad }

// Method is the request's method.
func (q *Request) Method() string { return q.head.method }

// Target is the request's target, as sent.
func (q *Request) Target() string { return q.head.target }

// Fields are its header fields.
func (q *Request) Fields() Fields { return q.head.fields }

// Arrived is when its first byte was there.
func (q *Request) Arrived() time.Time { return q.in }

// Peer is the caller's address, without its port.
func (q *Request) Peer() string { return q.conn.peer }

// Leaf is the caller's certificate, verified.
func (q *Request) Leaf() *x509.Certificate { return q.conn.leaf }

// Refused says that the caller's certificate was revoked since its handshake.
func (q *Request) Refused() error { return q.conn.refused() }

// Gone reports whether the caller has hung up.
func (q *Request) Gone() bool { return q.conn.gone() }

// ReadBody reads the whole body, at most limit bytes: ErrTooLarge beyond it.
func (q *Request) ReadBody(limit int) ([]byte, error) { return q.conn.readBody(limit) }

// expects reports whether the caller waits for 100 before its body.
func (q *Request) expects() bool {
	v, _ := q.head.fields.One("Expect")
	return !q.head.http10 && v != ""
}

// Header returns the value of a header that may stand once, "" when absent.
func (q *Request) Header(name string) string {
	v, _ := q.head.fields.One(name)
	return v
}
