package store

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/piano-roc/rpn/journal"
)

// A Follower keeps a store up to date with the journal of this process, in the
// background. No exchange waits for it: while the store fails, figures are late
// and nothing else happens, and they catch up from the journal afterwards.
type Follower struct {
	o FollowerOptions

	log   *journal.Log // nil: not open
	store *Store       // nil: not open
	swept time.Time    // when old figures were last deleted
	began time.Time    // when it was made

	mu    sync.Mutex // guards state
	state State
}

// FollowerOptions are what a Follower needs, all of it.
type FollowerOptions struct {
	Open func(context.Context) (*Store, error)

	Dir   string               // of the journal
	Stats func() journal.Stats // of the journal

	Every time.Duration // from the end of one round to the beginning of the next
	Keep  time.Duration // how long figures are kept

	Log *slog.Logger
	Now func() time.Time
}

// A State is how far a Follower is.
type State struct {
	Behind   uint64        // records of the journal that are in no figure yet
	Lag      time.Duration // for how long one of them has been missing at most; 0: none is missing
	Failures uint64        // rounds that failed, since the start
	Err      error         // why the last round failed; nil: it did not

	next    uint64    // as of the last round that succeeded
	current time.Time // every record of before is in the figures; zero: not known yet
}

// NewFollower makes a Follower. Call Run.
func NewFollower(o FollowerOptions) *Follower {
	return &Follower{o: o, began: o.Now()}
}

// State returns how far it is now. Safe for concurrent use.
func (f *Follower) State() State {
	records := f.o.Stats().Records
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.state
	if s.Behind = records - min(records, s.next); s.Behind > 0 {
		since := s.current
		if since.IsZero() {
			since = f.began
		}
		s.Lag = max(0, f.o.Now().Sub(since))
	}
	return s
}

// Reached reports whether every record of before t is in the figures of the
// journal that is followed. Safe for concurrent use.
func (f *Follower) Reached(t time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state.current.After(t)
}

// Run projects the journal round after round until ctx ends, and closes the
// store.
func (f *Follower) Run(ctx context.Context) {
	defer f.close()
	for {
		began, before := f.o.Now(), f.o.Stats()
		next, err := f.round(ctx)
		if ctx.Err() != nil {
			return
		}
		f.note(err, next, before, began)
		select {
		case <-ctx.Done():
			return
		case <-time.After(f.o.Every):
		}
	}
}

// round opens what is not open, projects what was sealed, and deletes the
// figures that are too old once a day.
func (f *Follower) round(ctx context.Context) (next uint64, err error) {
	if f.store == nil {
		if f.store, err = f.o.Open(ctx); err != nil {
			f.store = nil
			return 0, err
		}
	}
	if f.log == nil {
		f.log, err = journal.OpenLog(f.o.Dir)
	} else {
		err = f.log.Refresh()
	}
	if err != nil {
		return 0, err
	}
	sealed, err := f.log.Checkpoint()
	if errors.Is(err, journal.ErrNotSealed) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	err = f.store.Project(ctx, f.log, func(_, _ uint64) { f.reach(ctx, sealed.Origin) })
	if err != nil && !errors.Is(err, ErrBusy) { // the other one goes on, and so do we in the next round
		return 0, err
	}
	if now := f.o.Now(); now.Sub(f.swept) >= 24*time.Hour {
		if err := f.store.Prune(ctx, now.Add(-f.o.Keep)); err != nil {
			return 0, err
		}
		f.swept = now
	}
	p, err := f.store.Position(ctx, sealed.Origin)
	return p.Next, err
}

// reach notes how far a long round has come.
func (f *Follower) reach(ctx context.Context, origin string) {
	if p, err := f.store.Position(ctx, origin); err == nil {
		f.mu.Lock()
		f.state.next = p.Next
		f.mu.Unlock()
	}
}

// note takes the result of a round that began at that time and with that
// journal. Only the first failure of a series, and its end, are logged.
func (f *Follower) note(err error, next uint64, before journal.Stats, began time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := &f.state
	failed := s.Err
	s.Err = err
	switch {
	case err != nil:
		s.Failures++
		if failed == nil {
			f.o.Log.Error("the figures cannot be brought up to date; they catch up from the journal as soon as they can be", "event", "indicators_failed", "error", err.Error())
		}
		return
	case failed != nil:
		f.o.Log.Info("the figures are brought up to date again", "event", "indicators_resumed", "records", next)
	}
	s.next = next
	switch {
	case next >= before.Records:
		s.current = began
	case next >= before.Sealed && before.SealedAt.After(s.current):
		s.current = before.SealedAt
	}
}

func (f *Follower) close() {
	if f.log != nil {
		f.log.Close()
	}
	if f.store != nil {
		f.store.Close() // every transaction is over
	}
}
