package annuaire

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// Options are what a Directory needs. Only Asker is required.
type Options struct {
	Asker Asker

	// TTL is how long an answer is used before the annuaire is asked again,
	// however long it says it is valid. Default: 1 h. Each answer gets up to a
	// tenth less, by chance, so that keys learnt together are not asked again
	// together.
	TTL time.Duration

	// MaxAge is the age, since the annuaire was asked, up to which an answer
	// still serves once it is no longer fresh: at once, while the annuaire is
	// asked again beside. Its own validity may end sooner. Default: none serves
	// stale.
	MaxAge time.Duration

	// NegativeTTL is how long "unknown AMC" is remembered. Default: 60 s.
	NegativeTTL time.Duration

	// AskTimeout bounds one question, its wait for a turn included. Default:
	// 3 s.
	AskTimeout time.Duration

	// Keys bounds how many keys are remembered; as many "unknown AMC" are, up
	// to a sixteenth of it. The keys asked only once are the first to go.
	// Default: 200 000, at most 100 MB (docs/bench/annuaire.md).
	Keys int

	// Questions bounds how many questions are in flight at once, over all
	// keys. Those that nobody waits for take half of it at most. Default: 64.
	Questions int

	// KeepRaw keeps the annuaire's signed answers in memory (several kB each)
	// for those who hand them on.
	KeepRaw bool

	// Disk remembers the signed answers beyond a restart. It is not believed:
	// Believe checks what comes from it. nil: nothing does.
	Disk *Disk

	// Shared is where instances leave their answers to one another. It is not
	// believed either. nil: this one is alone.
	Shared *Shared

	// Believe reads an answer that was kept, as Client.Believe does. Required
	// with Disk or Shared.
	Believe func(raw roc.Content, k roc.Key, at time.Time) (Entry, error)

	// Guard holds back answers that would move too many routes at once. The
	// zero Guard holds nothing.
	Guard GuardOptions

	// Log is told what an operator must know. Default: nothing is said.
	Log *slog.Logger

	// Now tells the time. Default: time.Now.
	Now func() time.Time

	// Chance returns a number in [0, 1): the jitter of every delay. Default:
	// random.
	Chance func() float64
}

