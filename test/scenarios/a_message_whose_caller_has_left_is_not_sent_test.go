package scenarios

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

// The caller leaves while the annuaire is asked: the insurer computes for
// nobody.
func TestAMessageWhoseCallerHasLeftIsNotSent(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary, nation.Annuaire("timeout: 50s\nprobe: 0s"))
	chu, bleue := n.Etablissement(), n.AMC("bleue")
	sent := chu.Send(roc.IDB, "bleue").WantAnswer().Sent
	n.RestartAfter(func() { os.Remove(n.File("rpn/state/annuaire.log")) }) // nothing is remembered
	n.Annuaire.Slow(500 * time.Millisecond)
	before, asked := bleue.Received(), n.Annuaire.Questions()
	c, logged := dial(t, n, chu.TLS), len(n.Lines("exchange"))
	c.say(fmt.Sprintf("POST /roc HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/soap+xml\r\nContent-Length: %d\r\n\r\n%s", len(sent), sent))
	await.Until(t, "the annuaire is asked", func() bool { return n.Annuaire.Questions() > asked })
	c.Close()
	await.Until(t, "the exchange is in the log", func() bool { return len(n.Lines("exchange")) > logged })
	lines := n.Lines("exchange")
	last := lines[len(lines)-1]
	if got := last.Text("record.outcome"); got != "abandoned" || last.Text("record.cause_code") != string(roc.CallerLeft) {
		t.Errorf("outcome %q, cause %q", got, last.Text("record.cause_code"))
	}
	if got := bleue.Received(); got != before {
		t.Errorf("the insurer received %d messages for nobody", got-before)
	}
}
