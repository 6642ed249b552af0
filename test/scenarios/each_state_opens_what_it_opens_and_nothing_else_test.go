package scenarios

import (
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

// Profile section 6.
func TestEachStateOpensWhatItOpensAndNothingElse(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	for _, c := range []struct {
		state nation.Trait
		opens map[string]bool
	}{
		{nation.Accrochage, map[string]bool{"validation": true}},
		{nation.UnderSurveillance("verte"), map[string]bool{"verte": true}},
		{nation.InCircle, map[string]bool{"verte": true, "bleue": true}},
	} {
		e := n.Etablissement(c.state)
		for _, amc := range []string{"validation", "verte", "bleue", "grise"} {
			before := n.AMC(amc).Received()
			if c.opens[amc] {
				e.SendBoth(roc.IDB, amc).WantAnswer()
				continue
			}
			e.SendBoth(roc.IDB, amc).WantRefused(roc.OutsideCircle)
			n.AMC(amc).WantReceived(before)
		}
	}
	n.Etablissement(nation.Accrochage).SendBoth(roc.CLC, "validation").WantRefused(roc.OutsideCircle)
	n.Etablissement(nation.Speaking(roc.V1)).Send(roc.IDB, "bleue").WantRefused(roc.OutsideCircle)
}
