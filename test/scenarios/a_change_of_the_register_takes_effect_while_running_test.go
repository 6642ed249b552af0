package scenarios

import (
	"testing"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

// Without a signal: the file is edited, and looked at every few seconds.
func TestAChangeOfTheRegisterTakesEffectWhileRunning(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	e := n.Etablissement(nation.UnderSurveillance("verte"))
	e.Send(roc.IDB, "bleue").WantRefused(roc.OutsideCircle)

	n.Edit("etablissements.yaml", "etat: surveillance\n    amc_miroir: \"0099000002\"", "etat: cercle")
	await.Until(t, "it is in the circle", func() bool { return e.Send(roc.IDB, "bleue").Answered("00") })

	n.Edit("etablissements.yaml", "nom: \"Etablissement 1\"\n    etat: cercle", "nom: \"Etablissement 1\"\n    etat: suspendu")
	await.Until(t, "it is suspended", func() bool { return e.Send(roc.IDB, "bleue").Refused(roc.Suspended) })
}
