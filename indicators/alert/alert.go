// Package alert tells those who asked for it when an insurer goes out, by the
// definition of its card (store.Window), and when it is back, with their own
// exchanges to play again: by mail and by webhook, once each, whatever the number
// of instances.
package alert

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/piano-roc/rpn/indicators/mail"
	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/journal"
)

// Options are what a Watcher needs, all of it but Post.
type Options struct {
	Open func(context.Context) (*store.Store, error)

	// Reached reports whether the figures have every exchange of before t, of all
	// instances that share the store but those that are silent for so long.
	Reached func(t time.Time, silent time.Duration) bool

	Subscribers func() []Subscriber                // of now
	AMC         func(roc.NumeroAMC) AMC            // that has a number; one that is not in the register has that alone
	Find        func() (Search, error)             // opens the journal of this instance
	Origin      string                             // the name of that journal
	Every       time.Duration                      // how often the figures are looked at
	Down, Up    time.Duration                      // for how long a change holds before it is told
	Longest     time.Duration                      // that an exchange may last, from its first byte to its record
	Mails       bool                               // mails are sent; else webhooks alone
	Host        string                             // of the Message-ID: one for all instances
	Post        func(context.Context, Event) error // of NewWebhook; nil: no webhook is called
	Log         *slog.Logger
	Now         func() time.Time
}

// A Search looks for exchanges in a journal. Close it.
type Search interface {
	Find(context.Context, journal.Query) (*journal.Result, error)
	Close()
}

const (
	lookBack  = 6 * time.Hour   // for an outage that nobody was told of
	lookPosts = 5 * time.Second // how often the webhooks are looked at
	posters   = 4               // webhooks called at once: a slow one keeps no other waiting

	// Figures that are later than this say nothing of now.
	late = 2 * time.Minute

	// An instance that stopped is waited for so long, and no longer.
	silent = 5 * time.Minute

	// Whoever cannot be told is no longer told.
	outageExpires = 6 * time.Hour
	backExpires   = 3 * 24 * time.Hour

	// remember is how long an outage that is over may still be contributed to.
	remember = 24 * time.Hour
)

// A Watcher looks at the figures and puts letters into the outbox.
type Watcher struct {
	o Options

	// What is seen and was not told yet: an outage, and since when one is over.
	down map[roc.NumeroAMC]*failing
	up   map[roc.NumeroAMC]time.Time

	waits  time.Time // since when the figures are late; zero: they are not
	waited bool      // and it was logged

	rounds mail.Rounds
	outbox atomic.Pointer[store.OutboxState] // nil: it was not read yet
}

// New makes a Watcher. Call Run; the mails are composed by Compose.
func New(o Options) *Watcher {
	w := &Watcher{o: o, down: map[roc.NumeroAMC]*failing{}, up: map[roc.NumeroAMC]time.Time{}}
	w.rounds.Open = o.Open
	w.rounds.Failed = func(err error) {
		o.Log.Error("outages cannot be told; it is tried again", slog.String("event", "alert_failed"), slog.String("error", err.Error()))
	}
	return w
}

// OutboxState counts the letters that were not sent, those of the week and of
// webhooks too, by the last round; false: there was none yet. Safe for concurrent
// use.
func (w *Watcher) OutboxState() (store.OutboxState, bool) {
	if s := w.outbox.Load(); s != nil {
		return *s, true
	}
	return store.OutboxState{}, false
}

// A failing insurer is out since an instant, and still failed an exchange at
// another one. A window is out as a whole, however short what was wrong in it: only
// failures that go on make an outage that is told.
type failing struct {
	since, last time.Time
	failed      int64
}

// Run watches, and calls the webhooks, until ctx ends.
func (w *Watcher) Run(ctx context.Context) {
	defer w.rounds.Close()
	var running sync.WaitGroup
	defer running.Wait()
	loop := func(number int, every time.Duration, round func(context.Context, *store.Store) error) {
		w.rounds.Loop(ctx, number, every, func(ctx context.Context, s *store.Store) (time.Duration, error) { return every, round(ctx, s) })
	}
	if w.o.Post != nil {
		for i := range posters {
			running.Go(func() { loop(1+i, lookPosts, w.post) })
		}
	}
	loop(0, w.o.Every, w.round)
}

// round takes up the letters that were left, looks at every insurer once, then for
// the exchanges of outages that are over: one that cannot be found keeps nobody
// from being told.
func (w *Watcher) round(ctx context.Context, s *store.Store) error {
	now := w.o.Now()
	if err := mail.Sweep(ctx, s, now, w.o.Log); err != nil {
		return err
	}
	unsent, err := s.OutboxState(ctx)
	if err != nil {
		return err
	}
	w.outbox.Store(&unsent)
	known, err := s.Outages(ctx, now.Add(-remember))
	if err != nil {
		return err
	}
	return errors.Join(w.insurers(ctx, s, known, now), w.contribute(ctx, s, known, now))
}

// notifyOutage puts the letters of an outage that begins.
func (w *Watcher) notifyOutage(ctx context.Context, s *store.Store, o *store.AnnouncedOutage) error {
	begun, err := s.BeginOutage(ctx, o, w.letters(o, Outage, o.Announced, outageExpires))
	if begun {
		w.o.Log.Warn("an insurer is out, and those who asked are told", slog.String("event", "amc_out"), slog.String("amc", string(o.AMC)), slog.Time("since", o.Began.UTC()))
	}
	return err
}

// notifyBack puts the letters of an outage that is over.
func (w *Watcher) notifyBack(ctx context.Context, s *store.Store, o *store.AnnouncedOutage) error {
	ended, err := s.EndOutage(ctx, o, w.letters(o, Back, o.Ended, backExpires))
	if ended {
		w.o.Log.Info("an insurer is back, and those who asked are told", slog.String("event", "amc_back"), slog.String("amc", string(o.AMC)), slog.Time("since", o.Over.UTC()))
	}
	return err
}

// letters are those of an outage, of one of both kinds: of each subscriber one
// mail, whatever the number of addresses, and one call of each webhook.
func (w *Watcher) letters(o *store.AnnouncedOutage, kind string, now time.Time, expires time.Duration) (list []store.Letter) {
	unsigned := 0
	about := string(o.AMC) + "/" + strconv.FormatInt(o.Began.Unix(), 10)
	put := func(kind, to, id string) {
		list = append(list, store.Letter{ID: kind + "/" + about + "/" + id, Kind: kind, For: to, About: about, Next: now, Expires: now.Add(expires)})
	}
	for _, sub := range w.o.Subscribers() {
		mails, hooks := sub.channels(w.o.AMC(o.AMC))
		if len(mails) > 0 && w.o.Mails {
			put(kind, sub.ID, sub.ID)
		}
		if w.o.Post == nil {
			unsigned += len(hooks)
			continue
		}
		for _, url := range hooks {
			put(kind+webhook, sub.ID+" "+url, sub.ID+"/"+short(url))
		}
	}
	if unsigned > 0 {
		w.o.Log.Error("webhooks are not called: there are no secrets to sign with", slog.String("event", "webhook_unsigned"), slog.Int("webhooks", unsigned))
	}
	return list
}
