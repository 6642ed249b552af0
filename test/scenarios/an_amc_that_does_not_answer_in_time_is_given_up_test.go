package scenarios

import (
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

func TestAnAMCThatDoesNotAnswerInTimeIsGivenUp(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary, nation.Section("timeouts", "exchange: 1s"))
	n.AMC("bleue").Hold()
	n.Etablissement().SendBoth(roc.CLC, "bleue").WantRefused(roc.AMCSilent)
	n.AMC("bleue").WantReceived(2) // each once: a calculation is never sent again
}
