package limits

import (
	"context"
	"testing"
	"time"

	"github.com/piano-roc/rpn/register"
)

const fiveDays = 5 * 24 * time.Hour

// A clock that jumps five days forwards and is put back freezes no bucket, gives
// no interval twice, and leaves no bucket that is never dropped.
func TestAClockThatJumpsFreezesNoBucket(t *testing.T) {
	t.Parallel()
	l := NewLocal(Options{Default: twenty})
	limit := register.Limite{ParSeconde: 1, Rafale: 5}
	passed := func(who int, at time.Time) (n int) {
		for range 20 {
			if l.Allow(context.Background(), structure(who), limit, at) == nil {
				n++
			}
		}
		return n
	}
	passed(1, noon)
	for who := 1; who < 100; who++ {
		passed(who, noon.Add(fiveDays))
	}
	if n := passed(1, noon.Add(time.Second)); n != 0 {
		t.Errorf("%d pass right after the clock was put back, want none: the bucket was emptied while it was ahead", n)
	}
	if n := passed(1, noon.Add(4*time.Second)); n != 3 {
		t.Errorf("3 s later %d pass, want 3: one a second from where the clock is", n)
	}
	passed(200, noon.Add(3*time.Minute))
	passed(200, noon.Add(6*time.Minute))
	passed(201, noon.Add(9*time.Minute))
	if n := l.source.(*local).buckets[messages].size(); n > 2 {
		t.Errorf("%d buckets are kept, those of the jump too", n)
	}
}

// An exchange that comes with an instant a little older is overtaken by another:
// the time between them is given once.
func TestTheSameIntervalIsGivenOnce(t *testing.T) {
	t.Parallel()
	l := NewLocal(Options{Default: twenty})
	limit := register.Limite{ParSeconde: 1, Rafale: 5}
	n := 0
	for i := range 100 {
		if l.Allow(context.Background(), structure(1), limit, noon.Add(time.Duration(i%2)*10*time.Second)) == nil {
			n++
		}
	}
	if n > 15 {
		t.Errorf("%d pass in ten seconds, want the burst of 5 and one a second", n)
	}
}
