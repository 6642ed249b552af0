package scenarios

import (
	"net/http"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/test/nation"
)

func TestHTTPThatTwoCouldReadDifferentlyIsRefused(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	chu := n.Etablissement()
	const head = "POST /roc HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\n"
	for rule, request := range map[string]string{
		"length-and-coding": head + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"two-lengths":       head + "Content-Length: 5\r\nContent-Length: 6\r\n\r\n<a/>  ",
		"fold":              head + "X-A: b\r\n c\r\nContent-Length: 0\r\n\r\n",
		"bare-lf":           "POST /roc HTTP/1.1\nHost: localhost\n\n",
		"chunk-size":        head + "Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
	} {
		c := dial(t, n, chu.TLS)
		c.say(request)
		if status, _, body := c.hear(); status != http.StatusBadRequest || !strings.Contains(body, rule) {
			t.Errorf("%s: got %d %s", rule, status, body)
		}
		c.wantClosed()
		if got := n.Metric(`rpn_malformed_requests_total{rule="` + rule + `"}`); got != "1" {
			t.Errorf("%s was counted %q times", rule, got)
		}
	}
}
