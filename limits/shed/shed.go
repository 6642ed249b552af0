// Package shed drops the least important exchanges early when the machine
// cannot process all of them. It decides by how long exchanges wait for a
// processor, and by their class.
//
// The model is Uber's Cinnamon: while there is a queue, the arrival rate is
// compared with the service rate, and the excess is dropped from the lowest
// classes up, before any work is done for it. The latency of the insurers has
// no influence: waiting for them costs no processor time.
package shed

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
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

// Options are what a Shedder needs; every field has a default.
type Options struct {
	// Slots is how many exchanges are processed at once. Required.
	Slots int
	// Queue bounds how many exchanges wait for a slot. Default: 4096.
	Queue int
	// Target is how long an exchange may wait for a slot while nothing is
	// dropped. Default: 20 ms.
	Target time.Duration
	// Random is in [0, 1). Default: math/rand/v2.
	Random func() float64
}

// A Shedder gives out slots and decides what to drop. Safe for concurrent use.
type Shedder struct {
	o     Options
	slots chan struct{}

	queued atomic.Int64
	// ratio is the part of the arrivals that is in excess; kept[c] the part of
	// class c that is accepted. Written by adjust.
	mu    sync.Mutex
	state control
}

// New makes a Shedder.
func New(o Options) *Shedder {
	if o.Slots <= 0 {
		o.Slots = 1
	}
	if o.Queue <= 0 {
		o.Queue = 4096
	}
	if o.Target <= 0 {
		o.Target = 20 * time.Millisecond
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	return &Shedder{o: o, slots: make(chan struct{}, o.Slots), state: newControl(o.Target)}
}

// Admit says whether an exchange of that class may start at all; if not, retry
// is when to come back. It costs nothing: ask before the body is read.
func (s *Shedder) Admit(c Class, at time.Time) (retry time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.state.arrive(c, at)
	if s.queued.Load() >= int64(s.o.Queue) || kept < 1 && s.o.Random() >= kept {
		return time.Duration(1+2*s.state.ratio) * time.Second, false
	}
	return 0, true
}

// Acquire waits for a slot; done ends the wait early. The slot is returned with
// Release.
func (s *Shedder) Acquire(done <-chan struct{}, at time.Time, now func() time.Time) bool {
	select {
	case s.slots <- struct{}{}:
		s.served(0, at)
		return true
	default:
	}
	s.queued.Add(1)
	defer s.queued.Add(-1)
	select {
	case s.slots <- struct{}{}:
		end := now()
		s.served(end.Sub(at), end)
		return true
	case <-done:
		return false
	}
}

// Release returns a slot.
func (s *Shedder) Release() { <-s.slots }

func (s *Shedder) served(wait time.Duration, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.served(wait, at)
}

// Ratio is the part of all arrivals, over all classes, that is dropped now.
func (s *Shedder) Ratio() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.ratio
}
