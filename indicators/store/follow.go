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
	swept time.Time    // when old figures were last deleted
	began time.Time    // when it was made

	silent map[string]bool // the journals whose silence was logged

	store Lazy

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
	Lag      time.Duration // the oldest of them has been missing for this long, or less; 0: none is missing
	Failures uint64        // rounds that failed, since the start
	Err      error         // why the last round failed; nil: it did not

	next    uint64    // as of the last round that succeeded
	current time.Time // every record of before was in the figures; zero: not known yet
	whole   bool      // and still is: the journal is not being counted again
}

// NewFollower makes a Follower. Call Run.
func NewFollower(o FollowerOptions) *Follower {
	return &Follower{o: o, began: o.Now(), store: Lazy{Open: o.Open}}
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

// asking bounds a question to the store by those who do not wait for it.
const asking = 5 * time.Second

// Reached reports whether every record of before t is in the figures, of this
// journal and of those of the other instances that share the store. It fails
// closed: while the store cannot be asked, or one of the journals is counted
// again, they are not. An instance of which nothing was heard for a day is not
// waited for (Freshness). Safe for concurrent use.
func (f *Follower) Reached(t time.Time) bool { return f.ReachedWithin(t, silentAfter) }

// ReachedWithin is Reached for whoever waits less long for an instance of which
// nothing is heard.
func (f *Follower) ReachedWithin(t time.Time, silent time.Duration) bool {
	f.mu.Lock()
	mine := f.state.whole && f.state.current.After(t)
	f.mu.Unlock()
	s := f.store.Opened()
	if s == nil || !mine {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), asking)
	defer cancel()
	all, err := s.Freshness(ctx, f.o.Now(), silent)
	return err == nil && all.Reached.After(t)
}

// Run projects the journal round after round until ctx ends, and closes the
// store.
func (f *Follower) Run(ctx context.Context) {
	defer f.close()
	for {
		began, before := f.o.Now(), f.o.Stats()
		next, err := f.round(ctx, before, began)
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

// round opens what is not open, deletes the figures that are too old once a day,
// and projects what was sealed.
func (f *Follower) round(ctx context.Context, before journal.Stats, began time.Time) (next uint64, err error) {
	s, err := f.store.Get(ctx)
	if err != nil {
		return 0, err
	}
	// Before what needs room: on a disk that is full it makes some.
	if now := f.o.Now(); now.Sub(f.swept) >= 24*time.Hour {
		if err := s.Prune(ctx, now.Add(-f.o.Keep)); err != nil {
			return 0, err
		}
		f.swept = now
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
	err = s.Project(ctx, f.log, func(_, _ uint64) { f.reach(ctx, s, sealed.Origin) })
	if err != nil && !errors.Is(err, ErrBusy) { // the other one goes on, and so do we in the next round
		return 0, err
	}
	p, err := s.Position(ctx, sealed.Origin)
	if err != nil {
		return 0, err
	}
	if err := s.hearOf(ctx, sealed.Origin, p.Next, currentAt(p.Next, before, began), f.o.Now()); err != nil {
		return 0, err
	}
	return p.Next, f.hear(ctx, s)
}

// currentAt is the instant of which every record of before is among the first
// next ones of a journal; zero: that is not known.
func currentAt(next uint64, before journal.Stats, began time.Time) time.Time {
	switch {
	case next >= before.Records:
		return began
	case next >= before.Sealed:
		return before.SealedAt
	}
	return time.Time{}
}

// hear logs, once, each journal of which nothing was heard for a day: the figures
// are shown without what may still come of it.
func (f *Follower) hear(ctx context.Context, s *Store) error {
	all, err := s.Freshness(ctx, f.o.Now(), silentAfter)
	if err != nil {
		return err
	}
	silent := map[string]bool{}
	for _, origin := range all.Silent {
		if silent[origin] = true; !f.silent[origin] {
			f.o.Log.Warn("nothing was heard of an instance for a day: the figures no longer wait for what its journal may still hold", "event", "indicators_silent", "origin", origin)
		}
	}
	f.silent = silent
	return nil
}

// reach notes how far a long round has come.
func (f *Follower) reach(ctx context.Context, s *Store, origin string) {
	p, err := s.Position(ctx, origin)
	if err != nil {
		return // the round says it
	}
	_ = s.hearOf(ctx, origin, 0, time.Time{}, f.o.Now()) // the same
	f.mu.Lock()
	f.state.next = p.Next
	f.mu.Unlock()
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
	current := currentAt(next, before, began)
	if s.whole = !current.IsZero(); current.After(s.current) {
		s.current = current
	}
}

func (f *Follower) close() {
	if f.log != nil {
		f.log.Close()
	}
	f.store.Close() // every transaction is over
}
