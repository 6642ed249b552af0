package nation_test

import (
	"os"
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

func TestMain(m *testing.M) { os.Exit(nation.Main(m)) }

func TestUnderSurveillanceOnlyTheMirrorIsReached(t *testing.T) {
	t.Parallel()
	n := nation.New(t)
	chu := n.Etablissement(nation.UnderSurveillance("verte"))

	chu.Send(roc.IDB, "verte").WantAnswer()
	chu.Send(roc.IDB, "bleue").WantRefused(roc.OutsideCircle)

	n.AMC("bleue").WantReceived(0)
}
