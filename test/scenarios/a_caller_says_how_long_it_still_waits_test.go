package scenarios

import (
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	inner "github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/test/nation"
)

// RPN-Delai-Ms, profile section 8.
func TestACallerSaysHowLongItStillWaits(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary) // 20 s of its own
	chu, bleue := n.Etablissement(), n.AMC("bleue")
	chu.Send(roc.IDB, "bleue").WantAnswer() // the connection is there
	bleue.Hold()
	chu.SendBoth(roc.IDB, "bleue", inner.WithHeader("RPN-Delai-Ms", "700")).WantRefused(roc.AMCSilent)
	if got := bleue.Last().Header.Values("RPN-Delai-Ms"); len(got) > 0 {
		t.Errorf("RPN-Delai-Ms was passed on: %q", got)
	}
	if c := chu.Send(roc.IDB, "bleue", inner.WithHeader("RPN-Delai-Ms", "700")).WantRefused(roc.AMCSilent).Cause(); c != roc.StatedDelayAfter || c.Meaning().Responsable != roc.ByEtablissement {
		t.Errorf("cause %q: an insurer that was given 700 ms is not silent", c)
	}
	bleue.Release()
	for _, none := range []string{"bientôt", "-5", "0", ""} {
		chu.Send(roc.IDB, "bleue", inner.WithHeader("RPN-Delai-Ms", none)).WantRefused(roc.NotSOAP).WantSaying("RPN-Delai-Ms")
	}
}
