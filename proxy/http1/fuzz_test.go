package http1

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

// Whatever we read as a request, another strict reader reads the same: same
// method, same fields, same body, and the same bytes left for the next one.
// Where the two differ, one of them can be smuggled past.
func FuzzRequest(f *testing.F) {
	for _, s := range []string{
		"POST /roc HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET",
		"POST /roc HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: u\r\n\r\nrest",
		"POST /roc HTTP/1.1\r\nHost: a\r\ntransfer-encoding:\tCHUNKED \r\n\r\n00A\r\n0123456789\r\n0\r\n\r\n",
		"\r\nGET /roc?wsdl HTTP/1.0\r\nX: \r\n\r\n",
		"POST /roc HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"POST /roc HTTP/1.1\r\nHost: a\r\nX: b\n c\r\n\r\n",
		"POST /roc HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\nz\r\n0\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	const limit = 1 << 16
	f.Fuzz(func(t *testing.T, raw []byte) {
		ours := wire{from: bytes.NewReader(raw), buf: make([]byte, 64)}
		h, err := ours.readRequest(nil)
		if err != nil {
			return
		}
		body, err := ours.readBody(h.framing, limit)
		if err != nil {
			return
		}
		left, _ := io.ReadAll(io.MultiReader(bytes.NewReader(ours.buf[ours.r:ours.w]), ours.from))

		theirs := bufio.NewReader(bytes.NewReader(bytes.TrimPrefix(raw, []byte("\r\n"))))
		req, err := http.ReadRequest(theirs)
		if err != nil {
			if strings.Contains(err.Error(), "invalid URI") || strings.Contains(err.Error(), "parse ") {
				return // the target is opaque to us
			}
			t.Fatalf("we read what net/http refuses: %v", err)
		}
		other, err := io.ReadAll(req.Body)
		if err != nil {
			t.Fatalf("we read a body that net/http refuses: %v", err)
		}
		rest, _ := io.ReadAll(theirs)
		if req.Method != h.method || !bytes.Equal(other, body) || !bytes.Equal(rest, left) {
			t.Fatalf("method %q or %q, body %q or %q, rest %q or %q", h.method, req.Method, body, other, left, rest)
		}
		for _, field := range h.fields {
			switch strings.ToLower(field.Name) {
			case "host", "transfer-encoding", "content-length", "trailer":
				continue // net/http takes them out
			}
			found := false
			for _, v := range req.Header[http.CanonicalHeaderKey(field.Name)] {
				found = found || v == field.Value
			}
			if !found {
				t.Fatalf("field %q: %q is not what net/http reads: %q", field.Name, field.Value, req.Header)
			}
		}
	})
}

// An answer is read the same by another reader, or not at all.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 X\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"HTTP/1.1 204 X\r\nContent-Length: 9\r\n\r\n",
		"HTTP/1.0 200\r\nContent-Length: 0\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	const limit = 1 << 16
	f.Fuzz(func(t *testing.T, raw []byte) {
		ours := wire{from: bytes.NewReader(raw), buf: make([]byte, 64)}
		h, err := ours.readAnswer(nil)
		if err != nil {
			return
		}
		var body []byte
		if h.untilClose {
			body, _, err = ours.readToEnd(limit)
		} else {
			body, err = ours.readBody(h.framing, limit)
		}
		if err != nil {
			return
		}
		theirs := bufio.NewReader(bytes.NewReader(raw))
		for {
			resp, err := http.ReadResponse(theirs, &http.Request{Method: "POST"})
			if err != nil {
				t.Fatalf("we read what net/http refuses: %v", err)
			}
			other, err := io.ReadAll(resp.Body)
			if resp.StatusCode < 200 {
				continue // interim
			}
			if err != nil || resp.StatusCode != h.status || !bytes.Equal(other, body) {
				t.Fatalf("status %d or %d, body %q or %q, %v", h.status, resp.StatusCode, body, other, err)
			}
			return
		}
	})
}
