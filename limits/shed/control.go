package shed

import "time"

// A control is the decision, without lock or clock. Each period it compares
// arrivals with exchanges served; while exchanges wait, the difference is the
// excess.
type control struct {
	target time.Duration

	begun    time.Time
	came     [classes]float64 // in this period, including dropped ones
	done     float64
	longest  time.Duration // wait of those served
	shortest time.Duration
	capacity float64 // average served in a period while some waited

	demand [classes]float64 // average in a period
	ratio  float64
	kept   [classes]float64
}

const period = 100 * time.Millisecond

func newControl(target time.Duration) control {
	c := control{target: target, shortest: time.Hour}
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

func (c *control) served(wait time.Duration, at time.Time) {
	c.turn(at)
	c.done++
	c.longest, c.shortest = max(c.longest, wait), min(c.shortest, wait)
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
	c.adjust(inflow, c.done*scale)
	c.begun, c.came, c.done, c.longest, c.shortest = at, [classes]float64{}, 0, 0, time.Hour
	c.choose(inflow)
}

// adjust sets the excess.
func (c *control) adjust(inflow, done float64) {
	switch {
	case c.done == 0 || c.shortest < c.target/4: // a slot was free: more is possible
		c.ratio *= 0.95
		if c.ratio < 0.01 {
			c.ratio = 0
		}
	case c.shortest > c.target || c.ratio > 0 && c.shortest > c.target/2:
		if c.capacity == 0 {
			c.capacity = done
		}
		c.capacity += 0.3 * (done - c.capacity)
		// The queue beyond the target is worked off in a few periods.
		over := max(-1, (c.shortest-c.target).Seconds()/period.Seconds()/5)
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
