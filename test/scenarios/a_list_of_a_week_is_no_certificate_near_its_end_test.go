package scenarios

import (
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

// A revocation list ends each week: nobody is told to renew it, and it is in no
// count of certificates. It has its own metrics.
func TestAListOfAWeekIsNoCertificateNearItsEnd(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.NotStarted)
	withLists(t, n, map[igc.Side]igc.List{igc.EtablissementTLS: {}, igc.EtablissementSignature: {}})
	n.Start()
	n.Etablissement().Send(roc.IDB, "bleue").WantAnswer()
	_, page, err := n.Admin("/certificats?format=json")
	if err != nil || strings.Contains(page, `"7j"`) || !strings.Contains(page, `"niveau"`) {
		t.Errorf("the view of certificates: %v\n%s", err, page)
	}
	_, metrics, err := n.Admin("/metrics")
	if err != nil {
		t.Fatal(err)
	}
	lists := 0
	for line := range strings.Lines(metrics) {
		if strings.HasPrefix(line, "rpn_certificate") && strings.Contains(line, `level="7j"`) && !strings.HasSuffix(line, " 0\n") {
			t.Errorf("counted as a certificate: %s", line)
		}
		if strings.HasPrefix(line, "rpn_revocation_list_") || strings.HasPrefix(line, "rpn_crl_") {
			lists++
		}
	}
	if lists == 0 {
		t.Error("the lists have no metrics of their own")
	}
	if strings.Contains(n.Log(), "near its end") {
		t.Error("it is told to renew something")
	}
}
