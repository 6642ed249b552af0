package scenarios

import (
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	inner "github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/test/nation"
)

func TestARoutingFieldThatIsMissingOrMalformedIsNamed(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	chu := n.Etablissement()
	for field, how := range map[string]func(*inner.Draft){
		"numero_amc":            func(d *inner.Draft) { d.Demande.Adressage.AMC = "12" },
		"code_type_convention":  func(d *inner.Draft) { d.Demande.Adressage.Convention = "r" },
		"code_csr":              func(d *inner.Draft) { d.Demande.Adressage.CSR = "trop-long-pour-un-csr" },
		"domaine_conventionnel": func(d *inner.Draft) { d.Demande.Adressage.Domaine = "HOPS" },
		"finess_ej":             func(d *inner.Draft) { d.Demande.Etablissement.EJ = "99" },
		"finess_eg":             func(d *inner.Draft) { d.Demande.Etablissement.EG = "zz" },
	} {
		chu.SendBoth(roc.IDB, "bleue", how).WantRefused(roc.BadKey).WantSaying(field)
	}
	n.AMC("bleue").WantReceived(0)
}
