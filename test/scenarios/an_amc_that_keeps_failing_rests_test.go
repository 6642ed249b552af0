package scenarios

import (
	"slices"
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

func TestAnAMCThatKeepsFailingRests(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	chu := n.Etablissement()
	for range 5 {
		chu.Send(roc.IDB, "absente").WantRefused(roc.AMCUnreachable)
	}
	chu.SendBoth(roc.IDB, "absente").WantRefused(roc.AMCResting).WantSaying("Adresse au repos depuis le")
	n.Etablissement().Send(roc.IDB, "absente").WantRefused(roc.AMCResting)
	chu.Send(roc.IDB, "bleue").WantAnswer()
	if r := n.Ready(); !r.Ready || !slices.Contains(r.Degraded, "amc") {
		t.Errorf("ready %t, degraded %v: want ready, with a word about the AMC at rest", r.Ready, r.Degraded)
	}
}
