// Package limits decides how often an establishment may send, and how much, and
// how often an insurer is sent to. Local counts in this process, Shared over all
// instances; the contract test holds what both must do.
package limits

import (
	"context"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
)

// Options configure the limits of establishments; Default is required.
type Options struct {
	// Default is the limit for establishments that have none in the register: its
	// rate and its burst are required. Without a rate of bytes, bytes have no
	// limit. Without a mode: Reject.
	Default register.Limite

	// Largest is the size of the largest message, in bytes: the least that the
	// burst of bytes is, so that it passes at all. Default: 2 MiB.
	Largest int

	// ShapeWait is how long a message waits for its credit at most, and
	// ShapeQueue how many of one establishment do, where the mode is Shape.
	// Defaults: 2 s, 32.
	ShapeWait  time.Duration
	ShapeQueue int

	// OnOver is told of what passes although it is beyond the limit, where the
	// mode is Observe. It must not block. May be nil.
	OnOver func(who roc.StructureID, cause roc.CauseCode)

	// Structures bounds how many buckets a Local keeps. Only registered structures
	// get one, so it is far above what is needed; a structure beyond it is
	// refused, not let through. Default: 100 000, some 20 MB.
	Structures int

	// Idle is the minimum time that an unused bucket of a Local is kept; it is
	// dropped only once it is full again, so that dropping it changes nothing.
	// Default: 1 min.
	Idle time.Duration
}

// Rates hold each establishment to its limit: so many messages a second, and so
// many bytes. Safe for concurrent use.
type Rates struct {
	o       Options
	source  source
	waiting queues
}

// A credit is what is counted.
type credit int

const (
	messages credit = iota
	bytes
)

// An account is one establishment's credit of one kind, and how it fills.
type account struct {
	who   roc.StructureID
	kind  credit
	rate  float64
	burst int
}

// A source gives n units of an account, or says how long to wait for them.
type source interface {
	take(ctx context.Context, a account, n int, at time.Time) (wait time.Duration, ok bool)
}

func newRates(o Options, s source) *Rates {
	standard(o.Default)
	if o.Default.Mode == "" {
		o.Default.Mode = register.Reject
	}
	if o.Largest <= 0 {
		o.Largest = 2 << 20
	}
	if o.ShapeWait <= 0 {
		o.ShapeWait = 2 * time.Second
	}
	if o.ShapeQueue <= 0 {
		o.ShapeQueue = 32
	}
	if o.OnOver == nil {
		o.OnOver = func(roc.StructureID, roc.CauseCode) {}
	}
	return &Rates{o: o, source: s, waiting: queues{by: map[queueKey]*queue{}}}
}

// Allow takes one message of who, or refuses as TooMany with the time until
// there is one. A changed limit takes effect at once. A zero field of it means
// the default; the default burst is at least one second's worth.
func (r *Rates) Allow(ctx context.Context, who roc.StructureID, limit register.Limite, at time.Time) error {
	limit = complete(limit, r.o.Default)
	return r.spend(ctx, account{who, messages, limit.ParSeconde, limit.Rafale}, 1, limit.Mode, at)
}

// AllowBytes takes the bytes of one message likewise.
func (r *Rates) AllowBytes(ctx context.Context, who roc.StructureID, limit register.Limite, n int, at time.Time) error {
	limit = complete(limit, r.o.Default)
	if limit.OctetsParSeconde <= 0 || n <= 0 {
		return nil
	}
	burst := max(int(limit.RafaleOctets), r.o.Largest)
	return r.spend(ctx, account{who, bytes, float64(limit.OctetsParSeconde), burst}, n, limit.Mode, at)
}

// Shapes reports whether a message of that limit may wait for its credit.
func (r *Rates) Shapes(limit register.Limite) bool {
	return complete(limit, r.o.Default).Mode == register.Shape
}

func (r *Rates) spend(ctx context.Context, a account, n int, mode register.LimitMode, at time.Time) error {
	var wait time.Duration
	var ok bool
	if mode == register.Shape {
		wait, ok = r.shape(ctx, a, n, at)
	} else {
		wait, ok = r.source.take(ctx, a, n, at)
	}
	switch {
	case ok:
		return nil
	case mode == register.Observe:
		r.o.OnOver(a.who, a.kind.cause())
		return nil
	}
	return tooMany(a, n, wait)
}

func (c credit) cause() roc.CauseCode {
	if c == bytes {
		return roc.ByteRateExceeded
	}
	return roc.RateExceeded
}

func tooMany(a account, n int, wait time.Duration) error {
	if a.kind == bytes {
		return roc.Refuse(roc.TooMany, "the bucket of bytes does not hold %d; it does in %s", n, wait.Round(time.Millisecond)).Because(roc.ByteRateExceeded).
			After(wait).
			Saying("Limite de l'établissement : %s octets par seconde, %d d'un coup ; ce message en fait %d. Prochain envoi possible dans %s s.",
				virgule(a.rate), a.burst, n, inSeconds(wait))
	}
	return roc.Refuse(roc.TooMany, "the bucket is empty; the next token comes in %s", wait.Round(time.Millisecond)).Because(roc.RateExceeded).
		After(wait).
		Saying("Limite de l'établissement : %s messages par seconde, %d d'un coup. Prochain envoi possible dans %s s.",
			virgule(a.rate), a.burst, inSeconds(wait))
}