func (o Options) withDefaults() Options {
	orDuration := func(d *time.Duration, def time.Duration) {
		if *d <= 0 {
			*d = def
		}
	}
	orDuration(&o.TTL, time.Hour)
	orDuration(&o.NegativeTTL, time.Minute)
	orDuration(&o.AskTimeout, 3*time.Second)
	if o.Keys <= 0 {
		o.Keys = 200_000
	}
	if o.Questions <= 0 {
		o.Questions = 64
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Chance == nil {
		o.Chance = rand.Float64
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// retryAfter is what a caller is told to wait when the annuaire is silent.
const retryAfter = 10 * time.Second

// A Directory says where the messages of a key go: from memory while the
// answer is fresh, from memory while it asks again once it is not, else it
// asks: its own disk, the other instances, the annuaire. It is safe for
// concurrent use.
type Directory struct {
	o       Options
	known   *cache[memory]
	unknown *cache[time.Time] // until when the AMC is taken as unknown
	same    *interner
	guard   *guard
	turns   chan struct{} // one token per question in flight
	beside  chan struct{} // one token per question that nobody waits for

	// ctx ends at Close: questions belong to the directory, not to the
	// exchange that happened to be first.
	ctx  context.Context
	stop context.CancelFunc

	mu     sync.Mutex // guards asking and closed
	asking map[roc.Key]*question
	closed bool
	asks   sync.WaitGroup

	tally
	health health
}

// A question is one ask in flight; done is closed when entry and err are set.
type question struct {
	done  chan struct{}
	entry Entry
	err   error
}

// New makes an empty Directory. Close it, before its Disk and its Shared.
func New(o Options) *Directory {
	o = o.withDefaults()
	d := &Directory{
		o:       o,
		known:   newCache[memory](o.Keys),
		unknown: newCache[time.Time](max(1, o.Keys/16)),
		same:    newInterner(),
		guard:   newGuard(o.Guard),
		turns:   make(chan struct{}, o.Questions),
		beside:  make(chan struct{}, (o.Questions+1)/2),
		asking:  make(map[roc.Key]*question),
	}
	d.ctx, d.stop = context.WithCancel(context.Background())
	if o.Shared != nil {
		o.Shared.listen(d)
	}
	return d
}

// Close ends the questions in flight and waits for them. What is remembered
// can still be found.
func (d *Directory) Close() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.stop()
	d.asks.Wait()
}

// Find returns what the annuaire says about the key. It refuses with
// UnknownAMC, AnnuaireSilent, AnnuaireRefused or Quarantined.
//
// Those who ask for one key at the same time share one question. When ctx ends
// its caller leaves with AnnuaireSilent; the question goes on for the others,
// and for the memory.
func (d *Directory) Find(ctx context.Context, k roc.Key) (Entry, error) {
	e, err, ok := d.recall(&k)
	if ok {
		return e, err
	}
	q, err := d.question(k)
	if err != nil {
		return Entry{}, err
	}
	select {
	case <-q.done:
		return q.entry, q.err
	case <-ctx.Done():
		return Entry{}, silent("the exchange could not wait longer for the annuaire: %w", context.Cause(ctx))
	}
}

// recall answers from memory; ok is false when somebody must be asked first.
func (d *Directory) recall(k *roc.Key) (e Entry, err error, ok bool) {
	now := d.o.Now()
	if m, found := d.known.get(k); found {
		switch {
		case now.UnixNano() < m.until:
			return m.entry(), nil, true
		case d.mayServe(k, &m, now):
			d.stale.Add(1)
			d.refresh(k, &m, now)
			e := m.entry()
			e.Stale = true
			return e, nil, true
		}
		d.expired.Add(1)
	}
	if until, found := d.unknown.get(k); found {
		if now.Before(until) {
			return Entry{}, roc.Refuse(roc.UnknownAMC, "the annuaire said so less than %v ago", d.o.NegativeTTL), true
		}
		d.unknownExpired.Add(1)
	}
	return Entry{}, nil, false
}

// question returns the question in flight for the key, opening it if there is
// none.
func (d *Directory) question(k roc.Key) (*question, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.misses.Add(1)
	if q, ok := d.asking[k]; ok {
		return q, nil
	}
	if d.closed {
		return nil, silent("the directory is closed")
	}
	return d.openLocked(k, d.settle, func(e Entry) {
		if e.Stale { // from the disk: the question that answered stood in the way
			d.recall(&k)
		}
	}), nil
}

// openLocked opens a question about the key, which answer answers; then comes
// once it is over.
func (d *Directory) openLocked(k roc.Key, answer func(roc.Key) (Entry, error), then func(Entry)) *question {
	q := &question{done: make(chan struct{})}
	d.asking[k] = q
	d.asks.Go(func() {
		defer func() {
			d.mu.Lock()
			delete(d.asking, k)
			d.mu.Unlock()
			close(q.done)
			if q.err == nil {
				then(q.entry)
			}
		}()
		q.entry, q.err = answer(k)
	})
	return q
}

// settle answers a question that somebody waits for.
func (d *Directory) settle(k roc.Key) (Entry, error) {
	// Another question may have been settled between the caller's look into
	// memory and this one.
	if e, err, ok := d.recall(&k); ok {
		return e, err
	}
	if d.load(k) {
		if e, err, ok := d.recall(&k); ok {
			return e, err
		}
	}
	return d.learn(k)
}

// learn asks the other instances, then the annuaire, and remembers what it
// learns.
func (d *Directory) learn(k roc.Key) (Entry, error) {
	lent, isLent := d.borrow(k)
	if isLent && d.freshUntil(&lent, d.o.Now()).After(d.o.Now()) {
		return d.accept(k, lent, nil, false)
	}
	e, err := d.ask(k)
	d.note(d.o.Now(), err)
	if err != nil && isLent && !roc.IsRefused(err, roc.UnknownAMC) {
		return d.accept(k, lent, nil, false) // an older answer of another instance
	}
	return d.accept(k, e, err, true)
}

// ask puts the question when its turn comes, within AskTimeout.
func (d *Directory) ask(k roc.Key) (e Entry, err error) {
	ctx, cancel := context.WithTimeout(d.ctx, d.o.AskTimeout)
	defer cancel()
	select {
	case d.turns <- struct{}{}:
		defer func() { <-d.turns }()
	case <-ctx.Done():
		d.crowded.Add(1)
		return Entry{}, silent("%d other questions are in flight: %w", d.o.Questions, ctx.Err())
	}
	defer func() {
		if p := recover(); p != nil {
			e, err = Entry{}, fmt.Errorf("annuaire: asking panicked: %v", p)
		}
	}()
	d.asked.Add(1)
	e, err = d.o.Asker.Ask(ctx, k)
	if err == nil && e.AMC != k.AMC {
		return Entry{}, refused("the answer is about another AMC than the one asked")
	}
	return e, err
}

// accept remembers what was learnt, unless the guard holds it back, and tells
// the others when the annuaire itself said it. A failure is not remembered:
// the next exchange asks again.
func (d *Directory) accept(k roc.Key, e Entry, err error, asked bool) (Entry, error) {
	now := d.o.Now()
	isUnknown := roc.IsRefused(err, roc.UnknownAMC)
	if err != nil && !isUnknown {
		return Entry{}, err
	}
	var next *facts
	if err == nil && e.At.IsZero() {
		e.At = now
	}
	if err == nil {
		next = d.same.intern(d.factsToKeep(&e))
	}
	previous, had := d.peek(&k)
	switch d.guard.judge(k, had, previous, next, now, d) {
	case held:
		if !had || !previous.mayComeBack(now) {
			return Entry{}, roc.Refuse(roc.Quarantined, "the annuaire moves many routes at once, and this address is one of the new ones").
				Saying("L'annuaire change beaucoup d'adresses à la fois ; celle-ci attend l'accord de l'exploitant du RPN.")
		}
		d.holdBack(&k, now)
		kept := previous.entry()
		kept.Stale = true
		return kept, nil
	}
	if isUnknown {
		d.forget(k, now)
	} else {
		d.remember(k, next, &e, now)
	}
	if asked {
		d.publish(k, e, isUnknown)
	}
	return e, err
}

// remember keeps an answer in memory and on disk.
func (d *Directory) remember(k roc.Key, f *facts, e *Entry, now time.Time) {
	d.known.put(&k, memory{facts: f, until: d.freshUntil(e, now).UnixNano(), at: momentOf(e.At)})
	if d.o.Disk != nil && e.Raw.Len() > 0 {
		d.o.Disk.put(k, e.At, e.Raw)
	}
}

// forget keeps "unknown AMC" in the place of an answer.
func (d *Directory) forget(k roc.Key, now time.Time) {
	d.known.change(&k, func(m *memory) { *m = memory{facts: m.facts} })
	d.unknown.put(&k, now.Add(d.o.NegativeTTL))
	if d.o.Disk != nil {
		d.o.Disk.drop(k)
	}
}

// factsToKeep are those of an entry, with its signed answer when it is asked
// for.
func (d *Directory) factsToKeep(e *Entry) *facts {
	f := factsOf(e)
	if !d.o.KeepRaw {
		f.raw = roc.Content{}
	}
	return f
}

// freshUntil is when an answer that was asked at e.At stops being fresh.
func (d *Directory) freshUntil(e *Entry, now time.Time) time.Time {
	at := e.At
	if at.IsZero() || at.After(now) {
		at = now
	}
	ttl := d.o.TTL - time.Duration(float64(d.o.TTL/10)*d.o.Chance())
	until := at.Add(ttl)
	if end := e.end(); !end.IsZero() && end.Before(until) {
		return end
	}
	return until
}

// tally counts what happens, apart from what the caches count themselves.
type tally struct {
	expired, unknownExpired, misses, asked, crowded              atomic.Uint64
	silent, refused, notKnown, failed                            atomic.Uint64
	stale, fromDisk, fromShared, disbelieved, renewed, published atomic.Uint64
}

// note counts the outcome of one question and keeps the health.
func (d *Directory) note(now time.Time, err error) {
	switch {
	case err == nil:
	case roc.IsRefused(err, roc.UnknownAMC):
		d.notKnown.Add(1)
		err = nil // an answer like another
	case roc.IsRefused(err, roc.AnnuaireSilent):
		d.silent.Add(1)
		if errors.Is(err, context.Canceled) {
			return // Close ended it: nothing is learnt about the annuaire
		}
	case roc.IsRefused(err, roc.AnnuaireRefused):
		d.refused.Add(1)
	default:
		d.failed.Add(1)
	}
	d.health.note(now, err, d.o.Chance())
}
