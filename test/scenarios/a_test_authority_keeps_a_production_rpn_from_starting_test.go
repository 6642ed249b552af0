package scenarios

import (
	"testing"

	"github.com/piano-roc/rpn/test/nation"
)

func TestATestAuthorityKeepsAProductionRPNFromStarting(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.NotStarted)
	n.Edit("rpn.yaml", "environment: test", "environment: production")
	wantFaults(t, n, 3, "trust.etablissements_tls", "server: ", "client: ", "TEST")
}
