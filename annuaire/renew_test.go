package annuaire

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// half is the middle of every jitter: delays are as written.
func half() float64 { return 0.5 }

// told is an annuaire that answers what a test last told it to.
func told() (*oracle, *atomic.Pointer[error]) {
	var err atomic.Pointer[error]
	o := &oracle{}
	o.answer = func(ctx context.Context, k roc.Key) (Entry, error) {
		if p := err.Load(); p != nil {
			return Entry{}, *p
		}
		e, _ := always(ctx, k)
		e.At = time.Now()
		return e, nil
	}
	return o, &err
}

func TestWhatIsNoLongerFreshServesWhileItIsAskedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o, fails := told()
		d := directoryOf(Options{Asker: o, TTL: time.Hour, MaxAge: 24 * time.Hour, Chance: half})
		defer d.Close()
		// The validity of the answers of always() covers 2026; the bubble
		// begins in 2000.
		always := o.answer
		o.answer = func(ctx context.Context, k roc.Key) (Entry, error) {
			e, err := always(ctx, k)
			e.Debut, e.Fin = time.Time{}, time.Time{}
			e.At = e.At.AddDate(26, 0, 0)
			return e, err
		}
		d.o.Now = func() time.Time { return time.Now().AddDate(26, 0, 0) }
		find := func(stale bool) {
			t.Helper()
			e, err := d.Find(t.Context(), hospital, keyNumber(1))
			if err != nil || e.Stale != stale {
				t.Fatalf("found stale %v, %v, want stale %v", e.Stale, err, stale)
			}
			synctest.Wait() // until what goes on in the background is done
		}
		find(false)
		time.Sleep(57 * time.Minute) // the TTL, less the jitter
		find(true)                   // served at once...
		if o.asked.Load() != 2 {
			t.Errorf("asked %d times, want 2: once in the background", o.asked.Load())
		}
		find(false) // ...and fresh for the next

		down := error(silent("told to"))
		fails.Store(&down)
		time.Sleep(57 * time.Minute)
		find(true)
		asked := o.asked.Load()
		for range 10 {
			find(true) // within the back-off of the key: not asked
		}
		if o.asked.Load() != asked {
			t.Errorf("a silent annuaire was asked %d times at once", o.asked.Load()-asked)
		}
		time.Sleep(22 * time.Hour)
		find(true) // its age is 23 h
		time.Sleep(2 * time.Hour)
		if _, err := d.Find(t.Context(), hospital, keyNumber(1)); !roc.IsRefused(err, roc.AnnuaireSilent) {
			t.Errorf("at 25 h: %v, want annuaire-silent: the age is bounded", err)
		}
		fails.Store(nil)
		find(false)
		s := d.Stats()
		if s.Stale < 12 || s.Renewals < 2 {
			t.Errorf("stats %+v: stale answers and renewals are counted", s)
		}
	})
}

// A flapping or dead annuaire is not hammered: from the third failure on the
// questions that nobody waits for rest, longer each time.
func TestTheRestGrowsAndEndsWithAnAnswer(t *testing.T) {
	t.Parallel()
	var h health
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var rests []time.Duration
	for range 10 {
		h.note(at, errors.New("down"), 0.5)
		rest := max(0, h.rest.Sub(at))
		rests = append(rests, rest)
		if h.resting(at.Add(rest)) || rest > 0 && !h.resting(at.Add(rest-1)) {
			t.Errorf("the rest of %v is not kept", rest)
		}
	}
	want := []time.Duration{0, 0, 1, 2, 4, 8, 16, 30, 30, 30}
	for i, w := range want {
		if rests[i] != w*time.Second {
			t.Errorf("after %d failures it rests %v, want %v", i+1, rests[i], w*time.Second)
		}
	}
	h.note(at, errors.New("down"), 0)
	short := h.rest.Sub(at)
	h.note(at, errors.New("down"), 0.999)
	if long := h.rest.Sub(at); short != 15*time.Second || long <= 44*time.Second {
		t.Errorf("by chance it rests %v to %v, want 15 s to 45 s", short, long)
	}
	h.note(at, nil, 0.5)
	if h.resting(at) {
		t.Error("it rests after an answer")
	}
}

func TestUnknownTakesThePlaceOfAnAnswer(t *testing.T) {
	t.Parallel()
	c, o := newClock(), &oracle{answer: always}
	d := newDirectory(t, Options{Asker: o, TTL: time.Minute, MaxAge: time.Hour, Now: c.now, Chance: half})
	find(t, d, keyNumber(1))
	o.answer = func(context.Context, roc.Key) (Entry, error) { return Entry{}, roc.Refuse(roc.UnknownAMC, "01") }
	c.advance(2 * time.Minute)
	find(t, d, keyNumber(1)) // stale, and asked again
	d.wait(t)
	if _, err := find(t, d, keyNumber(1)); !roc.IsRefused(err, roc.UnknownAMC) {
		t.Errorf("found %v, want unknown-amc: the annuaire says that it left", err)
	}
}

func TestRevalidateAllAsksAgainWhatIsFresh(t *testing.T) {
	t.Parallel()
	c, o := newClock(), &oracle{answer: always}
	d := newDirectory(t, Options{Asker: o, TTL: time.Hour, MaxAge: 2 * time.Hour, Now: c.now, Chance: half})
	find(t, d, keyNumber(1))
	d.RevalidateAll(time.Minute)
	c.advance(31 * time.Second)
	if e, err := find(t, d, keyNumber(1)); err != nil || !e.Stale {
		t.Errorf("found %+v, %v; want it served, and asked again", e, err)
	}
	d.wait(t)
	if o.asked.Load() != 2 {
		t.Errorf("asked %d times", o.asked.Load())
	}
}
