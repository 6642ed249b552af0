package scenarios

import (
	"testing"

	"github.com/piano-roc/rpn/annuaire/fictif"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

func TestWhatTheAnnuaireSaidServesWhileItIsDown(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary, nation.Annuaire("ttl: 1h"))
	chu := n.Etablissement()
	chu.Send(roc.IDB, "bleue").WantAnswer()
	for _, f := range []fictif.Fault{fictif.Down, fictif.Silent, fictif.Unsigned} {
		n.Annuaire.Break(f)
		chu.Send(roc.IDB, "bleue").WantAnswer()
	}
}
