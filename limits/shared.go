package limits

import (
	"context"
	"time"

	"github.com/piano-roc/rpn/limits/quota"
)

// shared is the credit of each establishment over all instances: see package
// quota for what is guaranteed. It never holds an exchange for more than 2 ms.
type shared struct {
	meter   *quota.Meter
	largest float64
}

// NewShared makes the limits of all instances, over meter, which the caller
// closes.
func NewShared(o Options, meter *quota.Meter) *Rates {
	s := &shared{meter: meter}
	r := newRates(o, s)
	s.largest = float64(r.o.Largest)
	return r
}

// bytesOf is what the account of the bytes of an establishment ends with; no id
// of a structure does.
const bytesOf = "/octets"

func (s *shared) take(ctx context.Context, a account, n int, _ time.Time) (time.Duration, bool) {
	limit, name := quota.Limit{Rate: a.rate, Burst: float64(a.burst)}, string(a.who)
	if a.kind == bytes {
		limit.Unit, name = s.largest, name+bytesOf
	}
	return s.meter.Spend(ctx, name, limit, float64(n))
}
