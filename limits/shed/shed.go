// Package shed drops the least important exchanges early when the machine
// cannot process all of them. It decides by how long work waits for a
// processor, and by the class of an exchange.
//
// The model is Uber's Cinnamon: while there is a queue, the arrival rate is
// compared with the service rate, and the excess is dropped from the lowest
// classes up, before any work is done for it. The latency of the insurers has
// no influence: waiting for them costs no processor time.
//
// The queue is that of the Go scheduler: an exchange is read and checked in a
// fraction of its time slice, so a queue of our own before it would always be
// empty.
package shed

import (
	"math/rand/v2"
	"sync"
	"time"
)

// A Class is how important an exchange is; the lowest is dropped first.
type Class int

// The classes: a simulation commits nobody; the annuaire's answers are mostly
// cached; rights are looked up while a patient waits; a calculation or a
// cancellation completes a case.
const (
	Simulation Class = iota
	Annuaire
	Rights
	Settlement
	classes
)

// Options are what a Shedder needs. Target is required.
type Options struct {
	// Target is how long work may wait for a processor while nothing is dropped.
	Target time.Duration
	// Wait is how long work waited for a processor since it was last asked, the
	// median. It is asked every 100 ms at most, by one at a time. Default: that
	// of the Go scheduler.
	Wait func() time.Duration
	// Random is in [0, 1). Default: math/rand/v2.
	Random func() float64
}

// A Shedder decides what to drop. Safe for concurrent use.
type Shedder struct {
	random func() float64

	mu    sync.Mutex
	state control
}

// New makes a Shedder.
func New(o Options) *Shedder {
	if o.Target <= 0 {
		panic("shed: Target is required")
	}
	if o.Wait == nil {
		o.Wait = newScheduler().wait
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	return &Shedder{random: o.Random, state: newControl(o.Target, o.Wait)}
}

// Admit says whether an exchange of that class may start at all; if not, retry
// is when to come back. It costs nothing: ask before the body is read.
func (s *Shedder) Admit(c Class, at time.Time) (retry time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if kept := s.state.arrive(c, at); kept < 1 && s.random() >= kept {
		spread := 1 + 4*s.state.ratio*s.random() // those refused together do not come back together
		return time.Duration(spread * float64(time.Second)), false
	}
	return 0, true
}

// Processed says that an exchange that was admitted needs a processor no longer.
func (s *Shedder) Processed(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.processed(at)
}

// Ratio is the part of all arrivals, over all classes, that is dropped now.
func (s *Shedder) Ratio(at time.Time) float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.turn(at)
	return s.state.ratio
}
