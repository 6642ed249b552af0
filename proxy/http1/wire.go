package http1

import (
	"bytes"
	"errors"
	"io"
	"net"
)

// A Malformed is bytes that are not the HTTP/1.1 of RFC 9112, or not the part
// of it that we speak. Nothing is repaired: where a peer's idea of the end of
// a message may differ from ours, the connection ends.
type Malformed struct {
	Status int    // what an establishment is answered: 400, 408, 417, 431, 505
	Rule   string // a word of a closed list, for logs and metrics: "two-lengths"
	Texte  string // French, for the caller; nothing of the request in it
}

// Error names the rule.
func (m *Malformed) Error() string { return "malformed HTTP: " + m.Rule }

func bad(rule, texte string) *Malformed { return &Malformed{400, rule, texte} }

// ErrTooLarge is a body that is larger than its limit.
var ErrTooLarge = errors.New("the body is larger than its limit")

const (
	firstBuffer = 4 << 10
	maxLine     = 512     // of a chunk's size line
	maxTrailer  = 4 << 10 // all trailer fields together
	firstBody   = 64 << 10
)

// A wire reads HTTP/1.1 messages from a connection, one after the other. It
// keeps what it has read beyond the current message, so the limit between two
// messages is known exactly. Not safe for concurrent use.
type wire struct {
	from io.Reader
	buf  []byte // buf[r:w] is read and not yet used
	r, w int

	// hold, where there is one, is asked before n more bytes of a body are held.
	hold func(n int) error
}

// make is a buffer of that capacity for what b holds, and more.
func (in *wire) make(b []byte, capacity int) ([]byte, error) {
	if in.hold != nil {
		if err := in.hold(capacity - cap(b)); err != nil {
			return nil, err
		}
	}
	bigger := make([]byte, len(b), capacity)
	copy(bigger, b)
	return bigger, nil
}

func newWire(c net.Conn) wire { return wire{from: c, buf: make([]byte, firstBuffer)} }

// buffered is how many bytes are read and not yet used.
func (in *wire) buffered() int { return in.w - in.r }

// fill reads at least one byte more, in a buffer of at most max bytes.
// io.ErrShortBuffer: it is full.
func (in *wire) fill(max int) error {
	if in.r == in.w {
		in.r, in.w = 0, 0
	}
	if in.w == len(in.buf) && in.r > 0 {
		in.w = copy(in.buf, in.buf[in.r:in.w])
		in.r = 0
	}
	if in.w == len(in.buf) {
		if len(in.buf) >= max {
			return io.ErrShortBuffer
		}
		bigger := make([]byte, min(2*len(in.buf), max))
		copy(bigger, in.buf[:in.w])
		in.buf = bigger
	}
	n, err := in.from.Read(in.buf[in.w:])
	in.w += n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// block reads up to and including an empty line, and returns the lines before
// it, each with its CRLF. The result is valid until the next read.
func (in *wire) block(max int) ([]byte, error) {
	scanned, line := 0, 0 // relative to in.r
	for {
		b := in.buf[in.r:in.w]
		for scanned < len(b) {
			i := bytes.IndexByte(b[scanned:], '\n')
			if i < 0 {
				scanned = len(b)
				break
			}
			end := scanned + i
			if end == line || b[end-1] != '\r' {
				return nil, bad("bare-lf", "une ligne se termine par LF sans CR")
			}
			if end == line+1 {
				in.r += end + 1
				return b[:line], nil
			}
			scanned, line = end+1, end+1
		}
		if len(b) >= max {
			return nil, io.ErrShortBuffer
		}
		if err := in.fill(max); err != nil {
			if err == io.EOF && len(b) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
}

// line reads one line of at most max bytes and returns it without its CRLF,
// which is the only end of line there is (CVE-2025-22871). The result is valid
// until the next read.
func (in *wire) line(max int) ([]byte, error) {
	for scanned := 0; ; {
		b := in.buf[in.r:in.w]
		if i := bytes.IndexByte(b[scanned:], '\n'); i >= 0 {
			end := scanned + i
			if end > max {
				return nil, io.ErrShortBuffer
			}
			if end == 0 || b[end-1] != '\r' {
				return nil, bad("bare-lf", "une ligne se termine par LF sans CR")
			}
			in.r += end + 1
			return b[:end-1], nil
		}
		scanned = len(b)
		if scanned > max {
			return nil, io.ErrShortBuffer
		}
		if err := in.fill(max + firstBuffer); err != nil {
			return nil, noEOF(err)
		}
	}
}

// full reads exactly len(p) bytes into p: first what is buffered, then
// straight from the connection.
func (in *wire) full(p []byte) error {
	n := copy(p, in.buf[in.r:in.w])
	in.r += n
	if n == len(p) {
		return nil
	}
	_, err := io.ReadFull(in.from, p[n:])
	return noEOF(err)
}

// discard drops n bytes.
func (in *wire) discard(n int) error {
	for n > 0 {
		if in.buffered() == 0 {
			if err := in.fill(firstBuffer); err != nil {
				return noEOF(err)
			}
		}
		k := min(n, in.buffered())
		in.r += k
		n -= k
	}
	return nil
}

// noEOF: inside a message, the end of the connection is a cut.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// isCut reports whether err says that the peer left in the middle.
func isCut(err error) bool {
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || isReset(err)
}

// IsTimeout reports whether err is a deadline of ours.
func IsTimeout(err error) bool {
	type timeout interface{ Timeout() bool }
	if t, ok := err.(timeout); ok || err == nil { // errors.As allocates
		return ok && t.Timeout()
	}
	var t timeout
	return errors.As(err, &t) && t.Timeout()
}

// AsMalformed returns the Malformed inside err.
func AsMalformed(err error) (*Malformed, bool) {
	var m *Malformed
	ok := errors.As(err, &m)
	return m, ok
}

// tooLong turns a full buffer into the refusal of rule.
func tooLong(err error, status int, rule, texte string) error {
	if errors.Is(err, io.ErrShortBuffer) {
		return &Malformed{status, rule, texte}
	}
	return err
}
