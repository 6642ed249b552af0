package scenarios

import (
	"testing"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/roc"
	inner "github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/test/nation"
)

func TestACertificateOfASiteSpeaksForItsLegalEntity(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	site := roc.StructureOf("990000909")
	chu := n.Etablissement(nation.WithSite("990000909"), nation.TLS(igc.OU(site)), nation.Signing(igc.OU(site)))
	for _, r := range chu.SendBoth(roc.IDB, "bleue").WantAnswer() {
		if got := r.Line().Text("record.structure"); got != string(site) {
			t.Errorf("the log names %s, want the structure of the certificate, %s", got, site)
		}
	}
	chu.SendBoth(roc.IDB, "bleue", with(func(d *inner.Draft) { d.Demande.Etablissement.EJ = "990000001" })).WantRefused(roc.StructureMismatch)
}
