package scenarios

import (
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
	inner "github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/test/nation"
)

// With a share of one in one, each accepted message is verified again by other
// libraries, off its path, and they agree.
func TestAShareOfTheSignaturesIsVerifiedTwice(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary, nation.Section("policies", "second_opinions: 1"))
	chu := n.Etablissement()
	chu.SendBoth(roc.IDB, "bleue").WantAnswer()
	chu.Send(roc.IDB, "bleue", inner.Unsigned).WantRefused(roc.NotSigned)
	await.Until(t, "the two messages that were accepted are verified again", func() bool {
		return n.Metric(`rpn_second_opinions_total{result="agrees"}`) == "2"
	})
	for _, other := range []string{"disagrees", "cannot"} {
		if got := n.Metric(`rpn_second_opinions_total{result="` + other + `"}`); got != "0" {
			t.Errorf("%s: %s", other, got)
		}
	}
	if !strings.Contains(n.Log(), `"event":"rsa_verify"`) {
		t.Error("the log does not say how RSA signatures are verified")
	}
}
