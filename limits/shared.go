package limits

import (
	"context"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/limits/quota"
	"github.com/piano-roc/rpn/register"
)

// Shared is the limit of each establishment over all instances: see package
// quota for what is guaranteed. It never holds an exchange for more than 2 ms.
type Shared struct {
	def   register.Limite
	meter *quota.Meter
}

// NewShared makes a Shared over meter, which the caller closes. def is the
// limit for establishments that have none in the register: its rate and its
// burst are required.
func NewShared(def register.Limite, meter *quota.Meter) *Shared {
	return &Shared{standard(def), meter}
}

// Allow takes one unit of who, or refuses as TooMany with the time to wait.
func (l *Shared) Allow(ctx context.Context, who roc.StructureID, limit register.Limite, _ time.Time) error {
	limit = complete(limit, l.def)
	wait, ok := l.meter.Spend(ctx, string(who), quota.Limit{Rate: limit.ParSeconde, Burst: float64(limit.Rafale)}, 1)
	if !ok {
		return tooMany(limit, wait)
	}
	return nil
}
