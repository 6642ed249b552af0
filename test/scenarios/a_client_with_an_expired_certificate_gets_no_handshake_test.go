package scenarios

import (
	"testing"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

func TestAClientWithAnExpiredCertificateGetsNoHandshake(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	expired := n.Etablissement(nation.TLS(igc.Expired(), igc.Org("CLINIQUE DES OUBLIS")))
	wantNoHandshake(t, n, "expired", "CLINIQUE DES OUBLIS", nil, expired.TLS)
	early := n.Etablissement(nation.TLS(igc.NotYet()))
	wantNoHandshake(t, n, "not-yet-valid", string(roc.StructureOf(early.EJ)), nil, early.TLS)
	expired.Send(roc.IDB, "bleue").WantNoHandshake()
}
