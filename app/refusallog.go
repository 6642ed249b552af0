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
	write func(*roc.Record) // nil: exchanges have no line
	log   *slog.Logger

	mu  sync.Mutex // guards by
	by  map[refusalKey]*refusalRun
	end context.CancelFunc
	was sync.WaitGroup
}

// A refusalKey is whose refusals, and why; no reason: of connections that were
// closed without a word.
type refusalKey struct {
	from   roc.StructureID
	reason roc.Reason
	cause  roc.CauseCode
	passed bool // it was not refused: the limit is observed
}

type refusalRun struct {
	begun       time.Time
	n           int // in this window
	unsaid      int
	first, last time.Time // of those not said
}

const (
	refusalWindow = 10 * time.Second
	refusalLines  = 20     // written in one window, of what spent its sender's credit
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
				l.flush(now.Add(-refusalWindow))
			}
		}
	})
	return l
}

// Close says what is not said yet.
func (l *refusalLog) Close() {
	l.end()
	l.was.Wait()
	l.flush(time.Now().Add(time.Hour))
}

// Observe writes the line of an exchange, or counts it.
func (l *refusalLog) Observe(rec *roc.Record) {
	if l.write == nil {
		return
	}
	if rec.Outcome != roc.Refused || !l.repeats(refusalKey{from: rec.From, reason: rec.Reason, cause: rec.CauseCode}, rec.RequestIn, time.Now()) {
		l.write(rec)
	}
}

// TurnedAway writes that a connection was closed without a word, or counts it.
func (l *refusalLog) TurnedAway(who roc.StructureID) {
	if now := time.Now(); !l.repeats(refusalKey{from: who}, now, now) {
		l.logRepeats(refusalKey{from: who}, 1, now, now)
	}
}

// OverLimit writes that a message passed beyond a limit that is observed, or
// counts it.
func (l *refusalLog) OverLimit(who roc.StructureID, cause roc.CauseCode) {
	k, now := refusalKey{from: who, reason: roc.TooMany, cause: cause, passed: true}, time.Now()
	if !l.repeats(k, now, now) {
		l.logRepeats(k, 1, now, now)
	}
}

// lines is how many of a window are written one by one. What came before the
// sender's rate (who calls, and whether there is room) costs its sender nothing
// and so has no bound: its first alone.
func (k refusalKey) lines() int {
	switch k.reason {
	case "", roc.UnknownStructure, roc.Suspended, roc.Revoked, roc.TooMany, roc.Overloaded:
		return 1
	}
	return refusalLines
}

func (l *refusalLog) repeats(k refusalKey, at, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.by[k]
	if r == nil && len(l.by) >= refusalKeys {
		k.from = ""
		r = l.by[k]
	}
	if r == nil {
		r = &refusalRun{begun: now}
		l.by[k] = r
	}
	if r.n++; r.n <= k.lines() {
		return false
	}
	if r.unsaid == 0 {
		r.first = at
	}
	r.unsaid++
	r.last = at
	return true
}

// flush ends the windows that began before then, and writes what they counted.
func (l *refusalLog) flush(before time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for k, r := range l.by {
		if r.begun.After(before) {
			continue
		}
		if delete(l.by, k); r.unsaid > 0 {
			l.logRepeats(k, r.unsaid, r.first, r.last)
		}
	}
}

// logRepeats writes how many there were.
func (l *refusalLog) logRepeats(k refusalKey, n int, first, last time.Time) {
	if k.reason == "" {
		l.log.Warn("connections of one structure closed without a word: it had too many, or all are taken", slog.String("event", "connections_turned_away"),
			slog.String("structure", string(k.from)), slog.Int("count", n), slog.Time("first", first), slog.Time("last", last))
		return
	}
	if k.passed {
		l.log.Warn("messages beyond the limit of their establishment, which is observed: they passed", slog.String("event", "limit_observed"),
			slog.String("structure", string(k.from)), slog.String("cause_code", string(k.cause)), slog.Int("count", n), slog.Time("first", first), slog.Time("last", last))
		return
	}
	l.log.Info("refusals of one caller for one cause, beyond those written one by one", slog.String("event", "refusals_repeated"),
		slog.String("structure", string(k.from)), slog.String("code", k.reason.Meaning().Code), slog.String("reason", string(k.reason)),
		slog.String("cause_code", string(k.cause)), slog.Int("count", n), slog.Time("first", first), slog.Time("last", last))
}
