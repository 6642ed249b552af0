package scenarios

import (
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	inner "github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/test/nation"
)

func TestAMessageWhoseTimestampIsNotSignedIsRefused(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	without := with(func(d *inner.Draft) { d.Sign.NoTimestamp = true })
	n.Etablissement().SendBoth(roc.IDB, "bleue", without).WantRefused(roc.PartNotSigned)
	n.AMC("bleue").WantReceived(0)
	n.Etablissement(nation.WithoutTimestamp).SendBoth(roc.IDB, "bleue", without).WantAnswer() // exempted by the register
}
