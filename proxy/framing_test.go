package proxy

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/proxy/http1/http1test"
)

// Each of these is refused, its connection ends, and nothing reaches the
// insurer. Where the head is at fault no exchange even opens.
func TestMalformedRequestsAreRefusedAndTheConnectionEnds(t *testing.T) {
	t.Parallel()
	c := newCountry(t)
	body := string(good(t))
	head := func(lines ...string) string {
		return "POST /roc HTTP/1.1\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n" + body
	}
	const host, kind = "Host: localhost", "Content-Type: application/soap+xml"
	size := fmt.Sprintf("Content-Length: %d", len(body))
	chunked := "POST /roc HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/soap+xml\r\nTransfer-Encoding: chunked\r\n\r\n"
	one := fmt.Sprintf("%x\r\n%s\r\n", len(body), body)

	for _, m := range []struct {
		name, raw string
		status    int
		rule      string
	}{
		// RFC 9112 section 6: where the message ends.
		{"length and coding", head(host, kind, size, "Transfer-Encoding: chunked"), 400, "length-and-coding"},
		{"coding and length", head(host, kind, "Transfer-Encoding: chunked", size), 400, "length-and-coding"},
		{"two lengths", head(host, kind, size, "Content-Length: 1"), 400, "two-lengths"},
		{"two equal lengths", head(host, kind, size, size), 400, "two-lengths"},
		{"two equal lengths in one field", head(host, kind, fmt.Sprintf("Content-Length: %d, %[1]d", len(body))), 400, "bad-length"},
		{"a length with a sign", head(host, kind, fmt.Sprintf("Content-Length: +%d", len(body))), 400, "bad-length"},
		{"a negative length", head(host, kind, "Content-Length: -1"), 400, "bad-length"},
		{"a length in hexadecimal", head(host, kind, fmt.Sprintf("Content-Length: 0x%x", len(body))), 400, "bad-length"},
		{"an empty length", head(host, kind, "Content-Length:"), 400, "bad-length"},
		{"a length beyond 64 bits", head(host, kind, "Content-Length: 18446744073709551617"), 400, "bad-length"},
		{"a length with a space inside", head(host, kind, "Content-Length: 1 2"), 400, "bad-length"},
		{"another coding", head(host, kind, "Transfer-Encoding: gzip"), 400, "coding"},
		{"chunked twice in one field", head(host, kind, "Transfer-Encoding: chunked, chunked"), 400, "coding"},
		{"chunked in two fields", head(host, kind, "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), 400, "coding"},
		{"chunked then identity", head(host, kind, "Transfer-Encoding: chunked, identity"), 400, "coding"},
		{"a coding that only looks like chunked", head(host, kind, "Transfer-Encoding: xchunked"), 400, "coding"},
		{"a coding with a vertical tab", head(host, kind, "Transfer-Encoding: \vchunked"), 400, "field-value"},
		{"an empty coding", head(host, kind, "Transfer-Encoding:"), 400, "coding"},
		{"a coding in HTTP/1.0", "POST /roc HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" + one + "0\r\n\r\n", 400, "coding-in-http10"},

		// RFC 9112 section 7.1: chunks.
		{"a chunk size that is no number", chunked + "zz\r\n" + body, 400, "chunk-size"},
		{"a negative chunk size", chunked + "-1\r\n" + body, 400, "chunk-size"},
		{"a chunk size with 0x", chunked + fmt.Sprintf("0x%x\r\n%s\r\n0\r\n\r\n", len(body), body), 400, "chunk-size"},
		{"a chunk size with an underscore", chunked + "1_0\r\n" + body, 400, "chunk-size"},
		{"a chunk size with a leading space", chunked + " " + one + "0\r\n\r\n", 400, "chunk-size"},
		{"a chunk size with a trailing space", chunked + fmt.Sprintf("%x \r\n%s\r\n0\r\n\r\n", len(body), body), 400, "chunk-size"},
		{"an empty chunk size", chunked + "\r\n" + body, 400, "chunk-size"},
		{"a chunk size of nine digits", chunked + "000000001\r\na\r\n0\r\n\r\n", 400, "chunk-size"},
		{"a chunk line without end", chunked + strings.Repeat("0", 5000), 400, "chunk-size"},
		{"a bare LF after the chunk size (CVE-2025-22871)", chunked + fmt.Sprintf("%x\n%s\r\n0\r\n\r\n", len(body), body), 400, "bare-lf"},
		{"a bare LF in a chunk extension (CVE-2025-22871)", chunked + fmt.Sprintf("%x;a\nb\r\n%s\r\n0\r\n\r\n", len(body), body), 400, "bare-lf"},
		{"a bare CR in a chunk extension", chunked + fmt.Sprintf("%x;a\rb\r\n%s\r\n0\r\n\r\n", len(body), body), 400, "chunk-size"},
		{"endless chunk extensions (CVE-2023-39326)", chunked + strings.Repeat("1;"+strings.Repeat("x", 400)+"\r\na\r\n", 20) + "0\r\n\r\n", 400, "chunk-size"},
		{"no CRLF after a chunk", chunked + fmt.Sprintf("%x\r\n%sXX0\r\n\r\n", len(body), body), 400, "chunk-end"},
		{"a bare LF after a chunk", chunked + fmt.Sprintf("%x\r\n%s\n0\r\n\r\n", len(body), body), 400, "chunk-end"},
		{"a bare LF after the last chunk", chunked + one + "0\n\r\n", 400, "bare-lf"},
		{"a trailer with a fold", chunked + one + "0\r\na: b\r\n c\r\n\r\n", 400, "fold"},
		{"a trailer that is no field", chunked + one + "0\r\nGET / HTTP/1.1\r\n\r\n", 400, "field-name"},
		{"a trailer too large", chunked + one + "0\r\n" + strings.Repeat("a: b\r\n", 2000) + "\r\n", 431, "trailer-too-large"},

		// RFC 9112 sections 2, 3 and 5: the head.
		{"a fold", head(host, kind, "X-A: b\r\n c", size), 400, "fold"},
		{"a fold by a tab", head(host, kind, "X-A: b\r\n\tc", size), 400, "fold"},
		{"a fold before the first field", "POST /roc HTTP/1.1\r\n Host: localhost\r\n\r\n", 400, "fold"},
		{"a space before the colon", head(host, kind, size+"\r\nTransfer-Encoding : chunked"), 400, "field-name"},
		{"a tab before the colon", head(host, kind, size, "X-A\t: b"), 400, "field-name"},
		{"a field without a colon", head(host, kind, size, "X-A"), 400, "field-name"},
		{"a field without a name", head(host, kind, size, ": b"), 400, "field-name"},
		{"a name that is not ASCII", head(host, kind, size, "X-É: b"), 400, "field-name"},
		{"a NUL in a name", head(host, kind, size, "X\x00: b"), 400, "field-name"},
		{"a NUL in a value", head(host, kind, size, "X-A: b\x00c"), 400, "field-value"},
		{"a bare CR in a value", head(host, kind, size, "X-A: b\rc"), 400, "field-value"},
		{"a bare LF in a value", head(host, kind, size, "X-A: b\nc"), 400, "bare-lf"},
		{"a bare LF that ends a line", "POST /roc HTTP/1.1\nHost: localhost\r\n\r\n", 400, "bare-lf"},
		{"a bare LF that ends the head", "POST /roc HTTP/1.1\r\nHost: localhost\r\n\n", 400, "bare-lf"},
		{"a smuggled field behind a bare LF", head(host, kind, "X-A: b\nTransfer-Encoding: chunked", size), 400, "bare-lf"},
		{"no Host", head(kind, size), 400, "host"},
		{"two Hosts", head(host, host, kind, size), 400, "two-hosts"},
		{"an empty Host", head("Host:", kind, size), 400, "host"},
		{"a Host with a path", head("Host: localhost/x", kind, size), 400, "host"},
		{"a Host with a user", head("Host: a@localhost", kind, size), 400, "host"},
		{"a Host with a port that is no number", head("Host: a:b", kind, size), 400, "host"},
		{"a Host with a port too large", head("Host: a:65536", kind, size), 400, "host"},
		{"a Host with two ports", head("Host: a:1:2", kind, size), 400, "host"},
		{"a Host that is half an address", head("Host: [::1", kind, size), 400, "host"},
		{"a Host that is no address", head("Host: [a]", kind, size), 400, "host"},
		{"a list of Hosts", head("Host: a, b", kind, size), 400, "host"},
		{"two Content-Types", head(host, kind, kind, size), 400, "two-content-type"},
		{"two SOAPActions", head(host, kind, size, `SOAPAction: "a"`, `SOAPAction: "b"`), 400, "two-soapaction"},
		{"another expectation", head(host, kind, size, "Expect: 200-ok"), 417, "expect"},
		{"a head too large", head(host, kind, size, "X-A: "+strings.Repeat("a", 16<<10)), 431, "head-too-large"},
		{"a first line without end", strings.Repeat("P", 16<<10+1), 431, "head-too-large"},
		{"too many fields", head(host, kind, size, strings.TrimSuffix(strings.Repeat("X-A: b\r\n", 64), "\r\n")), 431, "too-many-fields"},
		{"two spaces in the first line", "POST  /roc HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "request-line"},
		{"a space at the end of the first line", "POST /roc HTTP/1.1 \r\nHost: localhost\r\n\r\n", 400, "request-line"},
		{"a tab in the first line", "POST\t/roc HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "request-line"},
		{"no version", "POST /roc\r\nHost: localhost\r\n\r\n", 400, "request-line"},
		{"a version in lower case", "POST /roc http/1.1\r\nHost: localhost\r\n\r\n", 400, "request-line"},
		{"a control in the target", "POST /roc\x01 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "request-line"},
		{"HTTP/2.0", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "http-version"},
		{"two empty lines before", "\r\n\r\n" + head(host, kind, size), 400, "request-line"},
		{"a TLS hello inside TLS", "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\r\n\r\n", 400, "request-line"},
	} {
		t.Run(m.name, func(t *testing.T) {
			w := c.call()
			w.t = t
			w.say(m.raw)
			r := w.hear()
			if r.StatusCode != m.status || !r.Close || !strings.Contains(string(r.body), "("+m.rule+")") {
				t.Errorf("status %d, close %v, body %q; want %d and rule %s", r.StatusCode, r.Close, r.body, m.status, m.rule)
			}
			w.wantClosed()
			c.mu.Lock()
			seen := slices.Clone(c.malformed)
			c.malformed = nil
			c.mu.Unlock()
			if !slices.Equal(seen, []string{m.rule}) {
				t.Errorf("told of %v, want %s once", seen, m.rule)
			}
		})
	}
	for _, r := range c.far.Received() {
		t.Errorf("forwarded: %s, %d bytes", r.Method, len(r.Body))
	}
	for len(c.told) > 0 {
		if rec := <-c.told; rec.Outcome != roc.Refused || rec.Reason != roc.NotSOAP || rec.From != chu {
			t.Errorf("record of a malformed request: %s %s", rec.Outcome, rec.Reason)
		}
	}
}

// What RFC 9112 allows is read, and the bytes that leave are those that came.
func TestUnusualButSoundRequestsAreCarried(t *testing.T) {
	t.Parallel()
	c := newCountry(t)
	body := good(t)
	half := len(body) / 2
	for _, m := range []struct{ name, raw string }{
		{"one chunk", chunkedPost(fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body))},
		{"two chunks, capital digits, leading zeros", chunkedPost(fmt.Sprintf("000%X\r\n%s\r\n%x\r\n%s\r\n000\r\n\r\n", half, body[:half], len(body)-half, body[half:]))},
		{"chunk extensions", chunkedPost(fmt.Sprintf("%x ; a=\"b\"\r\n%s\r\n0;last\r\n\r\n", len(body), body))},
		{"a trailer", chunkedPost(fmt.Sprintf("%x\r\n%s\r\n0\r\nX-Sum: 1\r\nRPN-Structure: 1999999999\r\n\r\n", len(body), body))},
		{"chunked in capitals", strings.Replace(chunkedPost(fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)), "chunked", "CHUNKED", 1)},
		{"an empty line before", "\r\n" + post(body)},
		{"HTTP/1.2, taken as 1.1", strings.Replace(post(body), "HTTP/1.1", "HTTP/1.2", 1)},
		{"a target in absolute form", strings.Replace(post(body), "POST /roc", "POST https://localhost:8443/roc", 1)},
		{"a target in absolute form, with a query", strings.Replace(post(body), "POST /roc", "POST HTTPS://LOCALHOST/roc?x", 1)},
		{"a Host with a port", strings.Replace(post(body), "Host: localhost", "Host: localhost:8443", 1)},
		{"a Host that is an address", strings.Replace(post(body), "Host: localhost", "Host: [::1]:8443", 1)},
		{"a query", strings.Replace(post(body), "/roc", "/roc?x", 1)},
		{"header names in capitals", strings.NewReplacer("Host", "HOST", "Content-Length", "CONTENT-LENGTH", "Content-Type", "CONTENT-TYPE").Replace(post(body))},
		{"no space after the colon, tabs around the value", strings.Replace(post(body), "Content-Length: ", "Content-Length:\t \t", 1)},
		{"a length with leading zeros", strings.Replace(post(body), "Content-Length: ", "Content-Length: 00", 1)},
		{"HTTP/1.0 without Host", fmt.Sprintf("POST /roc HTTP/1.0\r\nContent-Type: application/soap+xml\r\nContent-Length: %d\r\n\r\n%s", len(body), body)},
	} {
		t.Run(m.name, func(t *testing.T) {
			before := len(c.far.Received())
			w := c.call()
			w.t = t
			w.say(m.raw)
			if r := w.hear(); r.StatusCode != 200 || string(r.body) != http1test.OK {
				t.Fatalf("status %d, body %q", r.StatusCode, r.body)
			}
			got := c.far.Received()[before:]
			if len(got) != 1 || string(got[0].Body) != string(body) || got[0].ContentLength != int64(len(body)) || got[0].Trailer != nil {
				t.Errorf("the insurer received %d messages, not the one that was sent", len(got))
			}
		})
	}
}

func chunkedPost(chunks string) string {
	return "POST /roc HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/soap+xml\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
}

func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	t.Parallel()
	c := newCountry(t)
	body := good(t)
	w := c.call()
	w.say(post(body) + "GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n" + chunkedPost(fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)) + post(body, "Connection: close"))
	for i, want := range []int{200, 404, 200, 200} {
		if r := w.hear(); r.StatusCode != want || r.Close != (i == 3) {
			t.Errorf("answer %d: status %d, close %v; want %d", i, r.StatusCode, r.Close, want)
		}
	}
	w.wantClosed()
	if n := len(c.far.Received()); n != 3 {
		t.Errorf("%d messages reached the insurer, want 3", n)
	}
}

// 100 is said after the decision to read, never before (RFC 9110 section 10.1.1).
func TestContinueIsSaidOnlyToACallerWhoIsAccepted(t *testing.T) {
	t.Parallel()
	c := newCountry(t)
	body := good(t)
	head, _, _ := strings.Cut(post(body, "Expect: 100-continue"), "\r\n\r\n")

	w := c.call()
	w.say(head + "\r\n\r\n")
	if line, err := w.r.ReadString('\n'); line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("first line %q, %v", line, err)
	}
	w.r.ReadString('\n')
	w.say(string(body))
	if r := w.hear(); r.StatusCode != 200 {
		t.Errorf("status %d after the body", r.StatusCode)
	}

	for name, refused := range map[string]struct {
		w    *caller
		head string
	}{
		"unknown structure": {c.callAs(http1test.Certs().Stranger), head},
		"too large":         {c.call(), "POST /roc HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\nContent-Length: 99999999\r\nExpect: 100-continue"},
		"compressed":        {c.call(), head + "\r\nContent-Encoding: gzip"},
	} {
		refused.w.say(refused.head + "\r\n\r\n")
		r := refused.w.hear()
		if r.StatusCode != 500 || !r.Close {
			t.Errorf("%s: status %d, close %v; want a final 500 at once", name, r.StatusCode, r.Close)
		}
		refused.w.wantClosed()
	}
	if n := len(c.far.Received()); n != 1 {
		t.Errorf("%d messages reached the insurer, want 1", n)
	}
}

