package scenarios

import (
	"math/big"
	"os"
	"syscall"
	"testing"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

// A new list takes effect without a restart, on the connections that are open
// too.
func TestACertificateRevokedWhileRunningIsOut(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.NotStarted)
	chu, stolen := n.Etablissement(), n.Etablissement()
	lists := map[igc.Side]igc.List{igc.EtablissementTLS: {}, igc.EtablissementSignature: {}}
	withLists(t, n, lists)
	n.Start()
	stolen.Send(roc.IDB, "bleue").WantAnswer() // and its connection stays
	list := n.PKI.CRL(igc.EtablissementTLS, igc.List{Number: 2, Revoked: []*big.Int{stolen.TLS.Cert.SerialNumber}})
	if err := os.WriteFile(n.File("etablissements-tls.crl"), list, 0o644); err != nil {
		t.Fatal(err)
	}
	n.RPN().Signal(syscall.SIGHUP)
	await.Until(t, "it is out", func() bool {
		r := stolen.Send(roc.IDB, "bleue")
		return r.Err != nil || r.Refused(roc.Revoked)
	})
	chu.Send(roc.IDB, "bleue").WantAnswer()
}
