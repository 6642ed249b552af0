package annuaire

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a clock that only a test moves.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.at.Store(time.Date(2026, 6, 15, 10, 0, 0, 0, time.UTC).UnixNano())
	return c
}
func (c *clock) now() time.Time          { return time.Unix(0, c.at.Load()).UTC() }
func (c *clock) advance(d time.Duration) { c.at.Add(int64(d)) }

// oracle is an annuaire that answers what a test tells it to.
type oracle struct {
	asked  atomic.Int64
	answer func(ctx context.Context, k roc.Key) (Entry, error)
}

func (o *oracle) Ask(ctx context.Context, k roc.Key) (Entry, error) {
	o.asked.Add(1)
	return o.answer(ctx, k)
}

var (
	januaryFirst = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	decemberLast = time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC)
)

func always(_ context.Context, k roc.Key) (Entry, error) {
	return Entry{AMC: k.AMC, Nom: "Mutuelle fictive", ROC: true, Debut: januaryFirst, Fin: decemberLast,
		Adresses: []Adresse{{k.Service, k.Version, "https://amc.example/roc"}},
		Raw:      roc.NewContent([]byte("<signed/>"))}, nil
}

// wait waits until no question is in flight.
func (d *Directory) wait(t *testing.T) {
	t.Helper()
	await.Until(t, "no question is in flight", func() bool { return d.Stats().InFlight == 0 })
}

// hospital is the establishment that asks.
const hospital = roc.StructureID("1010003812")

// directoryOf is New with the times and bounds that a test does not give.
func directoryOf(o Options) *Directory {
	o.TTL, o.Stale, o.NegativeTTL, o.AskTimeout = cmp.Or(o.TTL, 45*time.Minute), cmp.Or(o.Stale, 15*time.Minute), cmp.Or(o.NegativeTTL, time.Minute), cmp.Or(o.AskTimeout, 5*time.Second)
	o.PerSecond, o.NewKeys, o.Changes.Least = cmp.Or(o.PerSecond, 200), cmp.Or(o.NewKeys, 200), cmp.Or(o.Changes.Least, 10)
	return New(o)
}

func newDirectory(t *testing.T, o Options) *Directory {
	t.Helper()
	d := directoryOf(o)
	t.Cleanup(d.Close)
	return d
}

func find(t *testing.T, d *Directory, k roc.Key) (Entry, error) {
	t.Helper()
	return d.Find(t.Context(), hospital, k)
}

func TestAnAnswerIsRememberedUntilItsTTLEnds(t *testing.T) {
	t.Parallel()
	c, o := newClock(), &oracle{answer: always}
	d := newDirectory(t, Options{Asker: o, TTL: 10 * time.Minute, Now: c.now, Chance: func() float64 { return 0 }})
	for _, step := range []struct {
		after      time.Duration
		asked      int64
		remembered bool
	}{
		{0, 1, false},
		{0, 1, true},
		{10*time.Minute - 1, 1, true},
		{1, 2, false}, // exactly 10 minutes
		{time.Second, 2, true},
	} {
		c.advance(step.after)
		e, err := find(t, d, keyNumber(1))
		if err != nil || e.Nom != "Mutuelle fictive" {
			t.Fatalf("found %+v, %v", e, err)
		}
		if e.Remembered != step.remembered || o.asked.Load() != step.asked {
			t.Errorf("after %v: remembered %v, asked %d times; want %v, %d", step.after, e.Remembered, o.asked.Load(), step.remembered, step.asked)
		}
	}
	s := d.Stats()
	if s.Hits != 3 || s.Misses != 2 || s.Asks != 2 || s.Keys != 1 || s.Age != time.Second {
		t.Errorf("stats %+v", s)
	}
}

func TestTheJitterShortensTheTTLByATenthAtMost(t *testing.T) {
	t.Parallel()
	c, o := newClock(), &oracle{answer: always}
	d := newDirectory(t, Options{Asker: o, TTL: 10 * time.Minute, Now: c.now, Chance: func() float64 { return 0.5 }})
	find(t, d, keyNumber(1))
	c.advance(9*time.Minute + 30*time.Second - 1)
	if e, _ := find(t, d, keyNumber(1)); !e.Remembered {
		t.Error("asked again before 9 min 30 s")
	}
	c.advance(1)
	if e, _ := find(t, d, keyNumber(1)); e.Remembered {
		t.Error("still remembered at 9 min 30 s")
	}
}

