// Package shares divides the resources of one instance among the
// establishments: connections, exchanges in flight, bytes held. No
// establishment can take more than its share, and the last part of everything
// is kept for those who hold little: heavy users are refused before light ones.
package shares

import (
	"fmt"
	"sync"
)

// A Kind is a limited resource.
type Kind int

// The kinds.
const (
	Connections Kind = iota
	Exchanges
	Bytes // of bodies and answers held in memory
	kinds
)

// A Limit is how much of one kind there is, and how much of it each owner may
// have.
type Limit struct {
	Total int64
	// Share is how much one owner may hold by default. Default: a quarter of
	// Total.
	Share int64
	// Small is up to how much an owner is served from the kept part; Kept is
	// that part. Defaults: a hundredth of Total (at least 1), a quarter of
	// Total.
	Small, Kept int64
}

func (l Limit) complete() Limit {
	if l.Share <= 0 {
		l.Share = max(1, l.Total/4)
	}
	if l.Small <= 0 {
		l.Small = max(1, l.Total/100)
	}
	if l.Kept <= 0 {
		l.Kept = l.Total / 4
	}
	return l
}

// A Ledger records who holds what. Safe for concurrent use. It keeps an owner
// only while it holds something.
type Ledger struct {
	limits [kinds]Limit

	mu   sync.Mutex // guards the fields below
	held [kinds]int64
	by   map[string]*[kinds]int64
	free []*[kinds]int64 // that nobody uses
}

// New makes a Ledger. A kind whose Total is 0 is not limited.
func New(connections, exchanges, bytes Limit) *Ledger {
	l := &Ledger{by: map[string]*[kinds]int64{}}
	l.limits = [kinds]Limit{connections.complete(), exchanges.complete(), bytes.complete()}
	return l
}

// A Refusal says what was refused, and what is left.
type Refusal struct {
	Kind      Kind
	Own       bool  // the owner's share is used up; otherwise the total is
	Held      int64 // by the owner
	Share     int64 // of the owner
	Used, All int64 // by everybody, of the total
	Wanted    int64
}

// Error words the refusal for the log.
func (r *Refusal) Error() string {
	names := [kinds]string{"connections", "exchanges in flight", "bytes held"}
	if r.Own {
		return fmt.Sprintf("the caller holds %d of its %d %s and wants %d more", r.Held, r.Share, names[r.Kind], r.Wanted)
	}
	return fmt.Sprintf("%d of %d %s are taken, %d wanted", r.Used, r.All, names[r.Kind], r.Wanted)
}

// Take gives n of a kind to the owner, or says why not. share is the owner's
// own; 0: the default. What was taken is returned with Give.
func (l *Ledger) Take(owner string, k Kind, n, share int64) *Refusal {
	limit := &l.limits[k]
	if share <= 0 || share > limit.Total && limit.Total > 0 {
		share = limit.Share
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.by[owner]
	var held int64
	if h != nil {
		held = h[k]
	}
	if limit.Total > 0 {
		top := limit.Total
		if held+n > limit.Small {
			top -= limit.Kept
		}
		own := held+n > share && share < limit.Total
		if own || held+n > share || l.held[k]+n > top {
			return &Refusal{Kind: k, Own: own, Held: held, Share: share, Used: l.held[k], All: limit.Total, Wanted: n}
		}
	}
	if h == nil {
		h = l.ownerLocked(owner)
	}
	h[k] += n
	l.held[k] += n
	return nil
}

func (l *Ledger) ownerLocked(owner string) *[kinds]int64 {
	var h *[kinds]int64
	if n := len(l.free); n > 0 {
		h, l.free = l.free[n-1], l.free[:n-1]
	} else {
		h = new([kinds]int64)
	}
	l.by[owner] = h
	return h
}

// Give returns what Take gave.
func (l *Ledger) Give(owner string, k Kind, n int64) {
	if n == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.by[owner]
	if h == nil || h[k] < n {
		panic("shares: more was given back than taken")
	}
	h[k] -= n
	l.held[k] -= n
	if *h == ([kinds]int64{}) {
		delete(l.by, owner)
		if len(l.free) < 1024 {
			l.free = append(l.free, h)
		}
	}
}

// Used is how much of a kind is taken, and how much there is.
func (l *Ledger) Used(k Kind) (used, total int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held[k], l.limits[k].Total
}

// Saturated reports whether owners who hold more than Small are refused.
func (l *Ledger) Saturated(k Kind) bool {
	used, total := l.Used(k)
	return total > 0 && used >= total-l.limits[k].Kept
}

// Holders returns how much of a kind each owner holds, of those who hold any.
func (l *Ledger) Holders(k Kind) map[string]int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make(map[string]int64, len(l.by))
	for owner, h := range l.by {
		if h[k] > 0 {
			all[owner] = h[k]
		}
	}
	return all
}
