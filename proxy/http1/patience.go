package http1

import (
	"sync"
	"time"
)

// A refusal that costs its caller nothing (who it is, whether there is room, its
// rate) must not cost us much either: a caller that only asks and is refused
// waits longer and longer for its next request to be read, on all of its
// connections, and each of them ends after a while.
const (
	freeRefusals  = 5  // in a row, of one owner, before anything slows
	lastRefusal   = 12 // in a row, of one connection: it ends
	firstPause    = 50 * time.Millisecond
	longestPause  = time.Second
	refusalMemory = time.Minute // without one: forgotten
	mostRefused   = 4096        // owners that are kept; of others nothing is kept
)

// refusals counts, for each owner, the refusals in a row.
type refusals struct {
	mu sync.Mutex
	by map[string]*refusalRow
}

type refusalRow struct {
	n    int
	last time.Time
}

// note counts one, or forgets them all: a request of the owner spent its credit.
func (r *refusals) note(owner string, refused bool, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	row := r.by[owner]
	switch {
	case !refused && row != nil:
		delete(r.by, owner)
	case refused && row != nil && at.Sub(row.last) < refusalMemory:
		row.n++
		row.last = at
	case refused:
		if len(r.by) >= mostRefused {
			r.forget(at)
		}
		if len(r.by) < mostRefused {
			r.by[owner] = &refusalRow{1, at}
		}
	}
}

func (r *refusals) forget(at time.Time) {
	for owner, row := range r.by {
		if at.Sub(row.last) >= refusalMemory {
			delete(r.by, owner)
		}
	}
}

// pause is how long the next request of the owner waits before it is read.
func (r *refusals) pause(owner string, at time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	row := r.by[owner]
	if row == nil || row.n <= freeRefusals || at.Sub(row.last) >= refusalMemory {
		return 0
	}
	return min(longestPause, firstPause<<min(row.n-freeRefusals-1, 10))
}

// slowDown waits before a request of somebody who is only refused is read. A
// server that drains waits for nobody.
func (c *clientConn) slowDown() {
	if d := c.server.refusals.pause(c.place.Owner, time.Now()); d > 0 && !c.server.draining.Load() {
		time.Sleep(d)
	}
}

// noteAnswer counts a refusal that cost nothing, and ends a connection that is
// used for nothing else.
func (c *clientConn) noteAnswer(a *Answer) {
	c.server.refusals.note(c.place.Owner, a.Free, time.Now())
	if !a.Free {
		c.refusedInARow = 0
		return
	}
	if c.refusedInARow++; c.refusedInARow >= lastRefusal {
		c.last = true
	}
}
