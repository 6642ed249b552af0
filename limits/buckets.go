package limits

import (
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/piano-roc/rpn/register"
)

// buckets are a bounded number of token buckets, in this process.
type buckets[K comparable] struct {
	most int           // maximum number of buckets
	idle time.Duration // minimum time that an unused bucket is kept

	mu    sync.Mutex // guards the fields below, and the buckets
	by    map[K]*bucket
	sweep time.Time // when idle buckets are swept next
}

// A bucket is the tokens of one sender or receiver. An exchange that comes with
// an older instant is not given the same interval twice.
type bucket struct {
	tokens *rate.Limiter
	fill   fill
	last   time.Time
}

// A fill is how a bucket fills: units a second, and how many it holds.
type fill struct {
	rate  float64
	burst int
}

func newBuckets[K comparable](most int, idle time.Duration) *buckets[K] {
	return &buckets[K]{most: most, idle: idle, by: map[K]*bucket{}}
}

// standard is a limit that others may be completed by.
func standard(l register.Limite) register.Limite {
	if !(l.ParSeconde > 0) || math.IsInf(l.ParSeconde, 0) || l.Rafale <= 0 {
		panic("limits: a default limit needs its rate and its burst")
	}
	return l
}

// complete replaces the zero fields of a limit by their defaults.
func complete(l, def register.Limite) register.Limite {
	if !(l.ParSeconde > 0) || math.IsInf(l.ParSeconde, 0) {
		l.ParSeconde = def.ParSeconde
	}
	if l.Rafale <= 0 {
		l.Rafale = max(def.Rafale, int(math.Ceil(l.ParSeconde)))
	}
	if l.OctetsParSeconde <= 0 {
		l.OctetsParSeconde = def.OctetsParSeconde
	}
	if l.RafaleOctets <= 0 {
		l.RafaleOctets = max(def.RafaleOctets, l.OctetsParSeconde)
	}
	if l.Mode == "" {
		l.Mode = def.Mode
	}
	return l
}

// take takes n tokens of who: 0, or the time until there are as many. full: who
// has no bucket, and there is no room for one more.
func (s *buckets[K]) take(who K, f fill, n int, at time.Time) (wait time.Duration, full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.bucketLocked(who, f, at)
	if b == nil {
		return time.Second, true
	}
	at = b.now(at)
	b.last = at
	if b.tokens.AllowN(at, n) {
		return 0, false
	}
	return until(b.tokens, n, at), false
}

func (s *buckets[K]) bucketLocked(who K, f fill, at time.Time) *bucket {
	b := s.by[who]
	if b == nil {
		if at.After(s.sweep) || s.sweep.Sub(at) > s.idle || len(s.by) >= s.most {
			s.sweepLocked(at)
		}
		if len(s.by) >= s.most {
			return nil
		}
		b = &bucket{tokens: rate.NewLimiter(rate.Limit(f.rate), f.burst), fill: f}
		s.by[who] = b
	}
	if b.fill != f {
		at = b.now(at)
		b.tokens.SetLimitAt(at, rate.Limit(f.rate))
		b.tokens.SetBurstAt(at, f.burst)
		b.fill = f
	}
	return b
}

// sweepLocked drops the buckets that are idle and full.
func (s *buckets[K]) sweepLocked(at time.Time) {
	for who, b := range s.by {
		b.now(at)
		if at.Sub(b.last) > s.idle && b.tokens.TokensAt(at) >= float64(b.fill.burst) {
			delete(s.by, who)
		}
	}
	s.sweep = at.Add(s.idle)
}

func (s *buckets[K]) size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.by)
}

// wentBack is from when an older instant is a clock that was put back, and not an
// exchange that was overtaken.
const wentBack = time.Minute

// now is the instant that counts for the bucket: at, or the last one where at is
// a little older. A clock that was put back counts from where it is, and gives
// nothing for the time that it was ahead.
func (b *bucket) now(at time.Time) time.Time {
	switch ahead := b.last.Sub(at); {
	case ahead > wentBack:
		b.last = at
		b.tokens.AllowN(at, 0) // from here on; its tokens stay
	case ahead > 0:
		return b.last
	}
	return at
}

// until is the time until the bucket holds n tokens.
func until(t *rate.Limiter, n int, at time.Time) time.Duration {
	seconds := (float64(n) - t.TokensAt(at)) / float64(t.Limit())
	if seconds > 3600 {
		return time.Hour
	}
	return max(time.Millisecond, time.Duration(seconds*float64(time.Second)))
}

// virgule writes a number the French way, with a decimal comma.
func virgule(f float64) string {
	return strings.Replace(strconv.FormatFloat(f, 'f', -1, 64), ".", ",", 1)
}

// inSeconds writes a wait in seconds, rounded up to a tenth.
func inSeconds(wait time.Duration) string { return virgule(math.Ceil(wait.Seconds()*10) / 10) }
