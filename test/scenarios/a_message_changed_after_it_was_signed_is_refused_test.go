package scenarios

import (
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	inner "github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/test/nation"
)

func TestAMessageChangedAfterItWasSignedIsRefused(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	chu := n.Etablissement()
	for _, how := range []nation.Mutation{
		inner.Altered,
		replacing(t, "<numero_amc>0099000003</numero_amc>", "<numero_amc>0099000002</numero_amc>"), // to reach another insurer
		replacing(t, "<wsu:Created>20", "<wsu:Created>19"),
	} {
		chu.SendBoth(roc.IDB, "bleue", how).WantRefused(roc.BadSignature)
	}
	n.AMC("bleue").WantReceived(0)
	n.AMC("verte").WantReceived(0)
}
