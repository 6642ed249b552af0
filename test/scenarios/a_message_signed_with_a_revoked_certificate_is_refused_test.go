package scenarios

import (
	"math/big"
	"os"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

func TestAMessageSignedWithARevokedCertificateIsRefused(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.NotStarted)
	chu, stolen := n.Etablissement(), n.Etablissement()
	withLists(t, n, map[igc.Side]igc.List{
		igc.EtablissementSignature: {Revoked: []*big.Int{stolen.Signature.Cert.SerialNumber}}, igc.EtablissementTLS: {},
	})
	n.Start()
	stolen.SendBoth(roc.IDB, "bleue").WantRefused(roc.Revoked)
	n.AMC("bleue").WantReceived(0)
	chu.SendBoth(roc.IDB, "bleue").WantAnswer()
}

// withLists gives the RPN these revocation lists.
func withLists(t *testing.T, n *nation.Nation, lists map[igc.Side]igc.List) {
	t.Helper()
	var names []string
	for side, l := range lists {
		names = append(names, side.String()+".crl")
		if err := os.WriteFile(n.File(side.String()+".crl"), n.PKI.CRL(side, l), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	n.Edit("rpn.yaml", "\nrevocation:\n", "\nrevocation:\n  lists: ["+strings.Join(names, ", ")+"]\n")
}
