package scenarios

import (
	"net/http"
	"slices"
	"testing"

	"github.com/piano-roc/rpn/annuaire/fictif"
	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/test/nation"
)

func TestReadyzNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.NotStarted, nation.Annuaire("probe: 100ms\nttl: 100ms\nmax_age: 300ms\ntimeout: 2s"))
	n.Annuaire.Break(fictif.Down)
	n.Launch()
	await.Until(t, "the annuaire is missing", func() bool {
		r := n.Ready()
		return r.Status == http.StatusServiceUnavailable && slices.Equal(r.Missing, []string{"annuaire"})
	})
	if status, _, err := n.Admin("/livez"); err != nil || status != http.StatusOK {
		t.Errorf("/livez: %d %v", status, err)
	}
	n.Annuaire.Break(fictif.None)
	await.Until(t, "it is ready", func() bool { return n.Ready().Ready })
	for _, f := range []fictif.Fault{fictif.Down, fictif.BadSignature} {
		n.Annuaire.Break(f)
		await.Until(t, "what it remembers is too old", func() bool { return slices.Contains(n.Ready().Missing, "annuaire") })
		n.Annuaire.Break(fictif.None)
		await.Until(t, "it is ready again", func() bool { return n.Ready().Ready })
	}
}
