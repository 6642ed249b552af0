package scenarios

import (
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	inner "github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/test/nation"
)

func TestAMessageWithoutASignatureIsRefused(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	n.Etablissement().SendBoth(roc.IDB, "bleue", inner.Unsigned).WantRefused(roc.NotSigned)
	n.AMC("bleue").WantReceived(0)
}
