package store

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/piano-roc/rpn/journal"
)

// The figures have reached an instant once everything of before is in them, and
// not before: not at the start, not while they catch up.
func TestWhatTheFiguresHaveReached(t *testing.T) {
	t.Parallel()
	noon := monday.Add(12 * time.Hour)
	now, stats := noon, journal.Stats{Records: 100, Sealed: 90, SealedAt: noon.Add(-5 * time.Second)}
	f := NewFollower(FollowerOptions{Stats: func() journal.Stats { return stats }, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return now }})
	want := func(reached, not time.Time, behind uint64, lag time.Duration) {
		t.Helper()
		if !reached.IsZero() && !f.Reached(reached) || f.Reached(not) {
			t.Errorf("it has reached %s: %v, %s: %v", reached, f.Reached(reached), not, f.Reached(not))
		}
		if s := f.State(); s.Behind != behind || s.Lag != lag {
			t.Errorf("%d records behind for %s, want %d for %s", s.Behind, s.Lag, behind, lag)
		}
	}
	want(time.Time{}, noon.AddDate(-1, 0, 0), 100, 0)
	now = noon.Add(time.Minute)
	f.note(nil, 50, stats, noon)
	want(time.Time{}, noon.AddDate(-1, 0, 0), 50, time.Minute)
	f.note(nil, 90, stats, noon)
	want(noon.Add(-6*time.Second), noon, 10, time.Minute+5*time.Second)
	f.note(nil, 100, stats, noon)
	want(noon.Add(-time.Second), noon, 0, 0)
	f.note(errors.New("away"), 0, stats, now)
	stats.Records++
	if want(noon.Add(-time.Second), noon, 1, time.Minute); f.State().Failures != 1 || f.State().Err == nil {
		t.Errorf("%+v", f.State())
	}
}
