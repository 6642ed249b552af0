package annuaire

import (
	"context"
	"testing"
	"time"
	_ "time/tzdata" // Europe/Paris, also on a machine without zones

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
)

// A stale answer serves through its last day of validity, to its end, and not
// after: also on the day of 25 hours.
func TestAStaleAnswerServesToTheEndOfItsLastDay(t *testing.T) {
	t.Parallel()
	paris, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		t.Fatal(err)
	}
	for _, last := range []time.Time{
		time.Date(2026, 6, 15, 0, 0, 0, 0, paris),
		time.Date(2026, 10, 25, 0, 0, 0, 0, paris), // the clocks go back: 25 hours
		time.Date(2027, 3, 28, 0, 0, 0, 0, paris),  // 23 hours
	} {
		c := newClock()
		c.at.Store(last.Add(9 * time.Hour).UnixNano())
		up := true
		o := &oracle{answer: func(ctx context.Context, k roc.Key) (Entry, error) {
			if !up {
				return Entry{}, silent("told to")
			}
			e, err := always(ctx, k)
			e.Debut, e.Fin, e.At = time.Time{}, last, c.now()
			return e, err
		}}
		d := newDirectory(t, Options{Asker: o, TTL: time.Hour, Stale: time.Hour, MaxAge: 72 * time.Hour, Now: c.now, Chance: half})
		find(t, d, keyNumber(1))
		up = false
		c.at.Store(last.AddDate(0, 0, 1).UnixNano() - 1)
		if e, err := find(t, d, keyNumber(1)); err != nil || !e.Stale {
			t.Errorf("%s: at the end of its last day: %+v, %v; want it served", last.Format(time.DateOnly), e, err)
		}
		c.advance(1)
		if _, err := find(t, d, keyNumber(1)); !roc.IsRefused(err, roc.AnnuaireSilent) {
			t.Errorf("%s: the day after: %v, want annuaire-silent", last.Format(time.DateOnly), err)
		}
	}
}

// The bounds hold to the second: fresh, stale, then asked first; then gone.
func TestTheBoundsOfAnAnswerToTheSecond(t *testing.T) {
	t.Parallel()
	c := newClock()
	d := newDirectory(t, Options{Asker: deadAnnuaire(), TTL: 40 * time.Minute, Stale: 20 * time.Minute, MaxAge: 72 * time.Hour, Now: c.now, Chance: func() float64 { return 0 }})
	e, _ := always(t.Context(), keyNumber(1))
	k, start := keyNumber(1), c.now()
	route := d.sequences.enter(routeOf(&k), 5)
	e.Fin = start.AddDate(1, 0, 0)
	f := factsOf(&e).under(route, 5)
	m := memory{facts: f, at: momentOf(start), until: start.Add(40 * time.Minute).UnixNano()}
	for _, step := range []struct {
		age  time.Duration
		want standing
	}{
		{0, fresh}, {40*time.Minute - 1, fresh}, {40 * time.Minute, stale}, {time.Hour - 1, stale},
		{time.Hour, old}, {72*time.Hour - 1, old}, {72 * time.Hour, gone}, {-2 * time.Second, old},
	} {
		if got := d.standing(&k, &m, start.Add(step.age)); got != step.want {
			t.Errorf("at the age of %v it is %d, want %d", step.age, got, step.want)
		}
	}
	route.raise(6)
	if got := d.standing(&k, &m, start.Add(time.Minute)); got != old {
		t.Errorf("once its route moved it is %d, want %d: asked first", got, old)
	}
	m.retry = momentOf(start.Add(2 * time.Minute))
	if got := d.standing(&k, &m, start.Add(time.Minute)); got != stale {
		t.Errorf("just after it failed it is %d, want %d: nobody waits again", got, stale)
	}
}

// What Redis holds of before a withdrawal does not take the place of "unknown".
func TestAnOlderSharedAnswerDoesNotUndoUnknown(t *testing.T) {
	t.Parallel()
	remote := newInMemory()
	c := newClock()
	o := signedBy(c, "amc.example")
	d := newDirectory(t, Options{Asker: o, MaxAge: 72 * time.Hour, Now: c.now, Chance: half, VerifyStored: verifies,
		Shared: NewShared(SharedOptions{Tags: fakeTags("ours"), MaxAge: time.Hour, remote: remote})})
	find(t, d, keyNumber(1))
	await.Until(t, "it is published", func() bool { return d.published.Load() == 1 })
	old := remote.snapshot()
	o.answer = func(context.Context, roc.Key) (Entry, error) { return Entry{}, roc.Refuse(roc.UnknownAMC, "01") }
	c.advance(2 * time.Hour)
	if _, err := find(t, d, keyNumber(1)); !roc.IsRefused(err, roc.UnknownAMC) {
		t.Fatalf("withdrawn: %v", err)
	}
	await.Until(t, "it is published", func() bool { return d.published.Load() == 2 })
	remote.restore(old)
	c.advance(2 * time.Minute) // "unknown" is over, and asked again
	if _, err := find(t, d, keyNumber(1)); !roc.IsRefused(err, roc.UnknownAMC) {
		t.Errorf("after an old answer was put back: %v, want unknown-amc", err)
	}
	if s := d.Stats(); s.FromShared != 0 || s.RolledBack != 1 {
		t.Errorf("stats %+v", s)
	}
}

// The sequence of a route never shrinks, and two of them order two answers.
func TestASequenceOnlyGrows(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 6, 15, 10, 0, 0, 0, time.UTC)
	s := newSequences()
	x := s.enter(Route{"0075500025", roc.IDB, roc.V2}, sequenceAt(now))
	first := x.seq.Load()
	if next := x.next(first, now.Add(-5*24*time.Hour)); next != first+1 {
		t.Errorf("with a clock that went back it is %d after %d", next, first)
	}
	if x.raise(first) || x.seq.Load() != first+1 {
		t.Error("it went back")
	}
	if again := x.next(first, now); again != first+1 {
		t.Errorf("a change that was found already moves it to %d", again)
	}
	v := version{x.route, 77}
	if r, ok := readVersion(v.append(nil)); !ok || r != v {
		t.Errorf("told as %+v", r)
	}
}
