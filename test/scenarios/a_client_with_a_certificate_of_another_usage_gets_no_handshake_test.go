package scenarios

import (
	"testing"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

func TestAClientWithACertificateOfAnotherUsageGetsNoHandshake(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	for _, odd := range []igc.Option{igc.WrongEKU(), igc.WrongKU()} {
		e := n.Etablissement(nation.TLS(odd))
		wantNoHandshake(t, n, "wrong-usage", string(roc.StructureOf(e.EJ)), nil, e.TLS)
	}
}
