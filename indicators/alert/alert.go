// Package alert tells those who asked for it when an insurer goes out, by the
// definition of its card (store.Window), and when it is back, with their own
// exchanges to play again: by mail and by webhook, once each, whatever the number
// of instances.
package alert

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/piano-roc/rpn/indicators/mail"
	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/journal"
)

// A Subscriber is who asked to be told.
type Subscriber struct {
	ID         string            // a structure id, OfAMC or Operators: it is in the letters, and in the secrets of webhooks
	Structures []roc.StructureID // an establishment: its exchanges are those of any of them
	Channels   []Channel
}

// A Channel is one way to tell a subscriber: by mail or by webhook.
type Channel struct {
	Mail, Webhook string
	AMCs          []roc.NumeroAMC // the insurers that it is told of; none: all
}

// An AMC is an insurer, with all its numbers. The first one names it.
type AMC struct {
	Nom     string
	Numeros []roc.NumeroAMC
}

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

// Operators is the ID of those who run the RPN.
const Operators = "exploitant"

const ofAMC = "amc-"

// OfAMC is the ID of an insurer, by its first number.
func OfAMC(n roc.NumeroAMC) string { return ofAMC + string(n) }

// IsSubscriber reports whether a text is an ID that a Subscriber may have.
func IsSubscriber(id string) bool {
	if n, ok := strings.CutPrefix(id, ofAMC); ok {
		canonical, err := roc.ParseNumeroAMC(n)
		return err == nil && string(canonical) == n
	}
	_, err := roc.ParseStructureID(id)
	return err == nil || id == Operators
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

// current reports whether the figures are of now, and logs, once, that alerts
// wait for them.
func (w *Watcher) current(now time.Time) bool {
	switch {
	case w.o.Reached(now.Add(-late), silent):
		w.waits, w.waited = time.Time{}, false
		return true
	case w.waits.IsZero():
		w.waits = now
	case !w.waited && now.Sub(w.waits) >= late:
		w.waited = true
		w.o.Log.Warn("outages are not told: the figures of this instance, or of another one that shares the store, are late", slog.String("event", "alert_waits"), slog.Time("since", w.waits.UTC()))
	}
	return false
}

// insurers looks at every insurer once.
func (w *Watcher) insurers(ctx context.Context, s *store.Store, known []store.AnnouncedOutage, now time.Time) error {
	if !w.current(now) { // nothing is told of what is not known
		clear(w.down)
		clear(w.up)
		return nil
	}
	states, err := s.States(ctx, now.Add(-lookBack), now)
	if err != nil {
		return err
	}
	by := map[roc.NumeroAMC][]store.ServiceState{}
	for _, st := range states {
		n := w.o.AMC(st.AMC).Numeros[0]
		by[n] = append(by[n], st)
	}
	for _, n := range w.openOf(known) { // that nobody calls any more
		if by[n] == nil {
			by[n] = []store.ServiceState{}
		}
	}
	for n, states := range by {
		if err := w.insurer(ctx, s, n, states, known, now); err != nil {
			return err
		}
	}
	return nil
}

func (w *Watcher) openOf(known []store.AnnouncedOutage) (list []roc.NumeroAMC) {
	for i := range known {
		if known[i].Ended.IsZero() {
			list = append(list, w.o.AMC(known[i].AMC).Numeros[0])
		}
	}
	return list
}

// insurer tells what changed of one insurer, once it has held long enough.
func (w *Watcher) insurer(ctx context.Context, s *store.Store, n roc.NumeroAMC, states []store.ServiceState, known []store.AnnouncedOutage, now time.Time) error {
	var open *store.AnnouncedOutage
	var last time.Time // when the end of the one before was told
	for i := range known {
		switch o := &known[i]; {
		case w.o.AMC(o.AMC).Numeros[0] != n:
		case o.Ended.IsZero():
			open = o
		case o.Ended.After(last):
			last = o.Ended
		}
	}
	out := outNow(states, now)
	if open == nil {
		delete(w.up, n)
		if len(out) == 0 {
			delete(w.down, n)
			return nil
		}
		if !w.goesOn(n, out, now) {
			return nil
		}
		began := out[0].Since
		for _, st := range out {
			if st.Since.Before(began) {
				began = st.Since
			}
		}
		if began.Before(last) {
			began = last
		}
		delete(w.down, n)
		return w.notifyOutage(ctx, s, &store.AnnouncedOutage{AMC: n, Began: began, Services: services(nil, out), Announced: now})
	}
	delete(w.down, n)
	if wider := services(open.Services, out); len(wider) > len(open.Services) {
		open.Services = wider
		if err := s.WidenOutage(ctx, open); err != nil {
			return err
		}
	}
	over, back := backSince(open, states)
	if len(out) > 0 || !back {
		delete(w.up, n)
		return nil
	}
	if w.up[n].IsZero() {
		w.up[n] = now
	}
	if now.Sub(w.up[n]) < w.o.Up {
		return nil
	}
	delete(w.up, n)
	open.Over, open.Ended = over, now
	return w.notifyBack(ctx, s, open)
}

// goesOn reports whether an insurer that is out still fails exchanges so long
// after it was first seen.
func (w *Watcher) goesOn(n roc.NumeroAMC, out []store.ServiceState, now time.Time) bool {
	var sum int64
	for _, st := range out {
		sum += st.Failed
	}
	f := w.down[n]
	if f == nil {
		f = &failing{since: now, last: now, failed: sum}
		w.down[n] = f
	}
	if sum > f.failed {
		f.failed, f.last = sum, now
	}
	return f.last.Sub(f.since) >= w.o.Down
}

// outNow are the services that are out. One that was last measured too long ago
// may be well by now: nobody is told of it, were it not told before.
func outNow(states []store.ServiceState, now time.Time) (list []store.ServiceState) {
	for _, st := range states {
		if st.Out && now.Sub(st.Measured) < 3*store.Window {
			list = append(list, st)
		}
	}
	return list
}

// backSince reports whether one of the services of an outage was measured since,
// and since when it is good. One that nobody calls any more does not keep the
// others from being told.
func backSince(o *store.AnnouncedOutage, states []store.ServiceState) (since time.Time, back bool) {
	for _, st := range states {
		if !slices.Contains(o.Services, st.Service) || st.Out || !st.Measured.After(o.Began) {
			continue
		}
		back = true
		if since.IsZero() || st.Over.After(since) {
			since = st.Over
		}
	}
	if since.IsZero() || since.Before(o.Began) { // its end is no longer in what was read
		for _, st := range states {
			if st.Measured.After(since) {
				since = st.Measured
			}
		}
	}
	return since, back
}

func services(list []roc.Service, states []store.ServiceState) []roc.Service {
	list = slices.Clone(list)
	for _, st := range states {
		if !slices.Contains(list, st.Service) {
			list = append(list, st.Service)
		}
	}
	slices.Sort(list)
	return list
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
		w.o.Log.Warn("an insurer is back, and those who asked are told", slog.String("event", "amc_back"), slog.String("amc", string(o.AMC)), slog.Time("since", o.Over.UTC()))
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

// channels are the addresses and webhooks of a subscriber that are told of an
// insurer.
func (s *Subscriber) channels(a AMC) (mails, hooks []string) {
	for _, c := range s.Channels {
		of := func(n roc.NumeroAMC) bool { return slices.Contains(a.Numeros, n) }
		if len(c.AMCs) > 0 && !slices.ContainsFunc(c.AMCs, of) {
			continue
		}
		if c.Mail != "" && !slices.Contains(mails, c.Mail) {
			mails = append(mails, c.Mail)
		}
		if c.Webhook != "" && !slices.Contains(hooks, c.Webhook) {
			hooks = append(hooks, c.Webhook)
		}
	}
	return mails, hooks
}

func (w *Watcher) subscriber(id string) (Subscriber, bool) {
	for _, s := range w.o.Subscribers() {
		if s.ID == id {
			return s, true
		}
	}
	return Subscriber{}, false
}
