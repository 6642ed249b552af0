package scenarios

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

// A suspended establishment that asks without end, on one connection after the
// other: its requests are read more and more slowly, its connections end, its
// log is a line and then counts. Others are not slowed.
func TestWhoIsOnlyRefusedSlowsDownAndFillsNoLog(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	out, chu := n.Etablissement(nation.Suspended), n.Etablissement()
	const asked = 200
	c := dial(t, n, out.TLS)
	c.say(strings.Repeat("POST /roc HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", asked))
	heard := 0
	for ; heard < asked; heard++ {
		resp, err := http.ReadResponse(c.r, nil)
		if err != nil {
			break
		}
		io.Copy(io.Discard, resp.Body)
		if resp.Close {
			heard++
			break
		}
	}
	c.wantClosed()
	if heard != 12 {
		t.Errorf("%d of %d requests were answered on one connection, want 12", heard, asked)
	}
	chu.Send(roc.IDB, "bleue").WantAnswer()
	await.Until(t, "the others are counted in one line", func() bool {
		return strings.Contains(n.Log(), `"event":"refusals_repeated","structure":"1`) && strings.Contains(n.Log(), `"code":"RPN102","reason":"suspended","cause_code":"establishment-closed","count":11,`)
	})
	if lines := n.Lines("exchange"); len(lines) != 2 {
		t.Errorf("%d lines of exchanges, want one of the refused and one of the other", len(lines))
	}
}
