package scenarios

import (
	"fmt"
	"testing"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

func TestACallerThatLeavesIsWrittenDownAsSuch(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	chu, bleue := n.Etablissement(), n.AMC("bleue")
	sent := chu.Send(roc.IDB, "bleue").WantAnswer().Sent
	bleue.Hold()
	c := dial(t, n, chu.TLS)
	c.say(fmt.Sprintf("POST /roc HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/soap+xml\r\nContent-Length: %d\r\n\r\n%s", len(sent), sent))
	await.Until(t, "it is at the insurer", func() bool { return bleue.Received() == 2 })
	c.Close()
	bleue.Release()
	await.Until(t, "the exchange is in the log", func() bool { return len(n.Lines("exchange")) == 2 })
	if got := n.Lines("exchange")[1].Text("record.outcome"); got != "abandoned" {
		t.Errorf("outcome %q", got)
	}
}
