package login

import (
	"sync"
	"time"
)

// refusals groups the log lines of logins that failed, which any stranger makes: so
// many a minute, and how many more there were.
type refusals struct {
	mu     sync.Mutex // guards the rest
	minute time.Time
	lines  int
	left   int
}

const refusalLines = 10 // a minute

// line reports whether one more is written, and how many were not since the last line.
func (r *refusals) line(now time.Time) (left int, is bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := now.Truncate(time.Minute); !m.Equal(r.minute) {
		r.minute, r.lines = m, 0
	}
	if r.lines >= refusalLines {
		r.left++
		return 0, false
	}
	r.lines++
	left, r.left = r.left, 0
	return left, true
}
