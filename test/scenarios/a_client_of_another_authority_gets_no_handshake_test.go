package scenarios

import (
	"testing"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

// Another authority is also that of signatures: the four stores never mix.
func TestAClientOfAnotherAuthorityGetsNoHandshake(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	for _, odd := range []igc.Option{igc.OtherCA(), igc.Impostor(), igc.SelfSigned()} {
		e := n.Etablissement(nation.TLS(odd))
		wantNoHandshake(t, n, "unknown-ca", string(roc.StructureOf(e.EJ)), nil, e.TLS)
	}
	chu := n.Etablissement()
	wantNoHandshake(t, n, "unknown-ca", string(roc.StructureOf(chu.EJ)), nil, chu.Signature)
}
