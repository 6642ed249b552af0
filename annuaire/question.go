package annuaire

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// A question is one ask in flight; done is closed when entry and err are set.
type question struct {
	key   roc.Key
	who   roc.StructureID // who asked first; "": the RPN itself
	turn  *turn
	done  chan struct{}
	entry Entry
	err   error
}

// question returns the question in flight for the key, opening it if there is
// none.
func (d *Directory) question(k roc.Key, who roc.StructureID) (*question, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.misses.Add(1)
	if q, ok := d.asking[k]; ok {
		d.turns.join(q.turn, who)
		return q, nil
	}
	if d.closed {
		return nil, silent("the directory is closed")
	}
	return d.openLocked(k, who, d.settle, func(e Entry) {
		if e.Stale { // from the disk: the question that answered stood in the way
			d.recall(&k)
		}
	}), nil
}

// openLocked opens a question about the key, which answer answers; then comes
// once it is over.
func (d *Directory) openLocked(k roc.Key, who roc.StructureID, answer func(*question) (Entry, error), then func(Entry)) *question {
	q := &question{key: k, who: who, done: make(chan struct{}), turn: &turn{askers: []roc.StructureID{who}}}
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
		q.entry, q.err = answer(q)
	})
	return q
}

// settle answers a question that somebody waits for.
func (d *Directory) settle(q *question) (Entry, error) {
	// Another question may have been settled between the caller's look into
	// memory and this one.
	if e, is, err := d.recall(&q.key); is == answered {
		return e, err
	}
	if d.load(q.key) {
		if e, is, err := d.recall(&q.key); is == answered {
			return e, err
		}
	}
	return d.learn(q)
}

// learn asks the other instances, then the annuaire, and remembers what it
// learns. When nobody answers, what is remembered serves up to MaxAge.
func (d *Directory) learn(q *question) (Entry, error) {
	lent, seq, isLent := d.fromShared(q.key)
	now := d.o.Now()
	if isLent && d.freshUntil(&lent, now).After(now) {
		return d.accept(q, outcome{entry: lent, seq: seq, from: byShared})
	}
	e, err := d.ask(q)
	d.note(d.o.Now(), err)
	if roc.IsRefused(err, roc.UnknownAMC) {
		return d.accept(q, outcome{unknown: true, err: err})
	}
	if err == nil {
		return d.accept(q, outcome{entry: e})
	}
	if isLent {
		return d.accept(q, outcome{entry: lent, seq: seq, from: byShared}) // an older answer of another instance
	}
	now = d.o.Now()
	d.postpone(&q.key, now)
	if m, had := d.peek(&q.key); had && m.mayComeBack(now) && now.Sub(m.at.time()) < d.o.MaxAge {
		return d.serveOld(m.entry()), nil
	}
	return Entry{}, err
}

// ask puts the question when its turn comes, within AskTimeout.
func (d *Directory) ask(q *question) (e Entry, err error) {
	err = d.inTurn(q.turn, func(ctx context.Context) (err error) {
		e, err = d.o.Asker.Ask(ctx, q.key)
		return err
	})
	if err == nil && e.AMC != q.key.AMC {
		return Entry{}, refused("the answer is about another AMC than the one asked")
	}
	return e, err
}

// inTurn asks the annuaire when the turn comes, within AskTimeout.
func (d *Directory) inTurn(w *turn, ask func(context.Context) error) (err error) {
	ctx, cancel := context.WithTimeout(d.ctx, d.o.AskTimeout)
	defer cancel()
	d.turns.enter(w)
	select {
	case <-w.ready:
		defer d.turns.done(w)
	case <-ctx.Done():
		d.turns.leave(w)
		d.crowded.Add(1)
		return &crowded{silent("no turn to ask the annuaire came in time: %w", ctx.Err())}
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("annuaire: asking panicked: %v", p)
		}
	}()
	d.asked.Add(1)
	end := d.health.begin(d.o.Now())
	defer end()
	return ask(ctx)
}

// crowded is the failure of a question that was never put: it says nothing of
// the annuaire.
type crowded struct{ refusal *roc.Refusal }

func (c *crowded) Error() string { return c.refusal.Error() }
func (c *crowded) Unwrap() error { return c.refusal }

// tally counts what happens, apart from what the caches count themselves.
type tally struct {
	expired, unknownExpired, misses, asked, crowded                atomic.Uint64
	answered, silent, refused, notKnown, failed                    atomic.Uint64
	stale, fromDisk, fromSharedN, disbelieved, rolledBack, renewed atomic.Uint64
	published, unstored                                            atomic.Uint64
}

// note counts the outcome of one question and keeps the health.
func (d *Directory) note(now time.Time, err error) {
	var c *crowded
	switch {
	case err == nil:
		d.answered.Add(1)
	case roc.IsRefused(err, roc.UnknownAMC):
		d.notKnown.Add(1)
		err = nil // an answer like another
	case roc.IsRefused(err, roc.AnnuaireSilent):
		d.silent.Add(1)
		if errors.Is(err, context.Canceled) || errors.As(err, &c) {
			return // Close ended it, or it was never put: nothing is learned about the annuaire
		}
	case roc.IsRefused(err, roc.AnnuaireRefused):
		d.refused.Add(1)
	default:
		d.failed.Add(1)
	}
	if changed, down := d.health.note(now, err, d.o.Chance()); changed && d.o.Disk != nil {
		d.o.Disk.setDown(down)
	}
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
