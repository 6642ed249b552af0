package shed

import (
	"testing"
	"time"
)

// A clock that jumps five days forwards and back leaves nothing behind: the next
// period ends when it would have.
func TestAClockThatJumpsHoldsNoPeriodOpen(t *testing.T) {
	t.Parallel()
	const fiveDays = 5 * 24 * time.Hour
	c := newControl(20*time.Millisecond, func() time.Duration { return 0 })
	c.arrive(Settlement, noon)
	c.arrive(Settlement, noon.Add(fiveDays))
	if c.begun != noon.Add(fiveDays) {
		t.Fatalf("the period of five days later begins at %s", c.begun)
	}
	c.arrive(Settlement, noon.Add(time.Second))
	c.arrive(Settlement, noon.Add(time.Second+period))
	if c.begun != noon.Add(time.Second+period) {
		t.Errorf("once the clock is back the period of %s stays open", c.begun)
	}
	if c.ratio != 0 || c.kept[Settlement] != 1 {
		t.Errorf("%.2f is dropped, %.2f of the settlements are kept", c.ratio, c.kept[Settlement])
	}
}
