package http1

import (
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// An Answer is what goes back to the caller. Its length and the end of its
// connection are written by the Server.
type Answer struct {
	Status      int
	ContentType string // "": none
	Fields      Fields // the others, in order; those without a value are left out
	Body        roc.Content

	// Free is a refusal that cost the caller nothing: those that follow are slowed
	// down, then the connection ends.
	Free bool
}

// writeAnswer writes the answer within the write time. The body is not copied
// but for its start: it belongs to the answer until it is written.
func (c *clientConn) writeAnswer(a *Answer) error {
	buf := getBuffer()
	defer putBuffer(buf)
	b := append((*buf)[:0], "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(a.Status), 10)
	b = append(b, ' ')
	b = append(b, http.StatusText(a.Status)...)
	b = append(b, "\r\nDate: "...)
	b = append(b, c.server.date.at(c.server.o.Now())...)
	if a.ContentType != "" {
		b = appendField(b, "Content-Type", a.ContentType)
	}
	b = append(b, "\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(a.Body.Len()), 10)
	for i := range a.Fields {
		if f := &a.Fields[i]; f.Value != "" {
			b = appendField(b, f.Name, f.Value)
		}
	}
	if c.last {
		b = append(b, "\r\nConnection: close"...)
	}
	b = append(b, "\r\n\r\n"...)
	body := a.Body.Bytes()
	if c.request.head.method == "HEAD" {
		body = nil
	}
	return c.writePaced(b, body)
}

// writePaced writes a head and its body, a step of it under each deadline.
func (c *clientConn) writePaced(head, body []byte) error {
	p := c.server.pace(c.server.o.WriteTimeout)
	n := min(len(body), max(0, oneRecord-len(head)))
	step, body := append(head, body[:n]...), body[n:]
	for {
		c.SetWriteDeadline(p.until(len(step)))
		if _, err := c.Conn.Write(step); err != nil || len(body) == 0 {
			return err
		}
		p.done += len(step)
		n = min(len(body), paceStep)
		step, body = body[:n], body[n:]
	}
}

// appendField begins a line, so that what ends a head is always written.
// Names and values are ours or were read by parseFields: no CR or LF in them.
func appendField(b []byte, name, value string) []byte {
	b = append(b, "\r\n"...)
	b = append(b, name...)
	b = append(b, ": "...)
	return append(b, value...)
}

// oneRecord is what a TLS record holds: a head and the start of its body leave
// together.
const oneRecord = 16 << 10

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, oneRecord); return &b }}

func getBuffer() *[]byte  { return buffers.Get().(*[]byte) }
func putBuffer(b *[]byte) { buffers.Put(b) }

// writeMessage writes a head and its body: one write when they fit a record.
func writeMessage(w interface{ Write([]byte) (int, error) }, head, body []byte) error {
	n := min(len(body), max(0, oneRecord-len(head)))
	if _, err := w.Write(append(head, body[:n]...)); err != nil {
		return err
	}
	if n == len(body) {
		return nil
	}
	_, err := w.Write(body[n:])
	return err
}

// A date is the text of the field Date, made once a second.
type date struct{ last atomic.Pointer[dateText] }

type dateText struct {
	second int64
	text   string
}

func (d *date) at(now time.Time) string {
	t := d.last.Load()
	if t == nil || t.second != now.Unix() {
		t = &dateText{now.Unix(), now.UTC().Format(http.TimeFormat)}
		d.last.Store(t)
	}
	return t.text
}
