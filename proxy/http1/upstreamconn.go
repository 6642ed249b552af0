package http1

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// An upstreamConn is one connection to an insurer or to the annuaire.
type upstreamConn struct {
	*tls.Conn
	raw    net.Conn
	socket syscall.RawConn
	in     wire
	fields Fields
	made   time.Time

	// Of the last use; guarded by its pool while it is idle.
	owner    roc.StructureID
	released time.Time
}

// A condition is what a look at a kept connection finds.
type condition int

const (
	sound       condition = iota
	ended                 // closed by the far end, or not to be told from it
	unsolicited           // the far end said more than it was asked
)

// look says, before anything is written, whether the connection is open and
// nothing waits on it: bytes beyond the last answer would be read as the answer
// to the next request.
func (c *upstreamConn) look() condition {
	if c.in.buffered() > 0 {
		return unsolicited
	}
	// What TLS has read and not given yet: a deadline in the past keeps Read
	// from touching the socket. What waits in the socket is read: is it the end,
	// a message of TLS itself, or bytes?
	var b [16]byte
	pending := hasPending(c.socket)
	n, err := c.readUntil(b[:], time.Unix(1, 0))
	for tries := 0; pending && n == 0 && IsTimeout(err) && hasPending(c.socket) && tries < 10; tries++ {
		n, err = c.readUntil(b[:], time.Now().Add(10*time.Millisecond)) // again: a busy machine may miss the deadline
	}
	switch {
	case n > 0 && isIdle408(b[:n]):
		return ended
	case n > 0:
		return unsolicited
	case IsTimeout(err) && !pending:
		return sound
	}
	return ended
}

func (c *upstreamConn) readUntil(b []byte, at time.Time) (int, error) {
	c.SetReadDeadline(at)
	return c.Read(b)
}

// isIdle408: some servers say 408 before they close a connection that nobody
// uses (RFC 9110 section 15.5.9). It answers no message.
func isIdle408(b []byte) bool {
	return len(b) >= 12 && bytes.HasPrefix(b, []byte("HTTP/1.")) && string(b[8:12]) == " 408"
}

// errHead: the request left, and the head of its answer was not read.
var errHead = errors.New("reading the head of the answer")

// exchange writes the request and reads its answer. reusable: both ends agree
// on where the answer ended.
func (c *upstreamConn) exchange(t *target, m *Message, deadline time.Time, limit int) (a Response, reusable bool, err error) {
	c.SetDeadline(deadline)
	c.in.hold = m.Hold
	defer func() { c.in.hold = nil }()
	if err := c.writeRequest(t, m); err != nil {
		return a, false, fmt.Errorf("sending: %w", err)
	}
	h, err := c.in.readAnswer(c.fields)
	if err != nil {
		return a, false, fmt.Errorf("%w: %w", errHead, err)
	}
	c.fields = h.fields
	if e := h.fields.Joined("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return a, false, bad("content-encoding", "")
	}
	if h.fields.Count("Content-Type") > 1 {
		return a, false, bad("two-content-types", "")
	}
	var body []byte
	if h.untilClose {
		body, a.Cut, err = c.in.readToEnd(limit)
	} else {
		body, err = c.in.readBody(h.framing, limit)
	}
	if err != nil {
		return Response{}, false, fmt.Errorf("reading the body of the answer: %w", err)
	}
	a.Status, a.Body, a.UntilClose = h.status, roc.NewContent(body), h.untilClose
	a.ContentType, _ = h.fields.One("Content-Type")
	if v, ok := h.fields.One("Retry-After"); ok {
		a.RetryAfter = v
	}
	return a, !h.last, nil
}

// readToEnd reads until the connection ends. cut: it did not end by a
// close_notify. (crypto/tls takes a bare end between two records for one: so
// the end of the connection proves nothing, and the caller of Send looks whether
// the message is whole.)
func (in *wire) readToEnd(limit int) (body []byte, cut bool, err error) {
	for {
		if in.buffered() > 0 {
			if len(body)+in.buffered() > limit {
				return nil, false, ErrTooLarge
			}
			if cap(body)-len(body) < in.buffered() {
				if body, err = in.make(body, max(2*cap(body), len(body)+in.buffered())); err != nil {
					return nil, false, err
				}
			}
			body = append(body, in.buf[in.r:in.w]...)
			in.r = in.w
		}
		switch err := in.fill(firstBody); {
		case err == nil:
		case errors.Is(err, io.EOF):
			return body, false, nil
		case isCut(err):
			return body, true, nil
		default:
			return nil, false, err
		}
	}
}

// writeRequest writes the headers of profile section 8 and the body, with its
// length. Nothing else of the caller's headers passes.
func (c *upstreamConn) writeRequest(t *target, m *Message) error {
	buf := getBuffer()
	defer putBuffer(buf)
	b := append((*buf)[:0], "POST "...)
	b = append(b, t.path...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, t.authority...)
	b = appendField(b, "Content-Type", m.ContentType)
	b = append(b, "\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(m.Content.Len()), 10)
	b = appendField(b, "Accept-Encoding", "identity")
	if m.SOAPAction != nil {
		b = appendField(b, "SOAPAction", *m.SOAPAction)
	}
	if m.Accept != "" {
		b = appendField(b, "Accept", m.Accept)
	}
	b = appendField(b, "RPN-Echange", string(m.Exchange))
	b = appendField(b, "RPN-Structure", string(m.Structure))
	b = appendField(b, "Via", via)
	b = append(b, "\r\n\r\n"...)
	return writeMessage(c.Conn, b, m.Content.Bytes())
}
