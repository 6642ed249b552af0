package register

import (
	"sync"
	"sync/atomic"
	"time"
)

// Options are what a Source needs.
type Options struct {
	// Etablissements and AMC are the paths of the two files. Required.
	Etablissements, AMC string

	// Accept refuses a list that is correct by itself but that whoever opens
	// the Source could not use, forced or not. Default: every list is accepted.
	Accept func(*List) error

	// Now is the clock: a state whose date is reached takes effect then,
	// without a reload. Default: time.Now.
	Now func() time.Time
}

// A Source holds the current register, read from its files. A reload that
// fails changes nothing. It is safe for concurrent use.
type Source struct {
	options Options
	current atomic.Pointer[List]
	mu      sync.Mutex // held while reloading
}

// Open reads the register for the first time.
func Open(o Options) (*Source, error) {
	o = o.withDefaults()
	s := &Source{options: o}
	if err := s.Reload(nil); err != nil {
		return nil, err
	}
	return s, nil
}

func (o Options) withDefaults() Options {
	if o.Accept == nil {
		o.Accept = func(*List) error { return nil }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Current returns the register in force. Take it once per exchange.
func (s *Source) Current() *List {
	l := s.current.Load()
	if l.since.IsZero() && l.until.IsZero() {
		return l
	}
	if now := s.options.Now(); !l.holds(now) {
		return s.turn(l, now)
	}
	return l
}

// turn settles l for now: a date was reached since, or the clock has gone back
// to before one. It takes no lock: an exchange does not wait for a reload.
func (s *Source) turn(l *List, now time.Time) *List {
	next := l.At(now)
	if !s.current.CompareAndSwap(l, next) {
		return s.current.Load() // another exchange did, or a reload
	}
	return next
}

// Reload reads the files again and puts them in force. review, when not nil,
// is shown the register in force and the one that would take its place, both
// as they are now: its error refuses the reload. On an error nothing changes.
func (s *Source) Reload(review func(before, after *List) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.options.Now()
	l, err := Load(s.options.Etablissements, s.options.AMC, now)
	if err != nil {
		return err
	}
	if err := s.options.Accept(l); err != nil {
		return err
	}
	if old := s.current.Load(); old != nil && review != nil {
		if err := review(old.At(now), l); err != nil {
			return err
		}
	}
	s.current.Store(l)
	return nil
}

// Bounds are how much one change of the register may take away; more is more
// likely a broken export than a decision. What is counted, and against what, is
// in routing/explain.
type Bounds struct {
	Etablissements Bound `yaml:"etablissements"` // that lose access, that reach fewer AMCs, whose row goes
	Sites          Bound `yaml:"sites"`          // and SIRETs that stand for nobody any more, or for another
	AMCs           Bound `yaml:"amcs"`           // numbers that nobody reaches any more, or that go
	Domaines       Bound `yaml:"domaines"`       // AMCs of which no domain is known any more
	Limites        Bound `yaml:"limites"`        // limits that are cut
}

// A Bound is how many of something may go: Least of them always, so that a
// short list can be edited by hand, and else that share of them, from 0 to 1.
type Bound struct {
	Share float64 `yaml:"share"`
	Least int     `yaml:"least"`
}

// Allows reports whether so many may go, of how many.
func (b Bound) Allows(gone, of int) bool {
	return gone <= b.Least || float64(gone) <= b.Share*float64(of)
}
