// Package ratelimit says how often an establishment may send. Local counts in
// this process; what a limiter shared by several processes must do as well is
// in the contract test.
package ratelimit

import (
	"context"
	"errors"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/piano-roc/rpn/internal/etablissements"
	"github.com/piano-roc/rpn/internal/roc"
)

// Default is the limit of an establishment whose register says none: 20
// messages a second, 40 at once.
var Default = etablissements.Limite{ParSeconde: 20, Rafale: 40}

// Options are what a Local may be told; every field has a default.
type Options struct {
	// Default is the limit where the register says none. Zero: Default.
	Default etablissements.Limite

	// Structures bounds how many buckets are kept. Only registered structures
	// get one, so it is far above what is needed; a structure beyond it is
	// refused, not let through. Default: 100 000, some 20 MB.
	Structures int

	// Idle is how long an unused bucket is kept at least; one is dropped only
	// once it is full again, so that dropping it changes nothing. Default:
	// 1 min.
	Idle time.Duration
}

// A Local is a token bucket for each establishment, in this process. Safe for
// concurrent use.
type Local struct {
	o Options

	mu      sync.Mutex // guards the fields below, and the buckets
	buckets map[roc.StructureID]*bucket
	sweep   time.Time // when idle buckets are looked for next
}

// A bucket is the tokens of one establishment. Its time never goes back: an
// exchange that comes with an older instant would else be given the same
// interval twice.
type bucket struct {
	tokens *rate.Limiter
	limit  etablissements.Limite
	last   time.Time
}

// NewLocal makes an empty Local.
func NewLocal(o Options) *Local {
	o.Default = complete(o.Default, Default)
	if o.Structures <= 0 {
		o.Structures = 100_000
	}
	if o.Idle <= 0 {
		o.Idle = time.Minute
	}
	return &Local{o: o, buckets: map[roc.StructureID]*bucket{}}
}

// complete fills what a limit leaves open.
func complete(l, def etablissements.Limite) etablissements.Limite {
	if !(l.ParSeconde > 0) || math.IsInf(l.ParSeconde, 0) {
		l.ParSeconde = def.ParSeconde
	}
	if l.Rafale <= 0 {
		l.Rafale = max(def.Rafale, int(math.Ceil(l.ParSeconde)))
	}
	return l
}

// Allow takes one token of who, or refuses as TooMany with the time until
// there is one. A limit that differs from the last one takes effect at once.
// A field of it that is 0 is the default; a burst that is not stated lets at
// least one second's worth pass.
func (l *Local) Allow(_ context.Context, who roc.StructureID, limit etablissements.Limite, at time.Time) error {
	limit = complete(limit, l.o.Default)
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.bucketLocked(who, limit, at)
	if b == nil {
		return (&roc.Refusal{Reason: roc.TooMany, Cause: errors.New("more structures than buckets")}).After(time.Second)
	}
	if at.Before(b.last) {
		at = b.last
	}
	b.last = at
	if b.tokens.AllowN(at, 1) {
		return nil
	}
	return tooMany(limit, untilOne(b.tokens, at))
}

func (l *Local) bucketLocked(who roc.StructureID, limit etablissements.Limite, at time.Time) *bucket {
	b := l.buckets[who]
	if b == nil {
		if at.After(l.sweep) || len(l.buckets) >= l.o.Structures {
			l.sweepLocked(at)
		}
		if len(l.buckets) >= l.o.Structures {
			return nil
		}
		b = &bucket{tokens: rate.NewLimiter(rate.Limit(limit.ParSeconde), limit.Rafale), limit: limit}
		l.buckets[who] = b
	}
	if b.limit != limit {
		at = later(at, b.last)
		b.tokens.SetLimitAt(at, rate.Limit(limit.ParSeconde))
		b.tokens.SetBurstAt(at, limit.Rafale)
		b.limit = limit
	}
	return b
}

// sweepLocked drops the buckets that are idle and full.
func (l *Local) sweepLocked(at time.Time) {
	for who, b := range l.buckets {
		if at.Sub(b.last) > l.o.Idle && b.tokens.TokensAt(at) >= float64(b.limit.Rafale) {
			delete(l.buckets, who)
		}
	}
	l.sweep = at.Add(l.o.Idle)
}

// Structures is how many buckets are kept now.
func (l *Local) Structures() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.buckets)
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// untilOne is how long until the bucket holds a whole token.
func untilOne(t *rate.Limiter, at time.Time) time.Duration {
	seconds := (1 - t.TokensAt(at)) / float64(t.Limit())
	if seconds > 3600 {
		return time.Hour
	}
	return max(time.Millisecond, time.Duration(seconds*float64(time.Second)))
}

func tooMany(limit etablissements.Limite, wait time.Duration) error {
	return roc.Refuse(roc.TooMany, "the bucket is empty; the next token comes in %s", wait.Round(time.Millisecond)).
		After(wait).
		Saying("Limite de l'établissement : %s messages par seconde, %d d'un coup. Prochain envoi possible dans %s s.",
			virgule(limit.ParSeconde), limit.Rafale, virgule(math.Ceil(wait.Seconds()*10)/10))
}

// virgule writes a number as French does.
func virgule(f float64) string {
	return strings.Replace(strconv.FormatFloat(f, 'f', -1, 64), ".", ",", 1)
}
