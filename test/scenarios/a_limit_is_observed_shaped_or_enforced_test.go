package scenarios

import (
	"strings"
	"sync"
	"testing"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

// What is beyond a limit passes and is counted, waits its turn, or is refused: by
// the configuration, and by the line of an establishment.
func TestALimitIsObservedShapedOrEnforced(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Section("limits", "per_second: 5\nburst: 5\nmode: observe\nshape_wait: 1m\nbytes: 64KiB"))
	observed := n.Etablissement(nation.Row("limite: {par_seconde: 0.01, rafale: 5}")) // by the mode of the configuration
	shaped := n.Etablissement(nation.Row("limite: {mode: shape}"))
	refused := n.Etablissement(nation.Row("limite: {mode: reject, par_seconde: 0.01, rafale: 1}"))
	heavy := n.Etablissement(nation.Row("limite: {octets_par_seconde: 1, rafale_octets: 64KiB, mode: reject, par_seconde: 1000, rafale: 1000}"))

	for range 15 {
		observed.Send(roc.IDB, "bleue").WantAnswer()
	}
	await.Until(t, "what passes is counted", func() bool {
		v := n.Metric(`rpn_over_limit_total{cause="rate-exceeded"}`)
		return v != "0" && v != ""
	})
	if !strings.Contains(n.Log(), `"event":"limit_observed"`) {
		t.Error("what passes is not in the log")
	}

	var all sync.WaitGroup
	for range 15 {
		all.Go(func() { shaped.Send(roc.IDB, "bleue").WantAnswer() })
	}
	all.Wait()

	refused.Send(roc.IDB, "bleue").WantAnswer()
	if c := refused.Send(roc.IDB, "bleue").WantRefused(roc.TooMany).Cause(); c != roc.RateExceeded {
		t.Errorf("cause %q", c)
	}

	for i := 0; ; i++ { // each of some kB, of 64 KiB
		r := heavy.Send(roc.IDB, "bleue")
		if r.Refused(roc.TooMany) {
			if r.WantRefused(roc.TooMany); r.Cause() != roc.ByteRateExceeded || i < 3 {
				t.Errorf("the %dth is refused for %q", i, r.Cause())
			}
			break
		}
		if r.WantAnswer(); i > 100 {
			t.Fatal("bytes have no limit")
		}
	}
}
