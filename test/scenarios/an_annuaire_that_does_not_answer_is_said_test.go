package scenarios

import (
	"testing"

	"github.com/piano-roc/rpn/annuaire/fictif"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

func TestAnAnnuaireThatDoesNotAnswerIsSaid(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary, nation.Annuaire("timeout: 1s\nprobe: 0s"))
	chu := n.Etablissement()
	for _, f := range []fictif.Fault{fictif.Silent, fictif.Down} {
		n.Annuaire.Break(f)
		chu.SendBoth(roc.IDB, "bleue").WantRefused(roc.AnnuaireSilent)
	}
	n.AMC("bleue").WantReceived(0)
	n.Annuaire.Break(fictif.None)
	chu.Send(roc.IDB, "bleue").WantAnswer()
}
