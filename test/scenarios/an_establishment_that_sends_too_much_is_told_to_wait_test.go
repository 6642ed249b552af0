package scenarios

import (
	"strconv"
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

func TestAnEstablishmentThatSendsTooMuchIsToldToWait(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	lac, chu := n.Etablissement(nation.Limited(0.001, 2)), n.Etablissement()
	lac.SendBoth(roc.IDB, "bleue").WantAnswer()
	for _, r := range lac.SendBoth(roc.IDB, "bleue").WantRefused(roc.TooMany) {
		if wait, err := strconv.Atoi(r.Header.Get("Retry-After")); err != nil || wait < 500 || wait > 1000 {
			t.Errorf("Retry-After: %q; one message in 1000 s is allowed", r.Header.Get("Retry-After"))
		}
	}
	chu.Send(roc.IDB, "bleue").WantAnswer() // the others are not held
	n.AMC("bleue").WantReceived(3)
}
