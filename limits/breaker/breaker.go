// Package breaker is a circuit breaker for each address: while an address fails
// or is too slow, what would be sent there is refused at once instead of
// waiting, and one real exchange at a time tests whether it is back.
package breaker

import (
	"hash/maphash"
	"sync"
	"time"
)

// Options are when a breaker opens; every field but Failures
// has a default.
type Options struct {
	// Window is the time over which outcomes count. Default: 30 s.
	Window time.Duration
	// Failures is how many failures, and FailureShare which part of all
	// outcomes in the window, open the breaker. Failures is
	// required; default of FailureShare: 0.5.
	Failures     int
	FailureShare float64
	// SlowAfter is from when an answer is slow; SlowShare which part of at
	// least 2*Failures outcomes opens the breaker. Defaults: 10 s, 0.8.
	SlowAfter time.Duration
	SlowShare float64
	// Rest is how long the breaker stays open the first time; after each failed
	// trial it stays open twice as long, at most LongestRest. Defaults: 5 s, 1
	// min.
	Rest, LongestRest time.Duration
	// Trials is how many exchanges must succeed, one after the other, before
	// all are let through again. Default: 3.
	Trials int
	// LongestPause bounds what an address may announce. Default: 1 h.
	LongestPause time.Duration
	// TrialLife is the time after which an unfinished trial is replaced by
	// another. Default: 90 s.
	TrialLife time.Duration
	// Addresses bounds how many are kept; beyond that, an address has no
	// breaker: it fails open, because a breaker only saves us time. Default:
	// 4096.
	Addresses int

	// OnChange is called at each change of state, without holding a lock. May
	// be nil.
	OnChange func(State)
}

func (o *Options) complete() {
	if o.Failures <= 0 {
		panic("breaker: Failures is required")
	}
	orDefault(&o.Window, 30*time.Second)
	orDefault(&o.FailureShare, 0.5)
	orDefault(&o.SlowAfter, 10*time.Second)
	orDefault(&o.SlowShare, 0.8)
	orDefault(&o.Rest, 5*time.Second)
	orDefault(&o.LongestRest, time.Minute)
	orDefault(&o.Trials, 3)
	orDefault(&o.LongestPause, time.Hour)
	orDefault(&o.TrialLife, 90*time.Second)
	orDefault(&o.Addresses, 4096)
}

