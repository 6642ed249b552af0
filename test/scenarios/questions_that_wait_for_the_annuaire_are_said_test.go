package scenarios

import (
	"fmt"
	"slices"
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	inner "github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/test/nation"
)

// The bound on questions a second makes them wait, loses none, is counted, and
// shows in /readyz.
func TestQuestionsThatWaitForTheAnnuaireAreSaid(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary, nation.Annuaire("probe: 0s\nper_second: 2"))
	if got := n.Metric("rpn_annuaire_limited_total"); got != "0" || slices.Contains(n.Ready().Degraded, "annuaire_questions") {
		t.Errorf("before any question %q waited, and /readyz says %v", got, n.Ready().Degraded)
	}
	chu := n.Etablissement(nation.Limited(1000, 1000))
	for i := range 6 { // four may come at once
		chu.Send(roc.IDB, "bleue", func(d *inner.Draft) { d.Demande.Adressage.CSR = roc.CSR(fmt.Sprintf("CSR%d", i)) }).WantAnswer()
	}
	if got := n.Metric("rpn_annuaire_limited_total"); got == "0" || !slices.Contains(n.Ready().Degraded, "annuaire_questions") {
		t.Errorf("%q questions waited, and /readyz says %v", got, n.Ready().Degraded)
	}
}
