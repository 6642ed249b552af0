package annuaire

import (
	"errors"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// oldest is the age from which an answer that was kept elsewhere is of no use.
func (d *Directory) oldest() time.Duration { return max(d.o.TTL, d.o.MaxAge) }

// peek returns what is remembered of a key, good or not.
func (d *Directory) peek(k *roc.Key) (previous memory, had bool) {
	d.known.change(k, func(m *memory) { previous, had = *m, true })
	return previous, had
}

// refresh revalidates a key in the background. Not more often than its last
// failure allows, not while the annuaire is given a rest, and never in the place
// of a question that somebody waits for.
func (d *Directory) refresh(k *roc.Key, m *memory, now time.Time) {
	if d.postponed(m, now) || d.health.resting(now) {
		return
	}
	d.renew(*k)
}

// renew revalidates a key in the background: nobody waits. False: there is no
// turn for it now.
func (d *Directory) renew(k roc.Key) bool {
	select {
	case d.background <- struct{}{}:
	default:
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || d.asking[k] != nil {
		<-d.background
		return false
	}
	d.renewed.Add(1)
	d.openLocked(k, "", func(q *question) (Entry, error) {
		defer func() { <-d.background }()
		return d.learn(q)
	}, func(Entry) {})
	return true
}

// longestRetry bounds how long a key that failed is not asked about.
const longestRetry = 90 * time.Second

// postpone puts off the next question about a key that failed: by as long as
// it has been failing, from two seconds to a minute, by chance half less or
// half more.
func (d *Directory) postpone(k *roc.Key, now time.Time) {
	d.known.change(k, func(m *memory) {
		failing := now.Sub(time.Unix(0, m.until))
		m.retry = momentOf(now.Add(jittered(min(max(failing, 2*time.Second), time.Minute), d.o.Chance())))
	})
}

// postponed reports whether a key is not asked about now. A time that is
// further away than any is put off comes from a clock that went back.
func (d *Directory) postponed(m *memory, now time.Time) bool {
	left := m.retry.time().Sub(now)
	return left > 0 && left <= longestRetry
}

// load brings what the disk holds of a key into memory, once it is believed.
func (d *Directory) load(k roc.Key) bool {
	if d.o.Disk == nil {
		return false
	}
	s, err := d.o.Disk.get(k)
	if errors.Is(err, errNotThere) {
		return false
	}
	var e Entry
	if err == nil {
		e, err = d.o.VerifyStored(s.raw, k, s.at)
	}
	now := d.o.Now()
	if err != nil {
		d.disbelieved.Add(1)
		d.o.Log.Warn("an answer of the annuaire kept on disk is not believed: the annuaire is asked", "event", "annuaire_disk_disbelieved", "amc", string(k.AMC), "error", err)
		d.o.Disk.drop(k)
		return false
	}
	if now.Sub(e.At) >= d.oldest() {
		return false
	}
	if _, had := d.peek(&k); had {
		return false // what memory has is newer, and too old
	}
	f := factsOf(&e)
	r, first := routeOf(&k), candidateOf(&k, false, nil, f, e.At).next
	if d.limiter.holds(r) && !d.limiter.accepts(r, first.URL) {
		return false // of a move that was taken back since
	}
	d.fromDisk.Add(1)
	route := d.sequences.enter(r, max(s.seq, 1))
	if route != nil {
		route.raise(s.seq)
	}
	f = d.same.intern(f.under(route, s.seq))
	d.limiter.note(&k, first)
	d.known.put(&k, memory{facts: f, until: d.freshUntil(&e, now).UnixNano(), at: momentOf(e.At)})
	return true
}

// fromShared returns what another instance left about a key, once it is
// believed, and when it is newer than what is remembered: it is of a route that
// is known here, and not of before its last change.
func (d *Directory) fromShared(k roc.Key) (Entry, uint64, bool) {
	if d.o.Shared == nil {
		return Entry{}, 0, false
	}
	if d.sequences.get(routeOf(&k)) == nil {
		d.o.Shared.settle(d.ctx)
	}
	route := d.sequences.get(routeOf(&k))
	if route == nil {
		return Entry{}, 0, false // nobody here can tell an old answer from a new one
	}
	s, err := d.o.Shared.get(d.ctx, k)
	if errors.Is(err, errNotThere) || errors.Is(err, errNotReached) {
		return Entry{}, 0, false
	}
	if err == nil && s.seq < route.seq.Load() {
		d.rolledBack.Add(1)
		return Entry{}, 0, false
	}
	var e Entry
	if err == nil {
		e, err = d.o.VerifyStored(s.raw, k, s.at)
	}
	if err != nil {
		d.disbelieved.Add(1)
		d.o.Log.Warn("an answer that another instance left is not believed: the annuaire is asked", "event", "annuaire_shared_disbelieved", "amc", string(k.AMC), "error", err)
		return Entry{}, 0, false
	}
	previous, had := d.peek(&k)
	if d.o.Now().Sub(e.At) >= d.oldest() || had && momentOf(e.At) <= previous.at {
		return Entry{}, 0, false
	}
	d.fromSharedN.Add(1)
	return e, s.seq, true
}

// RevalidateAll makes everything that is remembered be asked again within that
// time, each key at its own moment.
func (d *Directory) RevalidateAll(within time.Duration) {
	now := d.o.Now()
	d.known.each(func(m *memory) {
		m.until = min(m.until, now.Add(time.Duration(float64(within)*d.o.Chance())).UnixNano())
		m.retry = 0
	})
}
