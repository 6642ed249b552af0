package scenarios

import (
	"net/http"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/test/nation"
)

// Nothing announces the size of a chunked body: it is refused at the limit,
// whatever would follow.
func TestABodyInChunksBeyondTheLimitIsRefusedAsItComes(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary, nation.Section("limits", "bytes: 100KiB"))
	c := dial(t, n, n.Etablissement().TLS)
	c.say("POST /roc HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\nTransfer-Encoding: chunked\r\n\r\n")
	for range 3 {
		c.say("a000\r\n" + strings.Repeat("x", 0xa000) + "\r\n") // 40 KiB; the end never comes
	}
	status, header, body := c.hear()
	if status != http.StatusInternalServerError || header.Get("RPN-Origine") != "rpn" || !strings.Contains(body, "RPN201") {
		t.Errorf("got %d %v\n%s", status, header, body)
	}
	c.wantClosed()
}
