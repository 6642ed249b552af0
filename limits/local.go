package limits

import (
	"context"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// local is a token bucket for each establishment and kind of credit, in this
// process.
type local struct {
	buckets [2]*buckets[roc.StructureID]
}

// NewLocal makes the limits of this process alone.
func NewLocal(o Options) *Rates {
	if o.Structures <= 0 {
		o.Structures = 100_000
	}
	if o.Idle <= 0 {
		o.Idle = time.Minute
	}
	return newRates(o, &local{[2]*buckets[roc.StructureID]{newBuckets[roc.StructureID](o.Structures, o.Idle), newBuckets[roc.StructureID](o.Structures, o.Idle)}})
}

// take refuses who has no bucket when there is no room for one more.
func (l *local) take(_ context.Context, a account, n int, at time.Time) (time.Duration, bool) {
	wait, _ := l.buckets[a.kind].take(a.who, fill{a.rate, a.burst}, n, at)
	return wait, wait == 0
}
