package limits

import (
	"slices"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/limits/shed"
)

// Simulations go first, then searches, then rights; what settles a case last.
func TestServicesHaveTheirImportance(t *testing.T) {
	t.Parallel()
	var order []shed.Class
	for _, s := range []roc.Service{roc.SIM, roc.Annuaire, roc.IDB, roc.CLC} {
		order = append(order, classOf(s))
	}
	if !slices.IsSorted(order) || len(slices.Compact(order)) != 4 || classOf(roc.ANL) != classOf(roc.CLC) {
		t.Errorf("%v, %v", order, classOf(roc.ANL))
	}
}

// A second in which 500 simulations and 500 calculations come, 600 are processed,
// and work waits: then simulations are refused, with the time to wait.
func TestWhatIsDroppedIsARefusal(t *testing.T) {
	t.Parallel()
	wait := time.Second
	l := NewShedding(shed.New(shed.Options{Target: 20 * time.Millisecond, Wait: func() time.Duration { return wait }, Random: func() float64 { return 0 }}))
	at := time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)
	play := func() (sim, clc error) {
		for range 10 {
			for range 50 {
				sim, clc = l.Admit(roc.SIM, at), l.Admit(roc.CLC, at)
			}
			for range 60 {
				l.Processed(at)
			}
			at = at.Add(100 * time.Millisecond)
		}
		return sim, clc
	}
	sim, clc := play()
	if r := roc.RefusalOf(sim); sim == nil || r.Reason != roc.Overloaded || r.CauseCode != roc.LoadShed || r.RetryAfter < time.Second {
		t.Errorf("a simulation: %v", sim)
	}
	if clc != nil {
		t.Errorf("a calculation: %v", clc)
	}
	wait = 0
	for range 20 {
		sim, clc = play()
	}
	if sim != nil || clc != nil {
		t.Errorf("once nothing waits: %v, %v", sim, clc)
	}
}
