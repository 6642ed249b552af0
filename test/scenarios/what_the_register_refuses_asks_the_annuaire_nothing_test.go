package scenarios

import (
	"testing"

	"github.com/piano-roc/rpn/annuaire/fictif"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

func TestWhatTheRegisterRefusesAsksTheAnnuaireNothing(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary, nation.Annuaire("probe: 0s\ntimeout: 2s"))
	n.Annuaire.Break(fictif.Down)
	n.Etablissement(nation.Accrochage).Send(roc.IDB, "bleue").WantRefused(roc.OutsideCircle)
	n.Etablissement(nation.UnderSurveillance("verte")).Send(roc.IDB, "bleue").WantRefused(roc.OutsideCircle)
	n.Etablissement().Send(roc.IDB, "bleue").WantRefused(roc.AnnuaireSilent) // the only one that asks
}
