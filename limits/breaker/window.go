package breaker

import "time"

const slots = 10

// A window counts outcomes over a sliding time, in slots of a tenth of it.
type window struct {
	slot  [slots]tally
	first int64 // number of the newest slot
}

type tally struct {
	all, failures, slow int
	callers, failing    crowd
}

// A crowd tells whether one or several senders took part.
type crowd struct {
	one     uint64
	some    bool
	several bool
}

func (c *crowd) add(who uint64) {
	c.several = c.several || c.some && c.one != who
	c.one, c.some = who, true
}

func (c *crowd) join(o crowd) {
	if o.some {
		c.several = c.several || o.several
		c.add(o.one)
	}
}

func (w *window) turnTo(length time.Duration, at time.Time) *tally {
	n := at.UnixNano() / int64(length/slots)
	if n > w.first {
		for i := max(w.first+1, n-slots+1); i <= n; i++ {
			w.slot[i%slots] = tally{}
		}
		w.first = n
	}
	return &w.slot[w.first%slots]
}

func (w *window) count(length time.Duration, at time.Time, who uint64, failed, slow bool) {
	t := w.turnTo(length, at)
	t.all++
	t.callers.add(who)
	if failed {
		t.failures++
	}
	if slow {
		t.slow++
	}
	if failed || slow {
		t.failing.add(who)
	}
}

// fails reports whether the breaker must open. Failures of one sender alone,
// while others are served, are the sender's own: they do not open it.
func (w *window) fails(o Options, at time.Time) bool {
	w.turnTo(o.Window, at)
	var sum tally
	for i := range w.slot {
		t := &w.slot[i]
		sum.all += t.all
		sum.failures += t.failures
		sum.slow += t.slow
		sum.callers.join(t.callers)
		sum.failing.join(t.failing)
	}
	if sum.callers.several && !sum.failing.several {
		return false
	}
	all := float64(sum.all)
	return sum.failures >= o.Failures && float64(sum.failures) >= o.FailureShare*all ||
		sum.all >= 2*o.Failures && float64(sum.slow) >= o.SlowShare*all
}
