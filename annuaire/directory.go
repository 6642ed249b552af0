package annuaire

import (
	"context"
	"errors"
	"fmt"
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

	// NegativeTTL is how long "unknown AMC" is remembered. Default: 60 s.
	NegativeTTL time.Duration

	// AskTimeout bounds one question, its wait for a turn included. Default:
	// 3 s.
	AskTimeout time.Duration

	// Keys bounds how many keys are remembered; as many "unknown AMC" are, up
	// to a sixteenth of it. The keys asked only once are the first to go.
	// Default: 200 000, about 100 MB when full (480 bytes a key by BenchmarkFind).
	Keys int

	// Questions bounds how many questions are in flight at once, over all
	// keys. Default: 64.
	Questions int

	// KeepRaw keeps the annuaire's signed answers in memory (several kB each)
	// for those who hand them on.
	KeepRaw bool

	// Now tells the time. Default: time.Now.
	Now func() time.Time

	// Chance returns a number in [0, 1): the jitter of TTL. Default: random.
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
	return o
}

// retryAfter is what a caller is told to wait when the annuaire is silent.
const retryAfter = 10 * time.Second

// A Directory says where the messages of a key go: from memory while the
// answer is fresh, else it asks the annuaire. It is safe for concurrent use.
type Directory struct {
	o       Options
	known   *cache[memory]
	unknown *cache[time.Time] // until when the AMC is taken as unknown
	turns   chan struct{}     // one token per question in flight

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

// A memory is an answer and how long it is fresh.
type memory struct {
	until time.Time
	entry Entry // Remembered is already set
}

// A question is one ask in flight; done is closed when entry and err are set.
type question struct {
	done  chan struct{}
	entry Entry
	err   error
}

// New makes an empty Directory. Close it.
func New(o Options) *Directory {
	o = o.withDefaults()
	d := &Directory{
		o:       o,
		known:   newCache[memory](o.Keys),
		unknown: newCache[time.Time](max(1, o.Keys/16)),
		turns:   make(chan struct{}, o.Questions),
		asking:  make(map[roc.Key]*question),
	}
	d.ctx, d.stop = context.WithCancel(context.Background())
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
// UnknownAMC, AnnuaireSilent or AnnuaireRefused.
//
// Those who ask for one key at the same time share one question. When ctx ends
// its caller leaves with AnnuaireSilent; the question goes on for the others,
// and for the memory.
func (d *Directory) Find(ctx context.Context, k roc.Key) (Entry, error) {
	if e, err, ok := d.recall(k); ok {
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

// recall answers from memory; ok is false when the annuaire must be asked.
func (d *Directory) recall(k roc.Key) (e Entry, err error, ok bool) {
	now := d.o.Now()
	if m, found := d.known.get(k); found {
		if now.Before(m.until) {
			return m.entry, nil, true
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
	q := &question{done: make(chan struct{})}
	d.asking[k] = q
	d.asks.Go(func() { d.settle(k, q) })
	return q, nil
}

// settle answers the question for all who wait for it.
func (d *Directory) settle(k roc.Key, q *question) {
	defer func() {
		d.mu.Lock()
		delete(d.asking, k)
		d.mu.Unlock()
		close(q.done)
	}()
	// Another question may have been settled between the caller's look into
	// memory and this one.
	if e, err, ok := d.recall(k); ok {
		q.entry, q.err = e, err
		return
	}
	q.entry, q.err = d.ask(k)
	d.remember(k, q.entry, q.err)
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

// remember keeps what was learnt. A failure is not kept: the next exchange
// asks again.
func (d *Directory) remember(k roc.Key, e Entry, err error) {
	now := d.o.Now()
	d.note(now, err)
	switch {
	case err == nil:
		d.known.put(k, d.memorize(e, now))
	case roc.IsRefused(err, roc.UnknownAMC):
		d.unknown.put(k, now.Add(d.o.NegativeTTL))
	}
}

func (d *Directory) memorize(e Entry, now time.Time) memory {
	ttl := d.o.TTL - time.Duration(float64(d.o.TTL/10)*d.o.Chance())
	m := memory{entry: e, until: now.Add(ttl)}
	if end := e.end(); !end.IsZero() && end.Before(m.until) {
		m.until = end
	}
	m.entry.Remembered = true
	if !d.o.KeepRaw {
		m.entry.Raw = roc.Content{}
	}
	return m
}

// tally counts what happens, apart from what the caches count themselves.
type tally struct {
	expired, unknownExpired, misses, asked, crowded atomic.Uint64
	silent, refused, notKnown, failed               atomic.Uint64
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
	d.health.note(now, err)
}
