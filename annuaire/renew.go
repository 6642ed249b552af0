package annuaire

import (
	"errors"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// mayServe reports whether an answer that is no longer fresh still serves:
// within MaxAge and its own validity. While the guard holds back what should
// replace it, its own validity alone counts.
func (d *Directory) mayServe(k *roc.Key, m *memory, now time.Time) bool {
	return m.mayComeBack(now) && (now.Sub(m.at.time()) < d.o.MaxAge || d.guard.holds(*k))
}

// oldest is the age from which an answer that was kept elsewhere is of no use.
func (d *Directory) oldest() time.Duration { return max(d.o.TTL, d.o.MaxAge) }

// peek returns what is remembered of a key, good or not.
func (d *Directory) peek(k *roc.Key) (previous memory, had bool) {
	d.known.change(k, func(m *memory) { previous, had = *m, true })
	return previous, had
}

// refresh asks about a key again, beside: nobody waits. Not more often than
// its last failure allows, not while the annuaire is given a rest, and never in
// the place of a question that somebody waits for.
func (d *Directory) refresh(k *roc.Key, m *memory, now time.Time) {
	if momentOf(now) < m.retry || d.health.resting(now) {
		return
	}
	d.renew(*k)
}

// renew asks about a key beside. False: there is no turn for it now.
func (d *Directory) renew(k roc.Key) bool {
	select {
	case d.beside <- struct{}{}:
	default:
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || d.asking[k] != nil {
		<-d.beside
		return false
	}
	d.renewed.Add(1)
	d.openLocked(k, func(k roc.Key) (Entry, error) {
		defer func() { <-d.beside }()
		e, err := d.learn(k)
		if err != nil && !roc.IsRefused(err, roc.UnknownAMC) {
			d.postpone(&k, d.o.Now())
		}
		return e, err
	}, func(Entry) {})
	return true
}

// postpone puts off the next question about a key that failed: by as long as
// it has been failing, from two seconds to a minute, by chance half less or
// half more.
func (d *Directory) postpone(k *roc.Key, now time.Time) {
	d.known.change(k, func(m *memory) {
		failing := now.Sub(time.Unix(0, m.until))
		m.retry = momentOf(now.Add(jittered(min(max(failing, 2*time.Second), time.Minute), d.o.Chance())))
	})
}

// holdBack lets the previous answer serve for a while, after which it is asked
// again whether the annuaire still says otherwise.
func (d *Directory) holdBack(k *roc.Key, now time.Time) {
	d.known.change(k, func(m *memory) { m.until = now.Add(jittered(d.o.NegativeTTL, d.o.Chance())).UnixNano() })
}

// load brings what the disk holds of a key into memory, once it is believed.
func (d *Directory) load(k roc.Key) bool {
	if d.o.Disk == nil {
		return false
	}
	raw, at, err := d.o.Disk.get(k)
	if errors.Is(err, errNotThere) {
		return false
	}
	var e Entry
	if err == nil {
		e, err = d.o.Believe(raw, k, at)
	}
	now := d.o.Now()
	if err != nil || now.Sub(e.At) >= d.oldest() {
		if err != nil {
			d.disbelieved.Add(1)
			d.o.Log.Warn("an answer of the annuaire kept on disk is not believed: the annuaire is asked", "amc", string(k.AMC), "error", err)
		}
		d.o.Disk.drop(k)
		return false
	}
	if _, had := d.peek(&k); had {
		return false // what memory has is newer, and too old
	}
	d.fromDisk.Add(1)
	f := d.same.intern(d.factsToKeep(&e))
	d.guard.note(k, f, now)
	d.known.put(&k, memory{facts: f, until: d.freshUntil(&e, now).UnixNano(), at: momentOf(e.At)})
	return true
}

// borrow returns what another instance left about a key, once it is believed,
// and when it is newer than what is remembered.
func (d *Directory) borrow(k roc.Key) (Entry, bool) {
	if d.o.Shared == nil {
		return Entry{}, false
	}
	raw, at, err := d.o.Shared.get(d.ctx, k)
	if errors.Is(err, errNotThere) {
		return Entry{}, false
	}
	var e Entry
	if err == nil {
		e, err = d.o.Believe(raw, k, at)
	}
	if err != nil {
		if !errors.Is(err, errNotReached) {
			d.disbelieved.Add(1)
			d.o.Log.Warn("an answer that another instance left is not believed: the annuaire is asked", "amc", string(k.AMC), "error", err)
		}
		return Entry{}, false
	}
	previous, had := d.peek(&k)
	if d.o.Now().Sub(e.At) >= d.oldest() || had && momentOf(e.At) <= previous.at {
		return Entry{}, false
	}
	d.fromShared.Add(1)
	return e, true
}

// publish leaves an answer for the other instances, beside.
func (d *Directory) publish(k roc.Key, e Entry, unknown bool) {
	if d.o.Shared == nil {
		return
	}
	d.asks.Go(func() {
		if unknown {
			d.o.Shared.drop(d.ctx, k)
		} else if e.Raw.Len() > 0 {
			d.o.Shared.put(d.ctx, k, &e)
		}
		d.published.Add(1)
	})
}

// told is called when another instance says that it learnt something about a
// key: what that was, by its digest. What is remembered here stops being fresh
// at once, and is asked again: of the other instances first.
func (d *Directory) told(k roc.Key, digest [digestSize]byte) {
	d.unknown.change(&k, func(until *time.Time) { *until = time.Time{} })
	now := d.o.Now()
	news := false
	d.known.change(&k, func(m *memory) {
		if news = m.facts.digest() != digest; news {
			m.until, m.retry = min(m.until, now.UnixNano()), 0
		}
	})
	if news {
		d.renew(k)
	}
}

// Doubt makes everything that is remembered be asked again within that time,
// each key at its own moment: news may have been missed.
func (d *Directory) Doubt(within time.Duration) {
	now := d.o.Now()
	d.known.each(func(m *memory) {
		m.until = min(m.until, now.Add(time.Duration(float64(within)*d.o.Chance())).UnixNano())
		m.retry = 0
	})
}
