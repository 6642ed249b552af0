package crossbar

import (
	"testing"
	"time"
)

// A clock that jumps five days forwards and back leaves nothing behind: seats are
// held as long as before, nobody is put behind the others, and who can be served
// in time is.
func TestAClockThatJumpsLeavesNoSeatHeldForDays(t *testing.T) {
	t.Parallel()
	const fiveDays = 5 * 24 * time.Hour
	for name, jump := range map[string]func(t *testing.T, p *pool, at time.Time){
		"a seat returned while the clock is ahead": func(t *testing.T, p *pool, at time.Time) {
			s, _ := p.take("chu", 0, at)
			if h := p.holds(at.Add(fiveDays)); h > 2 {
				t.Errorf("while the clock is ahead a seat is thought to be held for %.0f s", h)
			}
			p.leave(s, at.Add(fiveDays))
		},
		"a seat taken while the clock is ahead": func(t *testing.T, p *pool, at time.Time) {
			s, _ := p.take("chu", 0, at.Add(fiveDays))
			p.leave(s, at)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPool(4, 0.5)
			for i := range 20 { // a seat is held for a second
				s, _ := p.take("chu", 0, noon.Add(time.Duration(i)*time.Second))
				p.leave(s, noon.Add(time.Duration(i+1)*time.Second))
			}
			at := noon.Add(20 * time.Second)
			used := p.flows["chu"].used
			jump(t, p, at)
			if h := p.holds(at); h < 0.5 || h > 2 {
				t.Errorf("once the clock is back a seat is thought to be held for %.0f s", h)
			}
			if more := p.flows["chu"].used - used; more < 0 || more > 2 {
				t.Errorf("the seat costs %.0f seat-seconds", more)
			}
			for range 4 {
				p.take("chu", 0, at)
				p.take("clinique", 0, at)
			}
			if _, r := p.wait("chu", at, 10*time.Second, 32); r != nil {
				t.Errorf("with ten seconds left it is refused: %v", r)
			}
		})
	}
}