// A caller who is refused without its body being read keeps its connection
// when the body is short: a handshake costs more than the bytes.
func TestARefusalBeforeTheBodyKeepsTheConnection(t *testing.T) {
	t.Parallel()
	c := newCountry(t)
	w := c.callAs(http1test.Certs().Stranger)
	for range 3 {
		w.say(post(good(t)))
		if r := w.hear(); r.StatusCode != 500 || r.Close || !strings.Contains(string(r.body), "RPN101") {
			t.Fatalf("status %d, close %v", r.StatusCode, r.Close)
		}
	}
	w.say(chunkedPost("5\r\nhello\r\n0\r\n\r\n"))
	if r := w.hear(); r.StatusCode != 500 || !r.Close {
		t.Errorf("a body without a stated length: status %d, close %v; want closed", r.StatusCode, r.Close)
	}
}

// The answer to a caller that sends on regardless is not lost in a reset.
func TestTheAnswerToABodyTooLargeArrives(t *testing.T) {
	t.Parallel()
	c := newCountry(t)
	for range 5 {
		w := c.call()
		if _, err := io.WriteString(w, post(make([]byte, 3<<20))); err != nil {
			t.Errorf("the connection was reset under the caller: %v", err)
		}
		if r := w.hear(); r.StatusCode != 500 || !strings.Contains(string(r.body), "RPN201") {
			t.Fatalf("status %d", r.StatusCode)
		}
		w.wantClosed()
	}
	chunks := strings.Repeat("10000\r\n"+strings.Repeat("x", 0x10000)+"\r\n", 40)
	w := c.call()
	w.say(chunkedPost(chunks))
	if r := w.hear(); !strings.Contains(string(r.body), "RPN201") {
		t.Errorf("chunked: status %d", r.StatusCode)
	}
}
