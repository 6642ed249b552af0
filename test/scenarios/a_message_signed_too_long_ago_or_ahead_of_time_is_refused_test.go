package scenarios

import (
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	inner "github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/test/nation"
)

// Profile section 3: life <= 1 h, tolerance 5 min either way.
func TestAMessageSignedTooLongAgoOrAheadOfTimeIsRefused(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	chu := n.Etablissement()
	for _, how := range []nation.Mutation{
		inner.SignedAt(time.Now().AddDate(0, 0, -1)),
		inner.SignedAt(time.Now().Add(time.Hour)),
		with(func(d *inner.Draft) { d.Sign.Life = 2 * time.Hour }),
	} {
		chu.SendBoth(roc.IDB, "bleue", how).WantRefused(roc.StaleTimestamp)
	}
	n.AMC("bleue").WantReceived(0)
	chu.SendBoth(roc.IDB, "bleue", inner.SignedAt(time.Now().Add(-4*time.Minute))).WantAnswer()
}
