package portal

import (
	"sync"
	"time"
)

// A limit bounds how often each of many may come: GCRA, whose memory of one is
// an instant. What it remembers is bounded. Safe for concurrent use.
type limit struct {
	every time.Duration // between two, in the long run
	burst time.Duration // how far ahead of its time one may be

	mu   sync.Mutex
	next map[string]time.Time // when each would be on time
}

// maxLimited is how many are remembered.
const maxLimited = 16_384

// newLimit lets each come so many times a second, and so many at once.
func newLimit(perSecond float64, atOnce int) *limit {
	every := time.Duration(float64(time.Second) / perSecond)
	return &limit{every: every, burst: time.Duration(atOnce-1) * every, next: map[string]time.Time{}}
}

// allow reports whether that one may come now, or how long it must wait.
func (l *limit) allow(who string, now time.Time) (wait time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.next[who]
	if at.Before(now) || at.Sub(now) > l.burst+l.every { // on time; or the clock went back
		at = now
	}
	if ahead := at.Sub(now); ahead > l.burst {
		return ahead - l.burst, false
	}
	if _, known := l.next[who]; !known && len(l.next) >= maxLimited {
		l.forget(now)
	}
	l.next[who] = at.Add(l.every)
	return 0, true
}

// forget removes those who are on time; when there is none, everybody: a
// stranger who comes under many names gets no more than room.
func (l *limit) forget(now time.Time) {
	for who, at := range l.next {
		if !at.After(now) {
			delete(l.next, who)
		}
	}
	if len(l.next) >= maxLimited {
		clear(l.next)
	}
}
