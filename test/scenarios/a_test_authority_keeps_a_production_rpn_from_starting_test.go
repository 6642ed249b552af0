package scenarios

import (
	"testing"

	"github.com/piano-roc/rpn/test/nation"
)

func TestATestAuthorityKeepsAProductionRPNFromStarting(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.NotStarted)
	n.Edit("rpn.yaml", "environment: test", "environment: production")
	wantOneLine(t, n, "TEST")
}
