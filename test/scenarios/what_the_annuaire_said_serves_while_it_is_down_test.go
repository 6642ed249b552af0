package scenarios

import (
	"net/http"
	"slices"
	"testing"

	"github.com/piano-roc/rpn/annuaire/fictif"
	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

func TestWhatTheAnnuaireSaidServesWhileItIsDown(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary, nation.Annuaire("ttl: 1h"))
	chu := n.Etablissement()
	chu.Send(roc.IDB, "bleue").WantAnswer()
	for _, f := range []fictif.Fault{fictif.Down, fictif.Silent, fictif.Unsigned} {
		n.Annuaire.Break(f)
		chu.Send(roc.IDB, "bleue").WantAnswer()
	}
	// A restart meanwhile, and the load balancer goes on sending.
	n.Annuaire.Break(fictif.Down)
	n.Crash()
	await.Until(t, "it is ready by what is on disk", func() bool {
		r := n.Ready()
		return r.Status == http.StatusOK && slices.Contains(r.Degraded, "annuaire")
	})
	chu.Send(roc.IDB, "bleue").WantAnswer()
}
