package scenarios

import (
	"math/big"
	"testing"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

func TestAClientWhoseCertificateIsRevokedGetsNoHandshake(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.NotStarted)
	chu, stolen := n.Etablissement(), n.Etablissement()
	withLists(t, n, map[igc.Side]igc.List{
		igc.EtablissementTLS: {Revoked: []*big.Int{stolen.TLS.Cert.SerialNumber}}, igc.EtablissementSignature: {},
	})
	n.Start()
	wantNoHandshake(t, n, "revoked", string(roc.StructureOf(stolen.EJ)), nil, stolen.TLS)
	chu.Send(roc.IDB, "bleue").WantAnswer()
}
