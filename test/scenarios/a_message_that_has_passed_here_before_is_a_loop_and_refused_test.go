package scenarios

import (
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	inner "github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/test/nation"
)

func TestAMessageThatHasPassedHereBeforeIsALoopAndRefused(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	chu := n.Etablissement()
	for _, via := range []string{"1.1 rpn", "1.1 proxy.chu.test, 1.1 RPN (x)"} {
		chu.SendBoth(roc.IDB, "bleue", inner.WithHeader("Via", via)).WantRefused(roc.NotSOAP).WantSaying("boucle")
	}
	n.AMC("bleue").WantReceived(0)
	chu.Send(roc.IDB, "bleue", inner.WithHeader("Via", "1.1 proxy.chu.test, 1.1 rpn.chu.test")).WantAnswer()
}
