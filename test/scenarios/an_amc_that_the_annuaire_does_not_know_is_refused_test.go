package scenarios

import (
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

func TestAnAMCThatTheAnnuaireDoesNotKnowIsRefused(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary, nation.Annuaire("probe: 0s")) // the probe asks too
	chu := n.Etablissement()
	chu.SendBoth(roc.IDB, "0099000099").WantRefused(roc.UnknownAMC)
	asked := n.Annuaire.Questions()
	chu.SendBoth(roc.IDB, "0099000099").WantRefused(roc.UnknownAMC)
	if n.Annuaire.Questions() != asked {
		t.Error("it was asked again at once: unknown is to be remembered for a short time")
	}
}
