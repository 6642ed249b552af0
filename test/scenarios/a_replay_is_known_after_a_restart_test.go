package scenarios

import (
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

// The window lies in the state folder: who makes the RPN restart replays no
// message of before.
func TestAReplayIsKnownAfterARestart(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary, nation.Section("policies", "replay: enforce"))
	chu := n.Etablissement()
	first := chu.Send(roc.IDB, "bleue").WantAnswer()
	n.Restart()
	chu.Send(roc.IDB, "bleue", again(first)).WantRefused(roc.Replayed)
	n.AMC("bleue").WantReceived(1)
}
