package scenarios

import (
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	inner "github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/test/nation"
)

func TestAMessageSignedByAnotherStructureNeedsAMandate(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	gie := n.Etablissement()
	chu, phare := n.Etablissement(), n.Etablissement(nation.LetsSign(gie))
	chu.SendBoth(roc.IDB, "bleue", inner.SignedBy(gie.Signature)).WantRefused(roc.SignerMismatch)
	n.AMC("bleue").WantReceived(0)
	phare.SendBoth(roc.IDB, "bleue", inner.SignedBy(gie.Signature)).WantAnswer()
}
