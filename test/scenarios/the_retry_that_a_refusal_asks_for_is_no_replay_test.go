package scenarios

import (
	"testing"

	"github.com/piano-roc/rpn/annuaire/fictif"
	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
	inner "github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/test/nation"
)

// again sends the very bytes of an earlier message.
func again(first *nation.Reply) nation.Mutation {
	return with(func(d *inner.Draft) { d.Alter = func([]byte) []byte { return first.Sent } })
}

// A refusal that asks for a retry is not held against it: no byte of the
// message left, so the very same bytes are carried once they can be.
func TestTheRetryThatARefusalAsksForIsNoReplay(t *testing.T) {
	t.Parallel()
	for _, policy := range []string{"enforce", "observe"} {
		n := nation.New(t, nation.Binary, nation.Section("policies", "replay: "+policy), nation.Annuaire("ttl: 1s\nprobe: 0s"))
		chu := n.Etablissement()
		n.Annuaire.Break(fictif.Down)
		first := chu.Send(roc.IDB, "bleue").WantRefused(roc.AnnuaireSilent)
		chu.Send(roc.IDB, "bleue", again(first)).WantRefused(roc.AnnuaireSilent)
		n.Annuaire.Break(fictif.None)
		await.Until(t, "the annuaire answers, and the retry is carried", func() bool {
			return chu.Send(roc.IDB, "bleue", again(first)).Status == 200
		})
		// It has left: from here on it is a replay, counted or refused.
		r := chu.Send(roc.IDB, "bleue", again(first))
		if policy == "enforce" {
			r.WantRefused(roc.Replayed)
		} else {
			r.WantAnswer()
		}
		if got := n.Metric("rpn_replays_total"); got != "1" {
			t.Errorf("%s: %s replays are counted, want 1", policy, got)
		}
	}
}
