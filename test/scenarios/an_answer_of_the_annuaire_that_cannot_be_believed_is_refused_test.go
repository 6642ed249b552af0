package scenarios

import (
	"testing"

	"github.com/piano-roc/rpn/annuaire/fictif"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

func TestAnAnswerOfTheAnnuaireThatCannotBeBelievedIsRefused(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary, nation.Annuaire("probe: 0s"))
	chu := n.Etablissement()
	for _, f := range []fictif.Fault{
		fictif.Unsigned, fictif.BadSignature, fictif.Stale, fictif.OtherAMC, fictif.Huge, fictif.Redirected, fictif.Garbage, fictif.Expired,
	} {
		n.Annuaire.Break(f)
		t.Log(f)
		chu.SendBoth(roc.IDB, "bleue").WantRefused(roc.AnnuaireRefused)
	}
	n.Annuaire.Break(fictif.PlainURL) // believed, and leads nowhere that may be used
	chu.SendBoth(roc.IDB, "bleue").WantRefused(roc.AnnuaireRefused)
	n.AMC("bleue").WantReceived(0)
}
