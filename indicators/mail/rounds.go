package mail

import (
	"context"
	"sync"
	"time"

	"github.com/piano-roc/rpn/indicators/store"
)

// Rounds are the loops of one part, over a store that they share.
type Rounds struct {
	store.Lazy
	Failed func(error) // logs that a round failed: of a series, the first

	failures Failures
}

// Loop does rounds until ctx ends. A round says how long it is until the next one;
// while the store cannot be opened it is every.
func (r *Rounds) Loop(ctx context.Context, number int, every time.Duration, round func(context.Context, *store.Store) (time.Duration, error)) {
	for {
		pause := every
		s, err := r.Get(ctx)
		if err == nil {
			pause, err = round(ctx, s)
		}
		if ctx.Err() == nil && r.failures.First(number, err) {
			r.Failed(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// Failures are those of loops that try again: of a series of the same failure, in
// whichever of them, the first is logged. Zero is ready.
type Failures struct {
	mu  sync.Mutex
	now map[int]string // of each loop that fails, its last failure
}

// First takes the result of a round of a loop, and reports whether it is to be
// logged. A round that is good ends the series.
func (f *Failures) First(loop int, err error) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		delete(f.now, loop)
		return false
	}
	first := true
	for _, text := range f.now {
		first = first && text != err.Error()
	}
	if f.now == nil {
		f.now = map[int]string{}
	}
	f.now[loop] = err.Error()
	return first
}
