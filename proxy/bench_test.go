package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/piano-roc/rpn/proxy/http1/http1test"
)

// BenchmarkExchange is one signed IDB over mTLS in and out, keep-alive. It
// counts the test's own caller and insurer too; look at the allocations of the
// profile, and measure CPU by docs/bench.
func BenchmarkExchange(b *testing.B) {
	c := newCountry(b, func(o *Options) { o.AnswerPolicy, o.Observers = AnswersOff, nil })
	c.far.Does(func(conn net.Conn, _ http1test.Got) {
		c.far.Forget()
		io.WriteString(conn, http1test.Raw(200, http1test.OK))
	})
	w := c.call()
	request := []byte(post(good(b)))
	b.ReportAllocs()
	for b.Loop() {
		w.Write(request)
		resp, err := http.ReadResponse(w.r, nil)
		if err != nil || resp.StatusCode != 200 {
			b.Fatal(err)
		}
		io.Copy(io.Discard, bufio.NewReader(resp.Body))
	}
}
