package scenarios

import (
	"testing"

	"github.com/piano-roc/rpn/test/nation"
)

func TestARegisterThatCannotBeReadKeepsTheRPNFromStarting(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.NotStarted)
	n.Edit("etablissements.yaml", "etat: cercle", "etat: cerlce")
	wantOneLine(t, n, "etablissements.yaml:", "cercle")
}
