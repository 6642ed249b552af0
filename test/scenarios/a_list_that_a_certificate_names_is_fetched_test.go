package scenarios

import (
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

// Nobody comes in by a CA that announces a list before that list is there; it
// is fetched because somebody came, and then decides.
func TestAListThatACertificateNamesIsFetched(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	given := make(chan struct{})
	var revoked []*big.Int
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		<-given
		w.Write(n.PKI.CRL(igc.EtablissementTLS, igc.List{Revoked: revoked}))
	}))
	t.Cleanup(server.Close)
	names := nation.TLS(igc.Points("ldap://annuaire.example/cn=AC", server.URL+"/es.crl"))
	chu, stolen := n.Etablissement(names), n.Etablissement(names)
	revoked = []*big.Int{stolen.TLS.Cert.SerialNumber}
	if got := n.HandshakeOf(chu.TLS); got != "revocation-unknown" {
		t.Errorf("before the list is there: %q", got)
	}
	close(given)
	await.Until(t, "the list is in use", func() bool { return n.HandshakeOf(chu.TLS) == "" })
	if got := n.HandshakeOf(stolen.TLS); got != "revoked" {
		t.Errorf("revoked by that list: %q", got)
	}
	chu.Send(roc.IDB, "bleue").WantAnswer()
}
