package scenarios

import (
	"slices"
	"syscall"
	"testing"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

// timeouts.drain: after SIGTERM /readyz says 503 first, and the RPN still
// answers; then it stops.
func TestADrainAcceptsUntilTheLoadBalancerKnows(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary, nation.Section("timeouts", "drain: 5s"))
	chu := n.Etablissement()
	n.RPN().Signal(syscall.SIGTERM)
	await.Until(t, "readyz says that it stops", func() bool { return slices.Contains(n.Ready().Missing, "accepting") })
	chu.Send(roc.IDB, "bleue").WantAnswer()
	n.RPN().WantExit(0)
}
