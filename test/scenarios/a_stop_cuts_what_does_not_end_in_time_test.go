package scenarios

import (
	"strings"
	"syscall"
	"testing"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

// timeouts.stop, then the exit code says that something was cut.
func TestAStopCutsWhatDoesNotEndInTime(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary, nation.Section("timeouts", "stop: 300ms"))
	chu, bleue := n.Etablissement(), n.AMC("bleue")
	bleue.Hold()
	reply := make(chan *nation.Reply)
	go func() { reply <- chu.Send(roc.CLC, "bleue") }()
	await.Until(t, "it is at the insurer", func() bool { return bleue.Received() == 1 })
	n.RPN().Signal(syscall.SIGTERM)
	n.RPN().WantExit(1)
	if r := <-reply; r.Answered("00") {
		t.Errorf("got %s", r.Outcome)
	}
	if !strings.Contains(n.Log(), "exchanges in flight") {
		t.Error("the log does not name what was cut")
	}
	if got := len(n.Lines("exchange")); got != 1 {
		t.Errorf("%d lines for one exchange", got)
	}
}
