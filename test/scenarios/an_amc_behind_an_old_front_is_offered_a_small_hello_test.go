package scenarios

import (
	"crypto/tls"
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

// Its row says so; the others are offered the post-quantum key exchange.
func TestAnAMCBehindAnOldFrontIsOfferedASmallHello(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.NotStarted)
	chu := n.Etablissement()
	n.Edit("amc.yaml", "nom: \"Mutuelle Bleue\"", "nom: \"Mutuelle Bleue\"\n    tls: {post_quantum: false}")
	n.Start()
	for amc, want := range map[string]tls.CurveID{"bleue": tls.X25519, "verte": tls.X25519MLKEM768} {
		chu.Send(roc.IDB, amc).WantAnswer()
		if got := n.AMC(amc).Last().Group; got != want {
			t.Errorf("%s: the key exchange is %v, want %v", amc, got, want)
		}
	}
}
