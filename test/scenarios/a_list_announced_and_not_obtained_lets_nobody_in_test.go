package scenarios

import (
	"slices"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

// A list that is announced by LDAP alone, and one that is not there: closed, and
// readiness says so. A CA that announces none is open by default.
func TestAListAnnouncedAndNotObtainedLetsNobodyIn(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	chu := n.Etablissement()
	for _, place := range []string{"ldap://annuaire.example/cn=AC?certificateRevocationList", "http://127.0.0.1:1/es.crl"} {
		who := n.Etablissement(nation.TLS(igc.Points(place)))
		if got := n.HandshakeOf(who.TLS); got != "revocation-unknown" {
			t.Errorf("%s: %q", place, got)
		}
	}
	chu.Send(roc.IDB, "bleue").WantAnswer()
	if r := n.Ready(); !r.Ready || !slices.ContainsFunc(r.Degraded, func(d string) bool { return strings.Contains(d, "revocation") }) {
		t.Errorf("readiness: %+v", r)
	}
}
