package http1

import (
	"crypto/x509"
	"time"
)

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

// Host is the host that the request was sent to, with its port where it states
// one; "" in HTTP/1.0 without Host.
func (q *Request) Host() string { return q.head.host }

// Target is the request's target in origin form: a path, with its query.
func (q *Request) Target() string { return q.head.target }

// Fields are its header fields.
func (q *Request) Fields() Fields { return q.head.fields }

// Arrived is when its first byte was there.
func (q *Request) Arrived() time.Time { return q.in }

// Peer is the caller's address and port.
func (q *Request) Peer() string { return q.conn.peer }

// Leaf is the caller's certificate, verified.
func (q *Request) Leaf() *x509.Certificate { return q.conn.leaf }

// NoPlace is why there is no room for the connection, or nil: it is there to be
// told so.
func (q *Request) NoPlace() error { return q.conn.place.Full }

// Refused says that the caller's certificate was revoked since its handshake.
func (q *Request) Refused() error { return q.conn.refused() }

// Gone reports whether the caller has hung up, but for one that was heard in
// the last millisecond.
func (q *Request) Gone() bool { return time.Since(q.conn.heard) > stillHere && q.conn.gone() }

// Announced is how long the body will be, and false where the request does not
// say (chunked).
func (q *Request) Announced() (n int, stated bool) {
	return q.head.framing.length, !q.head.framing.chunked
}

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
