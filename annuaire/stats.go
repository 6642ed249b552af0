package annuaire

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// Stats are the figures of a Directory since it was made, for the metrics.
type Stats struct {
	Hits        uint64 // lookups answered by a remembered answer
	Stale       uint64 // of which: no longer fresh, while it was asked again
	UnknownHits uint64 // lookups answered by a remembered "unknown AMC"
	Misses      uint64 // lookups that waited for a question, own or shared

	Asks     uint64 // questions put to the annuaire
	Answered uint64 // of which: answered, and the AMC is known
	Unknown  uint64 // of which: answered "unknown AMC"
	Silent   uint64 // not answered, those that found no turn included
	Crowded  uint64 // questions that found no turn in time
	Refused  uint64 // answered by what cannot be believed
	Failed   uint64 // failed for another reason: a defect of ours

	Renewals    uint64 // questions that nobody waited for
	FromDisk    uint64 // answers taken from the disk
	FromShared  uint64 // answers taken from another instance
	Disbelieved uint64 // what the disk or another instance held and was not believed
	RolledBack  uint64 // what Redis held of before a route's last change
	Unstored    uint64 // answers beyond their establishment's new keys of the hour
	Limited     uint64 // questions that waited because of the bound on questions a second
	Held        int    // changes that wait for an operator

	Keys        int    // answers remembered, fresh or not
	UnknownKeys int    // "unknown AMC" remembered, fresh or not
	Evicted     uint64 // answers pushed out by the bound on keys
	InFlight    int    // questions in flight

	LimitedAt  time.Time     // when a question last waited for that bound; zero: never
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
		Answered:    d.answered.Load(),
		Unknown:     d.notKnown.Load(),
		Silent:      d.silent.Load(),
		Crowded:     d.crowded.Load(),
		Refused:     d.refused.Load(),
		Failed:      d.failed.Load(),
		Stale:       d.stale.Load(),
		Renewals:    d.renewed.Load(),
		FromDisk:    d.fromDisk.Load(),
		FromShared:  d.fromSharedN.Load(),
		Disbelieved: d.disbelieved.Load(),
		RolledBack:  d.rolledBack.Load(),
		Unstored:    d.unstored.Load(),
		Held:        d.limiter.size(),
		LastAnswer:  d.Health().LastAnswer,
	}
	s.Limited, s.LimitedAt = d.turns.size()
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
	mu       sync.Mutex // guards all below
	now      Health
	rest     time.Time // the annuaire is not asked for nobody before
	inFlight map[int]time.Time
	next     int
	heard    time.Time // when a question last ended, well or not
}

// patience is how many failures in a row make the directory take the annuaire
// as down: what is remembered serves at once, and questions that nobody waits
// for rest.
const patience = 3

// longestRest bounds the rest, jitter included.
const longestRest = 45 * time.Second

// resume takes up that the annuaire was down before a restart.
func (h *health) resume(since time.Time) {
	if !since.IsZero() {
		h.now = Health{Failures: patience, Since: since, Last: errors.New("it was down before the restart")}
	}
}

// begin notes that a question is put, and returns what notes its end.
func (h *health) begin(at time.Time) (end func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.inFlight == nil {
		h.inFlight = map[int]time.Time{}
	}
	h.next++
	n := h.next
	h.inFlight[n] = at
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.inFlight, n)
	}
}

// down reports whether the annuaire does not answer: its last question was met
// by silence, or the last ones failed, or one has been waiting for that long and nothing was heard since.
func (h *health) down(now time.Time, long time.Duration) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.now.Failures >= patience || roc.IsRefused(h.now.Last, roc.AnnuaireSilent) {
		return true
	}
	for _, since := range h.inFlight {
		if now.Sub(since) >= long && !h.heard.After(since) {
			return true
		}
	}
	return false
}

// note keeps the outcome of a question; changed says whether the annuaire is
// down since now, or no longer. From the third failure in a row on, the annuaire
// gets a rest: a second, then twice as long each time, up to half a minute, each
// by chance half less or half more, so that instances do not come back together.
func (h *health) note(at time.Time, err error, chance float64) (changed, down bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.heard = at
	was := h.now.Failures >= patience
	if err == nil {
		h.now, h.rest = Health{LastAnswer: at}, time.Time{}
		return was, false
	}
	if h.now.Failures == 0 {
		h.now.Since = at
	}
	h.now.Failures++
	h.now.Last = err
	if n := h.now.Failures - patience; n >= 0 {
		h.rest = at.Add(jittered(min(30*time.Second, time.Second<<min(n, 5)), chance))
	}
	return !was && h.now.Failures >= patience, true
}

// resting reports whether the annuaire is given a rest. A rest that is longer
// than any comes from a clock that went back.
func (h *health) resting(now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	left := h.rest.Sub(now)
	return left > 0 && left <= longestRest
}

// jittered is d, half less to half more.
func jittered(d time.Duration, chance float64) time.Duration {
	return d/2 + time.Duration(float64(d)*chance)
}
