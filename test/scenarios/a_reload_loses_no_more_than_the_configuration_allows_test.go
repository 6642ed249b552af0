package scenarios

import (
	"slices"
	"syscall"
	"testing"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

// How much a reload may take away is what the configuration says: one
// establishment, which passes by default, is too much where none may go.
func TestAReloadLosesNoMoreThanTheConfigurationAllows(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary, nation.Section("register_losses", "etablissements: {share: 0, least: 0}"))
	chu := n.Etablissement()
	chu.Send(roc.IDB, "bleue").WantAnswer()
	n.Edit("etablissements.yaml", "nom: \"Etablissement 1\"\n    etat: cercle", "nom: \"Etablissement 1\"\n    etat: suspendu")
	n.RPN().Signal(syscall.SIGHUP)
	await.Until(t, "it is refused", func() bool { return slices.Contains(n.Ready().Degraded, "register") })
	chu.Send(roc.IDB, "bleue").WantAnswer()
}
