package shed

import (
	"math"
	"time"
)

// A control is the decision, without lock or clock. Each period it compares
// arrivals with exchanges processed; while work waits, the difference is the
// excess.
type control struct {
	target time.Duration
	wait   func() time.Duration // how long work waited in a period

	begun    time.Time
	came     [classes]float64 // in this period, including dropped ones
	done     float64
	usual    float64 // average processed in a period
	capacity float64 // what can be processed in a period; 0: nothing waits

	demand [classes]float64 // average in a period
	ratio  float64
	kept   [classes]float64
}

const period = 100 * time.Millisecond

func newControl(target time.Duration, wait func() time.Duration) control {
	c := control{target: target, wait: wait}
	for i := range c.kept {
		c.kept[i] = 1
	}
	return c
}

// arrive counts one exchange, and returns the part of its class that is
// accepted.
func (c *control) arrive(class Class, at time.Time) float64 {
	c.turn(at)
	c.came[class]++
	return c.kept[class]
}

func (c *control) processed(at time.Time) {
	c.turn(at)
	c.done++
}

func (c *control) turn(at time.Time) {
	if c.begun.IsZero() || c.begun.Sub(at) > period { // the clock went back
		c.begun = at
	}
	if at.Sub(c.begun) < period {
		return
	}
	scale := period.Seconds() / at.Sub(c.begun).Seconds() // a time without arrivals is one long period
	var inflow float64
	for i := range c.came {
		c.demand[i] += 0.5 * (c.came[i]*scale - c.demand[i])
		inflow += c.demand[i]
	}
	c.adjust(inflow, c.done*scale, c.wait())
	if c.ratio = fade(c.ratio, at.Sub(c.begun).Seconds()/period.Seconds()-1); c.ratio == 0 {
		c.capacity = 0 // of an overload that is over
	}
	c.begun, c.came, c.done = at, [classes]float64{}, 0
	c.choose(inflow)
}

// fade is what is left of a ratio after periods in which more was possible.
func fade(ratio, periods float64) float64 {
	if ratio *= math.Pow(0.95, max(0, periods)); ratio < 0.01 {
		return 0
	}
	return ratio
}

// adjust sets the excess.
func (c *control) adjust(inflow, done float64, wait time.Duration) {
	c.usual += 0.2 * (done - c.usual)
	switch {
	case c.done == 0 || wait < c.target/2: // more is possible
		c.ratio = fade(c.ratio, 1)
	case wait > c.target || c.ratio > 0:
		// While something is dropped, what was processed is what was let in: it can
		// show that more is possible, and never that less is.
		switch {
		case c.capacity == 0:
			c.capacity = max(done, c.usual)
		case done > c.capacity:
			c.capacity += 0.3 * (done - c.capacity)
		}
		// The queue beyond the target is worked off in a few periods.
		over := max(-1, (wait-c.target).Seconds()/period.Seconds()/5)
		allowed := c.capacity * max(0.2, 1-over)
		if inflow > 0 {
			c.ratio = min(0.99, max(0, 1-allowed/inflow))
		}
	}
}

// choose spreads the ratio from the lowest class up: all of a class before any
// of the next one, and a part of the last one.
func (c *control) choose(inflow float64) {
	drop := c.ratio * inflow
	for i := range c.kept {
		if c.demand[i] <= 0 {
			c.kept[i] = 1
			if drop > 0 {
				c.kept[i] = 0
			}
			continue
		}
		part := min(1, drop/c.demand[i])
		c.kept[i] = 1 - part
		drop -= part * c.demand[i]
	}
}
