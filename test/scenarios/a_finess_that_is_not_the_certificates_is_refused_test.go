package scenarios

import (
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	inner "github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/test/nation"
)

func TestAFINESSThatIsNotTheCertificatesIsRefused(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	chu, other := n.Etablissement(nation.WithSite("990000909")), n.Etablissement(nation.WithSite("990000919"))
	chu.SendBoth(roc.IDB, "bleue", with(func(d *inner.Draft) { d.Demande.Etablissement.EJ = other.EJ })).WantRefused(roc.StructureMismatch)
	chu.SendBoth(roc.IDB, "bleue", with(func(d *inner.Draft) { d.Demande.Etablissement.EG = other.EG })).WantRefused(roc.StructureMismatch)
	n.AMC("bleue").WantReceived(0)
}
