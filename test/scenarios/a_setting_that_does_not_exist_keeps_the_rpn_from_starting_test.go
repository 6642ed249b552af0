package scenarios

import (
	"testing"

	"github.com/piano-roc/rpn/test/nation"
)

func TestASettingThatDoesNotExistKeepsTheRPNFromStarting(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.NotStarted)
	n.Edit("rpn.yaml", "environment: test", "environment: test\nlimit: {per_second: 5}")
	wantOneLine(t, n, "rpn.yaml:3:", "limits")
}
