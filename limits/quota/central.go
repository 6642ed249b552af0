package quota

import (
	"math"
	"time"
)

// The central side: what the Redis script (central.lua) does, in plain Go. The
// simulations run on it, and a test checks that both give the same answers.

const (
	// memberLife is how long a silent instance still counts.
	memberLife = time.Minute
	// silence is how long nobody asks before the store assumes that the
	// instances worked without it.
	silence = 3 * heartbeat
	// settling is how long after its mark the store gives nothing: by then
	// every instance that can has noticed that the store is there, and all
	// leave their own bucket at the same time.
	settling = 1500 * time.Millisecond
	// heartbeat is the longest time between two questions of an instance.
	heartbeat = time.Second
)

// A Question is what an instance asks of the store, for several accounts at
// once.
type Question struct {
	Instance string
	// Mark and Sequence are those of the last Answer; 0: none yet. Lost says
	// that the instance has worked without the store since then.
	Mark, Sequence int64
	Lost           bool
	Wants          []Want
}

// A Want is how much of one account is asked for.
type Want struct {
	Account string
	Terms   Terms
	Units   float64 // at least 1, whole
}

// An Answer is what the store gave.
type Answer struct {
	Mark, Sequence int64
	Settling       bool // the store gives nothing yet
	Instances      int
	Grants         []Grant // one for each Want
}

// A Grant is a slice: whole units, and how long until there is one more.
type Grant struct {
	Units float64
	Wait  time.Duration
}

// A Central is a store in memory. It is not safe for concurrent use.
type Central struct {
	mark, sequence int64 // mark: microseconds of the store's own clock
	last           int64 // when it was asked last
	members        map[string]int64
	levels         map[string]level
}

type level struct {
	units float64
	at    int64
}

// Ask answers q at the instant now of the store's own clock.
//
// What a lost store held is not known, so a missing account is not treated as
// full: it holds what the rate gave since the mark and the settling time. A new
// mark is set when there is none, when the store has gone back in time (its
// sequence is below what an instance has seen), when an instance has worked
// without the store, and when nobody has asked for a while.
// instance has seen), when an instance has lived without the store, and when
// nobody has asked for a while.
func (c *Central) Ask(q Question, now time.Duration) Answer {
	at := now.Microseconds()
	if c.mark == 0 || c.mark > at || q.Sequence > c.sequence || q.Lost && q.Mark == c.mark || at-c.last > silence.Microseconds() {
		c.mark = at
	}
	c.last = at
	c.sequence = max(c.sequence, q.Sequence) + 1
	if c.members == nil {
		c.members, c.levels = map[string]int64{}, map[string]level{}
	}
	c.members[q.Instance] = at
	for id, seen := range c.members {
		if at-seen > memberLife.Microseconds() {
			delete(c.members, id)
		}
	}
	a := Answer{Mark: c.mark, Sequence: c.sequence, Settling: at-c.mark < settling.Microseconds(), Instances: len(c.members), Grants: make([]Grant, len(q.Wants))}
	for i, w := range q.Wants {
		a.Grants[i] = c.take(w, len(c.members), at)
	}
	return a
}

func (c *Central) take(w Want, instances int, at int64) Grant {
	burst := w.Terms.CentralBurst(instances)
	units := min(burst, w.Terms.Rate*float64(max(0, at-c.mark-settling.Microseconds()))/1e6)
	if l, ok := c.levels[w.Account]; ok {
		units = min(units, l.units+w.Terms.Rate*float64(max(0, at-l.at))/1e6)
	}
	given := units
	if instances > 1 && given >= 2 {
		given /= 2 // the other half is for the others
	}
	given = max(0, min(w.Units, math.Floor(given)))
	left := units - given
	c.levels[w.Account] = level{left, at}
	wait := max(0, 1-left) / w.Terms.Rate
	return Grant{Units: given, Wait: time.Duration(math.Ceil(min(wait, 3600)*1e6)) * time.Microsecond}
}

// Lose forgets everything, like a store that was emptied.
func (c *Central) Lose() { *c = Central{} }
