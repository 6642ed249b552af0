package quota

import (
	"math"
	"time"
)

// An Account is what one instance holds of one limit. Instants are durations
// since any fixed start, by a monotonic clock; one that is earlier than the
// last counts as the last. It is not safe for concurrent use.
type Account struct {
	terms     Terms
	instances int

	slices [2]slice // the one that expires first, first
	owed   float64  // spent in advance; the next grant pays it first

	asked  time.Duration // when the last question was sent
	spent  float64       // attempts since then
	wanted float64       // the interval before that
	use    float64       // units a second in that interval

	// short is what exchanges lack beyond what the pending question asks for: the
	// next one asks for it whole, rather than for one exchange after the other.
	short float64

	asking    bool          // a question is pending
	notBefore time.Duration // no question before this instant: the last answer said so
	last      time.Duration

	// Without the store: a bucket of its own, which starts empty.
	outage int
	own    float64
	ownAt  time.Duration
}

// A slice is a number of units that expire.
type slice struct {
	units float64
	dies  time.Duration
}

// Away describes how an instance works without the store.
type Away struct {
	Outage int           // number of the outage; 0: the store answers
	Since  time.Duration // when this outage was noticed
}

// Adapt applies new terms. What was given under the old ones stays valid.
func (a *Account) Adapt(l Limit, instances int) {
	if a.terms.Limit != l || a.instances != instances {
		a.terms, a.instances = TermsOf(l, instances), instances
	}
}

// Spend takes n units of the slices that have not expired, and reports whether
// there were enough.
func (a *Account) Spend(n float64, now time.Duration) bool {
	a.advance(now)
	a.spent += n
	if a.slices[0].units+a.slices[1].units < n {
		return false
	}
	first := min(n, a.slices[0].units)
	a.slices[0].units -= first
	a.slices[1].units -= n - first
	return true
}

// SpendAway takes n units while the store is away, from the account's own
// bucket. That bucket fills at the instance's part of the rate from the moment
// the outage was noticed, and holds its part of the central burst, at least one
// unit; when it is empty, units are taken on credit. wait is the time until
// there are n.
func (a *Account) SpendAway(n float64, now time.Duration, away Away) (wait time.Duration, ok bool) {
	now = a.advance(now)
	if a.outage != away.Outage {
		a.outage, a.own, a.ownAt = away.Outage, 0, away.Since
	}
	part := a.terms.Rate / float64(max(1, a.instances))
	size := max(1, a.terms.CentralBurst(a.instances)/float64(max(1, a.instances)))
	a.own = min(size, a.own+part*max(0, now-a.ownAt).Seconds())
	a.ownAt = max(a.ownAt, now)
	if a.own >= n {
		a.own -= n
		return 0, true
	}
	if a.Overdraw(n) {
		return 0, true
	}
	if n > size { // it never holds as many: the store must be back first
		return time.Second, false
	}
	return max(time.Millisecond, seconds((n-a.own)/part)), false
}

// Overdraw takes n units in advance, as far as the terms allow.
func (a *Account) Overdraw(n float64) bool {
	if a.owed+n > a.terms.Overdraft {
		return false
	}
	a.owed += n
	return true
}

// Want is how much to ask for now; 0: nothing. need is what the current
// exchange lacks; if it is 0, an account in steady use asks in advance. After a
// Want that is not 0, Answered must follow.
func (a *Account) Want(need float64, now time.Duration) float64 {
	now = a.advance(now)
	if a.asking {
		a.short += need
		return 0
	}
	if now < a.notBefore {
		return 0
	}
	life, memory := a.terms.Life.Seconds(), a.terms.Life.Seconds()/2
	use := min(a.terms.Rate, (a.use*memory+a.spent)/(memory+(now-a.asked).Seconds()))
	hold := use * life
	if now-a.asked < a.terms.Life/2 { // spent sooner than expected
		hold = max(hold, min(2*a.wanted, a.terms.Rate*life))
	}
	credit := a.slices[0].units + a.slices[1].units
	if need == 0 && (hold < 4 || credit > use*life/4) {
		return 0
	}
	a.asking, a.use = true, use
	wanted := max(need, hold-credit)
	if need > 0 && now-a.asked < a.terms.Life { // those who were short wait still
		wanted = max(wanted, a.short)
	}
	a.short = need - wanted // what others may take of it
	a.spent, a.asked, a.wanted = 0, now, wanted
	return math.Ceil(min(a.wanted+a.owed, a.terms.Burst))
}

// Answered handles the answer to a Want that was sent at the instant sent; ok:
// there was one.
func (a *Account) Answered(wanted float64, g Grant, ok bool, sent, now time.Duration) {
	now = a.advance(now)
	a.asking = false
	if !ok {
		return
	}
	paid := min(a.owed, g.Units)
	a.owed -= paid
	a.notBefore = 0
	if g.Units < wanted {
		a.notBefore = now + max(g.Wait, a.terms.Life/2)
	}
	a.hold(slice{g.Units - paid, sent + a.terms.Life}, now)
}

// Wait is how long an exchange that gets no unit should wait.
func (a *Account) Wait(now time.Duration) time.Duration {
	return max(a.notBefore-now, time.Millisecond, seconds(1/a.terms.Rate)/2)
}

// Idle reports that to forget the account would change nothing: it is not used
// since that long, and what it owes has come to the central bucket again, which
// was full anyway.
func (a *Account) Idle(now, since time.Duration) bool {
	quiet := now - a.last
	return !a.asking && quiet > since && (a.owed == 0 || quiet.Seconds() > (a.terms.Burst+a.owed)/a.terms.Rate)
}

// advance drops the expired slices, and returns an instant that is not earlier
// than the last.
func (a *Account) advance(now time.Duration) time.Duration {
	now = max(now, a.last)
	a.last = now
	if a.slices[1].dies <= now {
		a.slices[1] = slice{}
	}
	if a.slices[0].dies <= now {
		a.slices[0], a.slices[1] = a.slices[1], slice{}
	}
	return now
}

// hold adds one slice. If there is no room, two slices are merged, and the
// result expires with the earlier one.
func (a *Account) hold(s slice, now time.Duration) {
	if s.units <= 0 || s.dies <= now {
		return
	}
	switch {
	case a.slices[0].units <= 0:
		a.slices[0] = a.slices[1]
		a.slices[1] = slice{}
	case a.slices[1].units > 0:
		a.slices[0].units += a.slices[1].units
		a.slices[1] = slice{}
	}
	if a.slices[0].units <= 0 {
		a.slices[0] = s
		return
	}
	a.slices[1] = s
	if a.slices[1].dies < a.slices[0].dies {
		a.slices[0], a.slices[1] = a.slices[1], a.slices[0]
	}
}

// seconds is a duration, an hour at most.
func seconds(s float64) time.Duration {
	return time.Duration(min(s, 3600) * float64(time.Second))
}

// probe is how often an instance checks whether the store is back.
const probe = 100 * time.Millisecond
