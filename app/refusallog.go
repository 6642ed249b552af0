package app

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// A refusalLog writes the line of each exchange, and of refusals that repeat
// only the first of a window, then how many followed: a caller that is refused
// thousands of times a second must not fill the log. The journal and the
// metrics still see each one.
type refusalLog struct {
	write func(*roc.Record)
	log   *slog.Logger

	mu  sync.Mutex // guards by
	by  map[refusalKey]*refusalRun
	end context.CancelFunc
	was sync.WaitGroup
}

// A refusalKey is whose refusals, and why.
type refusalKey struct {
	from   roc.StructureID
	reason roc.Reason
}

type refusalRun struct {
	begun       time.Time
	n           int // in this window
	unsaid      int
	first, last time.Time // of those not said
}

const (
	refusalWindow = 10 * time.Second
	refusalLines  = 20     // written in one window
	refusalKeys   = 10_000 // beyond, those of one reason count together
)

func newRefusalLog(write func(*roc.Record), log *slog.Logger) *refusalLog {
	ctx, end := context.WithCancel(context.Background())
	l := &refusalLog{write: write, log: log, by: map[refusalKey]*refusalRun{}, end: end}
	l.was.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case now := <-tick.C:
				l.say(now.Add(-refusalWindow))
			}
		}
	})
	return l
}

// Close says what is not said yet.
func (l *refusalLog) Close() {
	l.end()
	l.was.Wait()
	l.say(time.Now().Add(time.Hour))
}

// Observe writes the line of an exchange, or counts it.
func (l *refusalLog) Observe(rec *roc.Record) {
	if rec.Outcome != roc.Refused || !l.repeats(rec, time.Now()) {
		l.write(rec)
	}
}

func (l *refusalLog) repeats(rec *roc.Record, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := refusalKey{rec.From, rec.Reason}
	r := l.by[k]
	if r == nil && len(l.by) >= refusalKeys {
		k.from = ""
		r = l.by[k]
	}
	if r == nil {
		r = &refusalRun{begun: now}
		l.by[k] = r
	}
	if r.n++; r.n <= refusalLines {
		return false
	}
	if r.unsaid == 0 {
		r.first = rec.RequestIn
	}
	r.unsaid++
	r.last = rec.RequestIn
	return true
}

// say ends the windows that began before then, and writes what they counted.
func (l *refusalLog) say(before time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for k, r := range l.by {
		if r.begun.After(before) {
			continue
		}
		if delete(l.by, k); r.unsaid > 0 {
			l.log.Warn("refusals of one caller for one reason, beyond those written one by one", slog.String("event", "refusals_repeated"),
				slog.String("structure", string(k.from)), slog.String("code", k.reason.Meaning().Code), slog.String("reason", string(k.reason)),
				slog.Int("count", r.unsaid), slog.Time("first", r.first), slog.Time("last", r.last))
		}
	}
}
