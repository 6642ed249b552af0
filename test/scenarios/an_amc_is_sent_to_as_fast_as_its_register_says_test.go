package scenarios

import (
	"strconv"
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

// Nobody is at fault: the refusal is the RPN's, and says when to come back.
func TestAnAMCIsSentToAsFastAsItsRegisterSays(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.NotStarted)
	chu, lac, outside := n.Etablissement(), n.Etablissement(), n.Etablissement(nation.Accrochage)
	n.Edit("amc.yaml", "nom: \"Mutuelle Bleue\"", "nom: \"Mutuelle Bleue\"\n    limite: {par_seconde: 0.001, rafale: 3}")
	n.Start()
	for range 5 {
		outside.Send(roc.IDB, "bleue").WantRefused(roc.OutsideCircle) // costs the insurer's limit nothing
	}
	chu.SendBoth(roc.IDB, "bleue").WantAnswer()
	lac.Send(roc.CLC, "bleue").WantAnswer()
	for _, r := range lac.SendBoth(roc.IDB, "bleue").WantRefused(roc.Overloaded).WantSaying("organisme Mutuelle Bleue est atteinte") {
		if wait, err := strconv.Atoi(r.Header.Get("Retry-After")); err != nil || wait < 500 || wait > 1000 {
			t.Errorf("Retry-After: %q; one message in 1000 s is allowed", r.Header.Get("Retry-After"))
		}
	}
	n.AMC("bleue").WantReceived(3)
	chu.SendBoth(roc.IDB, "verte").WantAnswer() // an insurer without a limit
}
