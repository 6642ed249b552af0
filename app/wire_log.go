package app

import (
	"context"
	"fmt"
	"time"

	"github.com/piano-roc/rpn/app/admin"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/proxy"
)

// openLog makes what writes the line of each exchange, and of refusals that
// repeat how many.
func (a *App) openLog() {
	write := proxy.LogRecord(a.log)
	if !a.config.Log.Exchanges { // the journal is the record
		write = nil
	}
	a.repeats = newRefusalLog(write, a.log)
	a.onStop("the count of refusals", func(context.Context) error { a.repeats.Close(); return nil })
}

// turnedAway counts a connection that was closed without a word.
func (a *App) turnedAway(who roc.StructureID) {
	a.live.TurnedAway()
	a.repeats.TurnedAway(who)
}

// dropsCount is how long a dropped line of the log keeps the readiness degraded.
const dropsCount = 10 * time.Minute

// checkLog says whether the log is read. It degrades: exchanges go on, and what
// is dropped is counted.
func (a *App) checkLog(now time.Time) admin.Health {
	h := admin.Health{Name: "log", OK: true}
	if a.opts.LogSink == nil {
		h.Detail = "written directly"
		return h
	}
	st := a.opts.LogSink.State()
	h.Detail = fmt.Sprintf("%d bytes queued, %d lines dropped since the start", st.Queued, st.Dropped)
	switch {
	case st.Error != nil:
		h.Degraded, h.LastError = true, st.Error.Error()
		h.Detail += "; it cannot be written: look at what reads the standard output"
	case !st.Stuck.IsZero():
		h.Degraded = true
		h.Detail += "; its reader takes nothing since " + st.Stuck.UTC().Format(time.RFC3339) + ": look at what reads the standard output"
	case st.Dropped > 0 && now.Sub(st.At) < dropsCount:
		h.Degraded = true
		h.Detail += ", the last at " + st.At.UTC().Format(time.RFC3339)
	}
	return h
}
