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

// A clientConn is one connection of an establishment: it reads each request by
// our rules and writes its answer, one after the other. The handler runs
// before a byte of the body is read.
type clientConn struct {
	net.Conn // verified TLS
	server   *Server
	leaf     *x509.Certificate
	peer     string
	socket   syscall.RawConn
	in       wire
	place    Place
	pace     pace

	refusedInARow int // of the answers, that cost the caller nothing

	request Request
	unread  bool      // a body is still in front of the next request
	arrived time.Time // of the first byte of the current request
	drained bool      // the last read took all that was there
	heard   time.Time // when it returned
	broken  bool      // writing failed
	last    bool      // no request after this one

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

// serve answers the requests of the connection until its end.
func (c *clientConn) serve() {
	defer c.end()
	for c.next() {
		c.slowDown()
		a, done := c.server.o.Handle(&c.request)
		c.noteAnswer(&a)
		c.last = !c.keepable()
		err := c.writeAnswer(&a)
		c.broken = c.broken || err != nil
		if done != nil {
			done(err)
		}
		if c.last || c.broken {
			return
		}
	}
}

// end closes the connection.
func (c *clientConn) end() {
	if c.unread || c.last && (c.in.buffered() > 0 || hasPending(c.socket)) { // more requests, perhaps: closing on them would lose our answer
		c.linger()
	}
	c.Conn.Close()
	c.server.forget(c)
}

// next reads the head of the next request; a malformed one is left for the
// handler to refuse. False: there is none.
func (c *clientConn) next() bool {
	if c.skipBody() != nil || !c.wait() {
		return false
	}
	h, err := c.in.readRequest(c.request.head.fields)
	c.request = Request{head: h, conn: c, in: c.arrived}
	if err != nil {
		return c.malformed(err)
	}
	c.unread = h.framing.chunked || h.framing.length > 0
	return true
}

// wait waits for the first byte of a request, within the idle time.
func (c *clientConn) wait() bool {
	if c.in.buffered() > 0 {
		c.arrived = c.server.o.Now()
		return true
	}
	c.state.Store(waiting)
	if c.server.ended.Load() {
		return false
	}
	idle := c.server.o.IdleTimeout
	if c.place.Full != nil {
		idle = min(idle, unplacedWait)
	}
	c.SetReadDeadline(time.Now().Add(idle))
	if c.in.fill(maxHead) != nil {
		return false
	}
	if !c.state.CompareAndSwap(waiting, busy) {
		return false
	}
	c.arrived = c.server.o.Now()
	// The whole head, from here, within its own time.
	if !c.in.holdsHead() {
		c.SetReadDeadline(time.Now().Add(c.server.o.HeadTimeout))
	}
	return true
}

// malformed keeps what is wrong for the handler; a peer that left gets nothing.
func (c *clientConn) malformed(err error) bool {
	m, ok := AsMalformed(err)
	if !ok && IsTimeout(err) {
		m, ok = &Malformed{408, "slow-head", "les en-têtes ne sont pas arrivés à temps"}, true
	}
	if !ok {
		return false
	}
	c.request.bad = m
	c.request.head = requestHead{fields: c.request.head.fields[:0]}
	c.unread, c.last = true, true // where its end is, nobody knows
	return true
}

// skipBody passes over a body that the last exchange did not read, when it is
// short enough to be worth a connection: keepable was asked first.
func (c *clientConn) skipBody() error {
	if !c.unread {
		return nil
	}
	c.unread = false
	c.pace = c.server.pace(c.server.o.BodyTimeout)
	defer func() { c.pace = pace{} }()
	c.SetReadDeadline(c.pace.until(1))
	return c.in.discard(c.request.head.framing.length)
}

// keepable reports whether the connection can serve another request after an
// answer to this one. A handshake costs a dozen requests and more, so a short
// body is passed over rather than the connection closed; but not one that may
// never come (Expect) and not one without a stated length.
func (c *clientConn) keepable() bool {
	h := &c.request.head
	switch {
	case c.last, c.place.Full != nil, h.http10, h.fields.Has("Connection", "close"), c.server.draining.Load():
		return false
	case !c.unread:
		return true
	}
	return !h.framing.chunked && h.framing.length <= maxSkip && h.fields.Count("Expect") == 0
}

const maxSkip = 256 << 10

// readBody reads the body of the current request. To a caller that waits for
// it, 100 is said here: after the decision to read, never before.
func (c *clientConn) readBody(limit int) ([]byte, error) {
	f := c.request.head.framing
	if f.length > limit {
		return nil, ErrTooLarge
	}
	if !c.unread {
		return nil, nil
	}
	if c.in.buffered() < f.length || f.chunked {
		c.pace = c.server.pace(c.server.o.BodyTimeout)
		defer func() { c.pace = pace{} }()
		c.SetReadDeadline(c.pace.until(1))
		if c.request.expects() && c.in.buffered() == 0 {
			if err := c.writeContinue(); err != nil {
				return nil, err
			}
		}
	}
	b, err := c.in.readBody(f, limit)
	if err != nil {
		c.last = true
		return nil, err
	}
	c.unread = false
	return b, nil
}

func (c *clientConn) writeContinue() error {
	c.SetWriteDeadline(time.Now().Add(c.server.o.WriteTimeout))
	if _, err := io.WriteString(c.Conn, "HTTP/1.1 100 Continue\r\n\r\n"); err != nil {
		c.broken = true
		return errContinueGone
	}
	return nil
}

// refused says that the caller's certificate was revoked since its handshake.
// The connection is being closed, but this request was already read.
func (c *clientConn) refused() error {
	r, ok := c.Conn.(interface{ Refused() error }) // tlsconf.Conn
	if !ok {
		return nil
	}
	if err := r.Refused(); err != nil {
		return roc.Refuse(roc.Revoked, "the connection was closed since: %w", err).Because(roc.RevokedConnection)
	}
	return nil
}

// gone reports whether the caller has hung up.
func (c *clientConn) gone() bool { return hasHungUp(c.socket) }

// stillHere is how long a caller that was heard is taken to be there: the
// kernel is asked only when something has made it wait.
const stillHere = time.Millisecond

// Lingering (RFC 9112 section 9.6): closing a socket on unread bytes resets
// it, and the caller may lose the answer that says why. So: our side first,
// then what still comes is dropped for a moment.
const (
	lingerTime  = 2 * time.Second
	lingerBytes = 4 << 20
	lingerers   = 64 // at once; beyond, connections are just closed
)

func (c *clientConn) linger() {
	if c.broken || c.server.lingering.Add(1) > lingerers {
		c.server.lingering.Add(-1)
		return
	}
	defer c.server.lingering.Add(-1)
	c.SetDeadline(time.Now().Add(lingerTime))
	var under net.Conn = c.Conn
	for range 8 {
		if w, ok := under.(interface{ CloseWrite() error }); ok && w.CloseWrite() != nil {
			return
		}
		u, ok := under.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		under = u.NetConn()
	}
	io.CopyN(io.Discard, under, lingerBytes)
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
