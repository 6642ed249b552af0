package scenarios

import (
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

func TestUnderSurveillanceOnlyTheMirrorIsReached(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	chu := n.Etablissement(nation.UnderSurveillance("verte"))

	chu.SendBoth(roc.IDB, "verte").WantAnswer()
	chu.SendBoth(roc.IDB, "bleue").WantRefused(roc.OutsideCircle).WantSaying("0099000002") // names its AMC miroir
	n.AMC("bleue").WantReceived(0)

	n.Move(chu, nation.InCircle)
	chu.SendBoth(roc.IDB, "bleue").WantAnswer()
}
