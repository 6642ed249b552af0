package annuaire

import (
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// A heldChange is what an operator decides on: a route, and the host it would
// lead to; "" for one that is removed.
type heldChange struct {
	route Route
	host  string
}

// heldChanges are kept by insurer: an exchange asks what is held of its own, and
// does not wait for a look at all the others.
type heldChanges map[roc.NumeroAMC]map[heldChange]*heldDetails

func (h heldChanges) put(c heldChange, d *heldDetails) {
	if h[c.route.AMC] == nil {
		h[c.route.AMC] = map[heldChange]*heldDetails{}
	}
	h[c.route.AMC][c] = d
}

func (h heldChanges) drop(c heldChange) {
	if delete(h[c.route.AMC], c); len(h[c.route.AMC]) == 0 {
		delete(h, c.route.AMC)
	}
}

func (h heldChanges) size() (n int) {
	for _, of := range h {
		n += len(of)
	}
	return n
}

// all are the changes of every insurer.
func (h heldChanges) all() iter.Seq2[heldChange, *heldDetails] {
	return func(yield func(heldChange, *heldDetails) bool) {
		for _, of := range h {
			for c, d := range of {
				if !yield(c, d) {
					return
				}
			}
		}
	}
}

// heldDetails are what is shown of a held change, and the keys it was seen for.
type heldDetails struct {
	from, to string
	at       time.Time
	keys     map[roc.Key]bool // at most maxHeldKeys: those that are asked again
}

// holdLocked holds a key, and reports whether its change was not held before.
func (l *changeLimiter) holdLocked(c candidate, host string, now time.Time) (fresh bool) {
	h := heldChange{routeOf(&c.key), host}
	d := l.held[h.route.AMC][h]
	if d == nil {
		if l.held.size() >= maxRoutes {
			return false // it is held all the same, and shown nowhere
		}
		d = &heldDetails{from: c.from, to: c.next.URL, at: now, keys: map[roc.Key]bool{}}
		if known := l.routes[h.route]; d.from == "" && len(known) > 0 {
			d.from = known[0].URL
		}
		l.held.put(h, d)
		l.changed, fresh = true, true
	}
	if len(d.keys) < maxHeldKeys {
		d.keys[c.key] = true
	}
	return fresh
}

// releaseLocked ends the holding of a key. A change that holds no key any more
// is over.
func (l *changeLimiter) releaseLocked(k roc.Key) bool {
	released := false
	r := routeOf(&k)
	for h, d := range l.held[r.AMC] {
		if h.route != r {
			continue
		}
		if delete(d.keys, k); len(d.keys) == 0 {
			l.held.drop(h)
			l.changed, released = true, true
		}
	}
	return released
}

// holdsLocked reports whether something of an AMC is held.
func (l *changeLimiter) holdsLocked(amc roc.NumeroAMC) bool {
	for h := range l.held[amc] {
		if !l.decided.rejected(amc, h.host) {
			return true
		}
	}
	return false
}

// anyWaitsLocked reports whether something is held that nobody has decided on:
// what an operator has rejected stays away, and holds nothing else.
func (l *changeLimiter) anyWaitsLocked() bool {
	for h := range l.held.all() {
		if !l.decided.rejected(h.route.AMC, h.host) {
			return true
		}
	}
	return false
}

// waiting are the keys that are asked again, whether the annuaire still means
// it.
func (l *changeLimiter) waiting() (keys []roc.Key) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range l.held.all() {
		keys = slices.AppendSeq(keys, maps.Keys(d.keys))
	}
	return keys
}
