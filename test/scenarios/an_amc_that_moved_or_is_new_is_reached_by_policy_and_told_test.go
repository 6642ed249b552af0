package scenarios

import (
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	inner "github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/test/nation"
)

func TestAnAMCThatMovedOrIsNewIsReachedByPolicyAndTold(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary, nation.Insurer("bleue", func(i *inner.Insurer) { i.Domain = "autre.example" }),
		nation.Section("policies", "new_domain: accept\nunknown_amc: accept"))
	n.Etablissement().SendBoth(roc.IDB, "bleue").WantAnswer()
	if !strings.Contains(n.Log(), "roc.mutuelle-bleue.example") || !strings.Contains(n.Log(), `"level":"WARN"`) {
		t.Error("the log does not warn of the new domain")
	}
}
