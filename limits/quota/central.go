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
	// Units is whole. Below zero it is a debt: what was spent on credit by an
	// instance that leaves. It is taken whole, even of an empty bucket.
	Units float64
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

// A Departure is what an instance says last. Mark, Sequence and Lost are as in
// a Question.
type Departure struct {
	Instance       string
	Mark, Sequence int64
	Lost           bool
}

// A Central is a store in memory. It is not safe for concurrent use.
type Central struct {
	mark, sequence int64 // mark: microseconds of the store's own clock
	last           int64 // when it was asked last
	left           bool  // every instance said that it leaves: nobody spends
	unheard        bool  // since the mark, an instance fell silent without leaving
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
// nobody has asked for a while: unless the last instance said that it leaves,
// then nobody has spent meanwhile, and the levels are as they were.
func (c *Central) Ask(q Question, now time.Duration) Answer {
	at := now.Microseconds()
	if c.mark == 0 || c.mark > at || q.Sequence > c.sequence || q.Lost && q.Mark == c.mark || at-c.last > silence.Microseconds() && !c.left {
		c.mark, c.unheard = at, false
	}
	c.last, c.left = at, false
	c.sequence = max(c.sequence, q.Sequence) + 1
	if c.members == nil {
		c.members, c.levels = map[string]int64{}, map[string]level{}
	}
	c.members[q.Instance] = at
	for id, seen := range c.members {
		switch {
		case at-seen > memberLife.Microseconds():
			delete(c.members, id)
			c.unheard = true
		case seen > at: // the clock went back; who is there says so again
			delete(c.members, id)
		}
	}
	a := Answer{Mark: c.mark, Sequence: c.sequence, Settling: at-c.mark < settling.Microseconds(), Instances: len(c.members), Grants: make([]Grant, len(q.Wants))}
	for i, w := range q.Wants {
		a.Grants[i] = c.take(w, len(c.members), at)
	}
	return a
}

// Leave takes an instance out. The last one out leaves what the store knows true
// until the next one comes, if all that were ever heard since the mark have
// left: one that fell silent may live on alone.
func (c *Central) Leave(d Departure) {
	delete(c.members, d.Instance)
	if !d.Lost && !c.unheard && c.mark != 0 && d.Mark == c.mark && d.Sequence <= c.sequence && len(c.members) == 0 {
		c.left = true
	}
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
	if w.Units < 0 {
		given = -w.Units
	}
	left := units - given
	c.levels[w.Account] = level{left, at}
	wait := max(0, 1-left) / w.Terms.Rate
	return Grant{Units: given, Wait: time.Duration(math.Ceil(min(wait, 3600)*1e6)) * time.Microsecond}
}

// Lose forgets everything, like a store that was emptied.
func (c *Central) Lose() { *c = Central{} }
