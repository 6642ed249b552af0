// Package quota enforces one limit exactly over several instances, without a
// question for each exchange.
//
// A central bucket (Central; in Redis, by Redis) has the rate of the limit. An
// instance takes slices of it, and spends them alone. A slice expires a fixed
// time (Terms.Life) after the request for it was sent, by the instance's own
// monotonic clock, so that no two clocks have to agree. The central bucket is
// smaller than the burst by what can be outstanding. Then, for any number of
// instances and over every interval T:
//
//	admitted <= burst + rate*T
//
// as with one bucket: what is spent in [t, t+T] was outstanding at t, so issued
// after t-Life, or is issued in [t, t+T]. The level was at most the central
// burst at t-Life and only rate*Life was added since; rate*T is added after.
//
// Unspent credit is never returned. Credit that is returned and taken again
// starts a new life, and outstanding credit would grow without bound
// (TestCreditGivenBackWouldBreakTheBound).
//
// When the store is away, each instance has rate/instances, as last counted,
// from an empty bucket: see Account. docs/operating/limits.md describes what an
// operator sees.
package quota

import (
	"math"
	"time"
)

// A Limit is what one account may spend: Rate units a second, Burst at once.
// Both are positive; a Burst below 1 is 1. Unit is how much one exchange spends
// at most, where that is more than 1.
type Limit struct {
	Rate, Burst float64
	Unit        float64
}

const (
	longestLife = 2 * time.Second
	// shortestLife is the life of a slice if the burst leaves no room for one:
	// enough for the exchange that asked for it.
	shortestLife = 5 * time.Millisecond
	// mostOverdraft is for how many exchanges an instance may spend before it has
	// the answer to its question.
	mostOverdraft = 4
)

// Terms are how a Limit is split for a number of instances.
type Terms struct {
	Limit
	Life      time.Duration // of a slice
	Overdraft float64       // that each instance may owe; whole
}

// busy is the rate from which round trips to the store matter more than the
// size of bursts.
const busy = 100

// TermsOf divides the burst: a quarter of it for outstanding slices (half, if
// the rate is high), at most a quarter of the rest for what the instances may
// owe, and the remainder for the central bucket.
func TermsOf(l Limit, instances int) Terms {
	l.Burst = max(1, l.Burst)
	share := 4.0
	if l.Rate >= busy {
		share = 2
	}
	life := time.Duration(math.Min((l.Burst-1)/(share*l.Rate), longestLife.Seconds()) * float64(time.Second))
	t := Terms{Limit: l, Life: max(life, shortestLife)}
	left := l.Burst - 1 - l.Rate*t.Life.Seconds()
	t.Overdraft = max(0, min(mostOverdraft*max(1, l.Unit), math.Floor(left/4/float64(max(1, instances)))))
	return t
}

// CentralBurst is the size of the central bucket. At least 1: a limit whose
// burst is 1 is enforced as 1 + Rate*Life.
func (t Terms) CentralBurst(instances int) float64 {
	return max(1, t.Burst-t.Rate*t.Life.Seconds()-t.Overdraft*float64(max(1, instances)))
}
