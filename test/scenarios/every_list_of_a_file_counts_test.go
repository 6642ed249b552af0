package scenarios

import (
	"bytes"
	"encoding/pem"
	"math/big"
	"os"
	"testing"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

// A file of several lists, as other servers want them: who is revoked by the
// second is out, by TLS.
func TestEveryListOfAFileCounts(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.NotStarted)
	chu, stolen := n.Etablissement(), n.Etablissement()
	var text bytes.Buffer
	for _, l := range []igc.List{{ByRoot: true}, {Revoked: []*big.Int{stolen.TLS.Cert.SerialNumber}}} {
		pem.Encode(&text, &pem.Block{Type: "X509 CRL", Bytes: n.PKI.CRL(igc.EtablissementTLS, l)})
	}
	if err := os.WriteFile(n.File("listes.pem"), text.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	lists(n, "listes.pem")
	n.Start()
	if got := n.HandshakeOf(stolen.TLS); got != "revoked" {
		t.Errorf("revoked by the second list: %q", got)
	}
	chu.Send(roc.IDB, "bleue").WantAnswer()
}

// lists names revocation lists in rpn.yaml.
func lists(n *nation.Nation, places string) {
	n.Edit("rpn.yaml", "\nrevocation:\n", "\nrevocation:\n  lists: ["+places+"]\n")
}
