package annuaire

import (
	"fmt"
	"sync"
	"time"
)

// Stats are the figures of a Directory since it was made, for the metrics.
type Stats struct {
	Hits        uint64 // lookups answered by a remembered answer
	Stale       uint64 // of which: no longer fresh, while it was asked again
	UnknownHits uint64 // lookups answered by a remembered "unknown AMC"
	Misses      uint64 // lookups that waited for a question, own or shared

	Asks    uint64 // questions put to the annuaire
	Unknown uint64 // of which: answered "unknown AMC"
	Silent  uint64 // not answered, those that found no turn included
	Crowded uint64 // questions that found no turn in time
	Refused uint64 // answered by what cannot be believed
	Failed  uint64 // failed for another reason: a defect of ours

	Renewals    uint64 // questions that nobody waited for
	FromDisk    uint64 // answers taken from the disk
	FromShared  uint64 // answers taken from another instance
	Disbelieved uint64 // what the disk or another instance held and was not believed
	Held        int    // keys whose new answer is held back by the guard

	Keys        int    // answers remembered, fresh or not
	UnknownKeys int    // "unknown AMC" remembered, fresh or not
	Evicted     uint64 // answers pushed out by the bound on keys
	InFlight    int    // questions in flight

	LastAnswer time.Time     // when the annuaire last answered; zero: never
	Age        time.Duration // since LastAnswer; 0: never
}

// Stats returns the figures now.
func (d *Directory) Stats() Stats {
	// Read before what they are taken from, which only grows.
	expired, unknownExpired := d.expired.Load(), d.unknownExpired.Load()
	s := Stats{
		Hits:        d.known.found() - expired,
		UnknownHits: d.unknown.found() - unknownExpired,
		Misses:      d.misses.Load(),
		Asks:        d.asked.Load(),
		Unknown:     d.notKnown.Load(),
		Silent:      d.silent.Load(),
		Crowded:     d.crowded.Load(),
		Refused:     d.refused.Load(),
		Failed:      d.failed.Load(),
		Stale:       d.stale.Load(),
		Renewals:    d.renewed.Load(),
		FromDisk:    d.fromDisk.Load(),
		FromShared:  d.fromShared.Load(),
		Disbelieved: d.disbelieved.Load(),
		Held:        d.guard.size(),
		LastAnswer:  d.Health().LastAnswer,
	}
	s.Keys, s.Evicted = d.known.size()
	s.UnknownKeys, _ = d.unknown.size()
	d.mu.Lock()
	s.InFlight = len(d.asking)
	d.mu.Unlock()
	if !s.LastAnswer.IsZero() {
		s.Age = d.o.Now().Sub(s.LastAnswer)
	}
	return s
}

// Health is how the annuaire did when it was last asked.
type Health struct {
	LastAnswer time.Time // when it last answered, "unknown AMC" included; zero: never
	Failures   int       // questions failed in a row since then
	Since      time.Time // of the first of those failures
	Last       error     // the last of those failures; nil: all is well
}

// Err is nil while all is well, also when nothing was asked yet; else it says
// in one line since when and why. What is remembered is still served.
func (h Health) Err() error {
	if h.Last == nil {
		return nil
	}
	return fmt.Errorf("the annuaire has failed %d times in a row since %s: %w", h.Failures, h.Since.UTC().Format(time.RFC3339), h.Last)
}

// Health returns how the annuaire did, for /readyz.
func (d *Directory) Health() Health {
	d.health.mu.Lock()
	defer d.health.mu.Unlock()
	return d.health.now
}

type health struct {
	mu   sync.Mutex // guards all below
	now  Health
	rest time.Time // the annuaire is not asked for nobody before
}

// patience is how many failures in a row make the directory rest.
const patience = 3

// note keeps the outcome of a question. From the third failure in a row on,
// the annuaire gets a rest: a second, then twice as long each time, up to half
// a minute, each by chance half less or half more, so that instances do not
// come back together.
func (h *health) note(at time.Time, err error, chance float64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		h.now, h.rest = Health{LastAnswer: at}, time.Time{}
		return
	}
	if h.now.Failures == 0 {
		h.now.Since = at
	}
	h.now.Failures++
	h.now.Last = err
	if n := h.now.Failures - patience; n >= 0 {
		h.rest = at.Add(jittered(min(30*time.Second, time.Second<<min(n, 5)), chance))
	}
}

// resting reports whether the annuaire is given a rest.
func (h *health) resting(now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return now.Before(h.rest)
}

// jittered is d, half less to half more.
func jittered(d time.Duration, chance float64) time.Duration {
	return d/2 + time.Duration(float64(d)*chance)
}