func TestAnAnswerIsNotUsedAfterItsLastDay(t *testing.T) {
	t.Parallel()
	c := newClock()
	o := &oracle{}
	o.answer = func(ctx context.Context, k roc.Key) (Entry, error) {
		e, err := always(ctx, k)
		e.Fin = time.Date(2026, 6, 15, 0, 0, 0, 0, time.UTC) // today, at 10:00
		return e, err
	}
	d := newDirectory(t, Options{Asker: o, TTL: 48 * time.Hour, Now: c.now})
	find(t, d, keyNumber(1))
	c.advance(14*time.Hour - 1)
	if e, _ := find(t, d, keyNumber(1)); !e.Remembered {
		t.Error("the last day is a day of validity, to its end")
	}
	c.advance(1)
	if e, _ := find(t, d, keyNumber(1)); e.Remembered {
		t.Error("used after its last day")
	}
}

func TestUnknownIsRememberedForAMinute(t *testing.T) {
	t.Parallel()
	c := newClock()
	o := &oracle{answer: func(context.Context, roc.Key) (Entry, error) {
		return Entry{}, roc.Refuse(roc.UnknownAMC, "code 01")
	}}
	d := newDirectory(t, Options{Asker: o, Now: c.now})
	for _, step := range []struct {
		after time.Duration
		asked int64
	}{{0, 1}, {time.Minute - 1, 1}, {1, 2}} {
		c.advance(step.after)
		if _, err := find(t, d, keyNumber(1)); !roc.IsRefused(err, roc.UnknownAMC) {
			t.Fatalf("found %v, want unknown-amc", err)
		}
		if o.asked.Load() != step.asked {
			t.Errorf("after %v: asked %d times, want %d", step.after, o.asked.Load(), step.asked)
		}
	}
	if s := d.Stats(); s.UnknownHits != 1 || s.Unknown != 2 || s.UnknownKeys != 1 {
		t.Errorf("stats %+v", s)
	}
	if err := d.Health().Err(); err != nil {
		t.Errorf("unknown AMC is an answer like another, health says %v", err)
	}
}

func TestAFailureIsNotRemembered(t *testing.T) {
	t.Parallel()
	c := newClock()
	down := true
	o := &oracle{}
	o.answer = func(ctx context.Context, k roc.Key) (Entry, error) {
		if down {
			return Entry{}, roc.Refuse(roc.AnnuaireSilent, "connection refused")
		}
		return always(ctx, k)
	}
	d := newDirectory(t, Options{Asker: o, Now: c.now})
	since := c.now()
	for range 2 {
		if _, err := find(t, d, keyNumber(1)); !roc.IsRefused(err, roc.AnnuaireSilent) {
			t.Fatalf("found %v, want annuaire-silent", err)
		}
		c.advance(time.Second)
	}
	h := d.Health()
	if h.Failures != 2 || !h.Since.Equal(since) || h.Err() == nil {
		t.Errorf("health %+v", h)
	}
	down = false
	if _, err := find(t, d, keyNumber(1)); err != nil {
		t.Fatalf("the annuaire is back: %v", err)
	}
	if h := d.Health(); h.Err() != nil || !h.LastAnswer.Equal(c.now()) {
		t.Errorf("health %+v once back", h)
	}
	if s := d.Stats(); s.Silent != 2 || s.Asks != 3 {
		t.Errorf("stats %+v", s)
	}
}

func TestAnAnswerAboutAnotherAMCIsRefusedWhoeverAsked(t *testing.T) {
	t.Parallel()
	o := &oracle{answer: func(ctx context.Context, k roc.Key) (Entry, error) { return always(ctx, keyNumber(2)) }}
	d := newDirectory(t, Options{Asker: o})
	if _, err := find(t, d, keyNumber(1)); !roc.IsRefused(err, roc.AnnuaireRefused) {
		t.Errorf("found %v, want annuaire-refused", err)
	}
}

func TestAPanicOfTheAskerRefusesOneExchange(t *testing.T) {
	t.Parallel()
	o := &oracle{answer: func(context.Context, roc.Key) (Entry, error) { panic("defect") }}
	d := newDirectory(t, Options{Asker: o})
	if _, err := find(t, d, keyNumber(1)); roc.RefusalOf(err).Reason != roc.Internal {
		t.Errorf("found %v, want internal", err)
	}
	if s := d.Stats(); s.Failed != 1 || s.InFlight != 0 {
		t.Errorf("stats %+v", s)
	}
}

