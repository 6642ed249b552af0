package scenarios

import (
	"net/http"
	"testing"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/mutuelle"
	inner "github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/test/nation"
)

func TestTheSignatureOfAnAnswerIsObservedOrEnforcedByPolicy(t *testing.T) {
	t.Parallel()
	bad := map[string]string{mutuelle.Alteree: "bad-signature", mutuelle.NonSignee: "not-signed"}
	t.Run("observed by default", func(t *testing.T) {
		t.Parallel()
		n := nation.New(t, nation.Binary)
		chu := n.Etablissement()
		for adherent, found := range bad {
			for _, r := range chu.SendBoth(roc.IDB, "bleue", inner.ForAdherent(adherent)) {
				if r.Status != http.StatusOK || r.Origin() != roc.FromAMC || r.Line().Text("record.answer_check") != found {
					t.Errorf("got %s, answer_check %q, want %s", r.Outcome, r.Line().Text("record.answer_check"), found)
				}
			}
		}
		await.Until(t, "they are counted", func() bool { return n.Metric(`rpn_answer_checks_total{outcome="not-signed"}`) == "2" })
	})
	t.Run("enforced", func(t *testing.T) {
		t.Parallel()
		n := nation.New(t, nation.Binary, nation.Section("policies", "answer_signatures: enforce"))
		chu := n.Etablissement()
		for adherent := range bad {
			chu.SendBoth(roc.IDB, "bleue", inner.ForAdherent(adherent)).WantRefused(roc.AMCBadAnswer)
		}
		chu.SendBoth(roc.IDB, "bleue").WantAnswer()
	})
}
