package scenarios

import (
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

// Without network.allow, an insurer is nowhere near us, whatever the annuaire
// and DNS say (profile section 6).
func TestTheAnnuaireCannotSendAMessageIntoAPrivateNetwork(t *testing.T) {
	t.Parallel()
	hosts := "hosts:\n  annuaire.example: 127.0.0.1\n  roc.mutuelle-bleue.example: 127.0.0.1\n  roc.mutuelle-verte.example: 10.0.0.1"
	n := nation.New(t, nation.Binary, nation.Section("network", hosts))
	chu := n.Etablissement()
	chu.SendBoth(roc.IDB, "bleue").WantRefused(roc.AnnuaireRefused)
	chu.SendBoth(roc.IDB, "verte").WantRefused(roc.AnnuaireRefused)
	n.AMC("bleue").WantReceived(0)
}