func orDefault[T int | float64 | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// An Outcome is how one exchange with the address ended.
type Outcome int

// Outcomes. Nothing says nothing about the address: the caller left, or waited
// too short a time for the silence to mean anything.
const (
	Nothing Outcome = iota
	Success
	Failure
)

// A State is the state of an address.
type State struct {
	Address string
	Resting bool
	Since   time.Time // when the first of the successive rests began
	Until   time.Time // end of the current rest; a trial is let through then
	Trials  int       // that succeeded since

	// Announced: the address said itself until when.
	Announced bool
}

// A Set holds the breakers of many addresses. Safe for concurrent use.
type Set struct {
	o    Options
	seed maphash.Seed

	mu sync.Mutex // guards by, and the breakers in it
	by map[string]*breaker
}

// NewSet makes a Set.
func NewSet(o Options) *Set {
	o.complete()
	return &Set{o: o, seed: maphash.MakeSeed(), by: map[string]*breaker{}}
}

// A breaker is one address. It is closed while until is zero.
type breaker struct {
	window
	used         time.Time
	since, until time.Time
	rest         time.Duration
	trials       int       // that succeeded
	announced    bool      // the rest is one that the address asked for
	trial        time.Time // when the current trial started; zero: none
	turn         uint64    // number of the trial: a late result is ignored
}

// A Pass is the permission to send one exchange. Done must follow.
type Pass struct {
	set     *Set
	address string
	who     uint64
	at      time.Time
	turn    uint64 // of a trial; 0: none
}

// Allow lets one exchange of who through to the address, or returns its state.
func (s *Set) Allow(address, who string, at time.Time) (Pass, State, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.by[address]
	if b == nil {
		if b = s.addLocked(address, at); b == nil {
			return Pass{}, State{}, true
		}
	}
	b.backTo(at)
	p := Pass{set: s, address: address, who: maphash.String(s.seed, who), at: at}
	if b.until.IsZero() {
		return p, State{}, true
	}
	if at.Before(b.until) || !b.trial.IsZero() && at.Sub(b.trial) < s.o.TrialLife {
		st := b.state(address)
		if !at.Before(st.Until) { // a trial is pending
			st.Until = at.Add(time.Second)
		}
		return Pass{}, st, false
	}
	b.trial = at
	b.turn++
	p.turn = b.turn
	return p, State{}, true
}

// wentBack is from when an older instant is a clock that was put back, and not an
// exchange that was overtaken.
const wentBack = time.Minute

// backTo notes the use. What was kept while the clock was ahead counts from now:
// a rest lasts as long as it would, a trial and what the window holds are over.
func (b *breaker) backTo(at time.Time) {
	ahead := b.used.Sub(at) > wentBack
	b.used = at
	if !ahead {
		return
	}
	b.window = window{}
	b.trial = time.Time{}
	b.turn++ // the trial under way settles nothing
	if !b.until.IsZero() {
		b.since, b.until = at, at.Add(b.rest)
	}
}

// Announce says that the address asked not to be sent to until then, by what it
// answered to this exchange. It rests until then, at most LongestPause; then a
// trial is let through, as after any rest. Done follows.
func (p Pass) Announce(until, at time.Time) {
	if p.set == nil || !until.After(at) {
		return
	}
	st, ok := p.set.announce(p, until, at)
	if ok && p.set.o.OnChange != nil {
		p.set.o.OnChange(st)
	}
}

func (s *Set) announce(p Pass, until, at time.Time) (State, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.by[p.address]
	if b == nil {
		return State{}, false
	}
	if last := at.Add(s.o.LongestPause); until.After(last) {
		until = last
	}
	if b.until.IsZero() {
		b.since, b.rest = at, s.o.Rest
	}
	if !until.After(b.until) {
		return State{}, false // it rests that long already
	}
	b.until, b.announced, b.trials, b.trial = until, true, 0, time.Time{}
	b.turn++ // the trial under way settles nothing more
	return b.state(p.address), true
}

// Done says how the exchange ended. A Pass that Allow did not give does nothing.
func (p Pass) Done(o Outcome, at time.Time) {
	if p.set == nil {
		return
	}
	st, changed := p.set.done(p, o, at)
	if changed && p.set.o.OnChange != nil {
		p.set.o.OnChange(st)
	}
}

func (s *Set) done(p Pass, o Outcome, at time.Time) (State, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.by[p.address]
	if b == nil {
		return State{}, false
	}
	slow := at.Sub(p.at) >= s.o.SlowAfter
	switch {
	case p.turn != 0 && p.turn == b.turn:
		b.trial = time.Time{}
		return b.tried(s.o, p.address, o == Success && !slow, o == Nothing, at)
	case o == Nothing || !b.until.IsZero():
		return State{}, false // what was sent before the breaker opened says nothing new
	}
	b.count(s.o.Window, at, p.who, o == Failure, slow)
	if !b.fails(s.o, at) {
		return State{}, false
	}
	b.since, b.rest = at, s.o.Rest
	b.until = at.Add(b.rest)
	return b.state(p.address), true
}

// tried records the result of a trial.
func (b *breaker) tried(o Options, address string, well, nothing bool, at time.Time) (State, bool) {
	switch {
	case nothing:
		return State{}, false
	case !well:
		b.trials, b.announced = 0, false
		b.rest = min(2*b.rest, o.LongestRest)
		b.until = at.Add(b.rest)
		return b.state(address), true
	}
	if b.trials++; b.trials < o.Trials {
		return State{}, false
	}
	*b = breaker{used: b.used, turn: b.turn}
	return b.state(address), true
}

func (b *breaker) state(address string) State {
	return State{Address: address, Resting: !b.until.IsZero(), Since: b.since, Until: b.until, Trials: b.trials, Announced: b.announced}
}

// Resting lists the addresses whose breaker is open.
func (s *Set) Resting() []State {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []State
	for address, b := range s.by {
		if !b.until.IsZero() {
			list = append(list, b.state(address))
		}
	}
	return list
}

// addLocked makes room by dropping the least recently used of a few; an open
// breaker is kept.
func (s *Set) addLocked(address string, at time.Time) *breaker {
	if len(s.by) >= s.o.Addresses {
		oldest, looked := "", 0
		for a, b := range s.by {
			if b.until.IsZero() && (oldest == "" || b.used.Before(s.by[oldest].used)) {
				oldest = a
			}
			if looked++; looked >= 64 {
				break
			}
		}
		if oldest == "" || at.Sub(s.by[oldest].used) < s.o.Window {
			return nil
		}
		delete(s.by, oldest)
	}
	b := &breaker{}
	s.by[address] = b
	return b
}
