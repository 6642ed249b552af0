package proxy

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/proxy/http1/http1test"
)

// Rule 1 of the profile: the bytes that were checked are the bytes that leave,
// in both directions, whatever the framing and the order of the headers, and
// whatever the insurer answers.
func TestBytesOutAreBytesIn(t *testing.T) {
	t.Parallel()
	c := newCountry(t)
	var answer string
	c.far.Does(func(conn net.Conn, _ http1test.Got) { io.WriteString(conn, answer) })
	var kept *caller // one connection for all cases, until one fails
	rapid.Check(t, func(rt *rapid.T) {
		w := kept
		if kept = nil; w == nil {
			w = c.call()
		}
		body := anyMessage(rt, t)
		status := rapid.SampledFrom([]int{200, 200, 201, 400, 404, 500, 503, 599}).Draw(rt, "status")
		back := append([]byte(`<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope">`), anyBytes(rt, "answer", 300_000)...)
		answer = anyAnswer(rt, status, back)
		before := len(c.far.Received())
		w.say(anyRequest(rt, body))
		r, err := w.tryHear()
		if err != nil {
			rt.Fatalf("no answer: %v; %s", err, c.logged())
		}
		rec := c.record()

		got := c.far.Received()[before:]
		if len(got) != 1 || !bytes.Equal(got[0].Body, body) {
			rt.Fatalf("%d messages reached the insurer, or other bytes than the %d that were sent; answer %d, %s", len(got), len(body), r.StatusCode, rec.Cause)
		}
		if int(got[0].ContentLength) != len(body) || len(got[0].TransferEncoding) > 0 {
			rt.Fatalf("re-framed as length %d, %v", got[0].ContentLength, got[0].TransferEncoding)
		}
		if r.StatusCode != status || !bytes.Equal(r.body, back) {
			rt.Fatalf("status %d and %d bytes came back, the insurer said %d and %d", r.StatusCode, len(r.body), status, len(back))
		}
		if want := map[bool]roc.Outcome{true: roc.Answered, false: roc.FarFault}[status < 300]; rec.Outcome != want {
			rt.Fatalf("outcome %s, want %s", rec.Outcome, want)
		}
		kept = w
	})
}

// anyMessage is a signed message with any text in it, up to the limit of the
// profile.
func anyMessage(rt *rapid.T, t testing.TB) []byte {
	nom := rapid.StringOfN(rapid.RuneFrom([]rune("ABCéœ日𝄞&<>'\"]; \t")), 0, 60, -1).Draw(rt, "nom")
	if size := anySize(rt, "filler", 2<<20-20_000); size > 0 {
		nom += strings.Repeat("x", size)
	}
	v := rapid.SampledFrom([]soap.Version{soap.SOAP11, soap.SOAP12}).Draw(rt, "version")
	return sign(t, idb(nom).Envelope(v), http1test.Certs().Sign)
}

// anySize is mostly small, at times near a boundary of ours, at times large.
func anySize(rt *rapid.T, label string, most int) int {
	return rapid.OneOf(
		rapid.IntRange(0, 3000),
		rapid.SampledFrom([]int{0, 4 << 10, 16 << 10, 64<<10 - 1, 64 << 10, 64<<10 + 1, 128 << 10}),
		rapid.IntRange(0, most),
	).Draw(rt, label)
}

// anyBytes is bytes that may look like framing.
func anyBytes(rt *rapid.T, label string, most int) []byte {
	b := []byte(rapid.SampledFrom([]string{"", "\r\n\r\n", "0\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "<a/>"}).Draw(rt, label+" start"))
	random := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, label+" seed"), 1))
	for range anySize(rt, label, most) {
		b = append(b, byte(random.Uint32()))
	}
	return b
}

// anyRequest posts the body with its headers in any order and case, with a
// length or in chunks of any size.
func anyRequest(rt *rapid.T, body []byte) string {
	media, _, _ := strings.Cut(soap.VersionFor("", body).ContentType(), ";")
	lines := []string{"Host: localhost", "Content-Type: " + media, "Accept: */*", "User-Agent: rapid", "X-Empty:"}
	framed := string(body)
	if rapid.Bool().Draw(rt, "chunked") {
		lines = append(lines, "Transfer-Encoding: chunked")
		framed = anyChunks(rt, body)
	} else {
		lines = append(lines, fmt.Sprintf("Content-Length: %d", len(body)))
	}
	lines = rapid.Permutation(lines).Draw(rt, "order")
	for i := range lines {
		if name, value, _ := strings.Cut(lines[i], ":"); rapid.Bool().Draw(rt, "upper") {
			lines[i] = strings.ToUpper(name) + ":" + value
		}
	}
	return "POST /roc HTTP/1.1\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n" + framed
}

// anyChunks frames b in chunks of any size.
func anyChunks(rt *rapid.T, b []byte) string {
	var s strings.Builder
	largest := rapid.SampledFrom([]int{100, 5000, 70_000, 3 << 20}).Draw(rt, "largest chunk")
	random := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "chunks"), 2))
	forms := []string{"%x\r\n", "%X\r\n", "0%x\r\n", "0%x;a=b\r\n"}
	if largest == 100 {
		forms = forms[:3] // all extensions of a body have their limit
	}
	for len(b) > 0 {
		n := min(len(b), 1+random.IntN(largest))
		fmt.Fprintf(&s, forms[random.IntN(len(forms))], n)
		s.Write(b[:n])
		s.WriteString("\r\n")
		b = b[n:]
	}
	s.WriteString([]string{"0\r\n\r\n", "0\r\nX: y\r\n\r\n"}[random.IntN(2)])
	return s.String()
}

// anyAnswer frames an insurer's answer, with a length or in chunks.
func anyAnswer(rt *rapid.T, status int, body []byte) string {
	head := fmt.Sprintf("HTTP/1.1 %d Some Reason\r\nServer: x\r\nContent-Type: text/xml\r\n", status)
	if rapid.Bool().Draw(rt, "answer chunked") {
		return head + "Transfer-Encoding: chunked\r\n\r\n" + anyChunks(rt, body)
	}
	return head + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(body)) + string(body)
}