// gate is an oracle that answers only once the test opens it.
func gate() (*oracle, chan struct{}, chan struct{}) {
	entered, open := make(chan struct{}, 1000), make(chan struct{})
	return &oracle{answer: func(ctx context.Context, k roc.Key) (Entry, error) {
		entered <- struct{}{}
		select {
		case <-open:
			return always(ctx, k)
		case <-ctx.Done():
			return Entry{}, roc.Refuse(roc.AnnuaireSilent, "%w", ctx.Err())
		}
	}}, entered, open
}

func TestOneQuestionInFlightPerKey(t *testing.T) {
	t.Parallel()
	o, entered, open := gate()
	d := newDirectory(t, Options{Asker: o, AskTimeout: time.Hour})
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			e, err := d.Find(context.Background(), hospital, keyNumber(i%2))
			if err != nil || e.AMC != keyNumber(i%2).AMC || e.Remembered && e.Raw.Len() > 0 {
				t.Errorf("found %+v, %v", e, err)
			}
		})
	}
	<-entered
	<-entered
	close(open)
	wg.Wait()
	if n := o.asked.Load(); n != 2 {
		t.Errorf("asked %d times for 2 keys", n)
	}
}

func TestAWaiterThatLeavesDoesNotCancelTheQuestion(t *testing.T) {
	t.Parallel()
	o, entered, open := gate()
	d := newDirectory(t, Options{Asker: o, AskTimeout: time.Hour})
	ctx, leave := context.WithCancel(t.Context())
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { _, err := d.Find(ctx, hospital, keyNumber(1)); first <- err }()
	<-entered
	go func() { _, err := d.Find(context.Background(), hospital, keyNumber(1)); second <- err }()
	leave()
	if err := <-first; !roc.IsRefused(err, roc.AnnuaireSilent) || !errors.Is(err, context.Canceled) {
		t.Errorf("the one that left got %v", err)
	}
	close(open)
	if err := <-second; err != nil {
		t.Errorf("the one that stayed got %v", err)
	}
	if e, err := find(t, d, keyNumber(1)); err != nil || !e.Remembered || o.asked.Load() != 1 {
		t.Errorf("then found %+v, %v after %d questions", e, err, o.asked.Load())
	}
}

func TestAQuestionEndsByItsOwnTimeout(t *testing.T) {
	t.Parallel()
	o, _, _ := gate()
	d := newDirectory(t, Options{Asker: o, AskTimeout: time.Millisecond})
	if _, err := find(t, d, keyNumber(1)); !roc.IsRefused(err, roc.AnnuaireSilent) {
		t.Errorf("found %v, want annuaire-silent", err)
	}
}

func TestQuestionsInFlightAreBounded(t *testing.T) {
	t.Parallel()
	o, entered, open := gate()
	d := newDirectory(t, Options{Asker: o, AskTimeout: 50 * time.Millisecond, Questions: 1})
	// The first holds the only turn beyond the second's patience: the gate
	// ignores the question's end.
	o.answer = func(ctx context.Context, k roc.Key) (Entry, error) {
		entered <- struct{}{}
		<-open
		return always(ctx, k)
	}
	first := make(chan error, 1)
	go func() { _, err := d.Find(context.Background(), hospital, keyNumber(1)); first <- err }()
	<-entered
	if _, err := find(t, d, keyNumber(2)); !roc.IsRefused(err, roc.AnnuaireSilent) {
		t.Errorf("found %v, want annuaire-silent", err)
	}
	close(open)
	if err := <-first; err != nil {
		t.Errorf("the first got %v", err)
	}
	if s := d.Stats(); s.Crowded != 1 || s.Asks != 1 || s.Answered != 1 || s.Silent != 1 {
		t.Errorf("stats %+v", s)
	}
}

func TestCloseEndsTheQuestionsInFlight(t *testing.T) {
	t.Parallel()
	o, entered, _ := gate()
	d := directoryOf(Options{Asker: o, AskTimeout: time.Hour})
	got := make(chan error, 1)
	go func() { _, err := d.Find(context.Background(), hospital, keyNumber(1)); got <- err }()
	<-entered
	d.Close()
	if err := <-got; !roc.IsRefused(err, roc.AnnuaireSilent) {
		t.Errorf("found %v, want annuaire-silent", err)
	}
	if _, err := d.Find(context.Background(), hospital, keyNumber(2)); !roc.IsRefused(err, roc.AnnuaireSilent) {
		t.Errorf("after Close: found %v, want annuaire-silent", err)
	}
	if h := d.Health(); h.Err() != nil {
		t.Errorf("our own stop is not the annuaire's failure: %v", h.Err())
	}
}
