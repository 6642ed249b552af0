package scenarios

import (
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

func TestAnAMCThatCannotBeReachedIsSaid(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	n.Etablissement().SendBoth(roc.IDB, "absente").WantRefused(roc.AMCUnreachable)
}
