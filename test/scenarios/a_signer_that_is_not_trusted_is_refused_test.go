package scenarios

import (
	"testing"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/roc"
	inner "github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/test/nation"
)

// The four trust stores are never mixed: who may connect may not sign.
func TestASignerThatIsNotTrustedIsRefused(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	for _, odd := range []igc.Option{igc.Expired(), igc.NotYet(), igc.OtherCA(), igc.Impostor(), igc.WrongEKU(), igc.WrongKU()} {
		n.Etablissement(nation.Signing(odd)).SendBoth(roc.IDB, "bleue").WantRefused(roc.UntrustedSigner)
	}
	chu := n.Etablissement()
	chu.SendBoth(roc.IDB, "bleue", inner.SignedBy(chu.TLS)).WantRefused(roc.UntrustedSigner)
	n.AMC("bleue").WantReceived(0)
}
