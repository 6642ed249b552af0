package scenarios

import (
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/test/nation"
)

// The reader of the log stops: exchanges go on, /readyz says so, and what was
// queued is read once it is back.
func TestAReaderOfTheLogThatStopsHoldsNoExchange(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	chu := n.Etablissement(nation.Limited(1000, 1000))
	resume := n.RPN().Output.Stop()
	defer resume()
	const sent = 250 // more than a pipe holds
	for range sent {
		wantCarried(t, chu)
	}
	await.Until(t, "/readyz says that nobody reads", func() bool {
		r := n.Ready()
		c := r.Check("log")
		return r.Ready && c.Degraded && strings.Contains(c.Detail, "takes nothing")
	})
	resume()
	await.Until(t, "each exchange has its line", func() bool { return len(n.Lines("exchange")) == sent })
	await.Until(t, "/readyz says that it is read", func() bool { return !n.Ready().Check("log").Degraded })
}

// The reader of the log goes for good: SIGPIPE ends nobody, exchanges go on, and
// what is lost is counted.
func TestAReaderOfTheLogThatGoesEndsNobody(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	chu := n.Etablissement()
	n.RPN().Output.Leave()
	for range 20 {
		wantCarried(t, chu)
	}
	await.Until(t, "/readyz says that it cannot be written", func() bool {
		r := n.Ready()
		c := r.Check("log")
		return r.Ready && c.Degraded && strings.Contains(c.Detail, "cannot be written")
	})
	await.Until(t, "what is lost is counted", func() bool { return metric(n, "rpn_log_dropped_lines_total") > 0 })
	wantCarried(t, chu)
}

// wantCarried sends a message and wants its answer, and looks for no line in the
// log.
func wantCarried(t *testing.T, chu *nation.Etablissement) {
	t.Helper()
	if o := chu.Etablissement.Send(t.Context(), roc.IDB, roc.V2, soap.SOAP12, "bleue"); !o.Answered("00") {
		t.Fatal(o)
	}
}
