package scenarios

import (
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
	inner "github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/test/nation"
)

// The least of what the RPN, the service, the AMC and the caller allow; what
// comes afterwards is counted, and said with its exchange.
func TestAnExchangeHasTheDeadlineOfItsServiceAndAMC(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.NotStarted, nation.Section("timeouts", "services: {IDB: 1s}"))
	n.Edit("amc.yaml", `nom: "Mutuelle Verte"`, "nom: \"Mutuelle Verte\"\n    delais: {CLC: 1s, IDB: 19s}")
	n.Start()
	chu := n.Etablissement()
	for _, amc := range []string{"bleue", "verte"} {
		chu.Send(roc.SIM, amc).WantAnswer() // the connection is there
		n.AMC(amc).Hold()
	}
	chu.Send(roc.IDB, "bleue").WantRefused(roc.AMCSilent)                                          // by its service
	chu.Send(roc.CLC, "verte").WantRefused(roc.AMCSilent)                                          // by its AMC
	chu.Send(roc.IDB, "verte").WantRefused(roc.AMCSilent)                                          // an AMC has no more than its service
	chu.Send(roc.CLC, "bleue", inner.WithHeader("RPN-Delai-Ms", "700")).WantRefused(roc.AMCSilent) // who is in a hurry waits for nothing more
	for _, amc := range []string{"bleue", "verte"} {
		n.AMC(amc).Release()
	}
	await.Until(t, "the late answers are counted", func() bool { return n.Metric("rpn_late_answers_total") == "3" })
	await.Until(t, "they are in the log", func() bool { return strings.Count(n.Log(), `"event":"late_answer"`) == 3 })
}
