package limits

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
)

// A meterOfAll holds what was admitted against one bucket: over every interval T,
// at most burst + rate*T.
type meterOfAll struct {
	rate, burst float64
	mu          sync.Mutex
	full, worst float64
	at          time.Time
	n           int
}

func (m *meterOfAll) admit(units float64, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.full = max(0, m.full-m.rate*at.Sub(m.at).Seconds()) + units
	m.at = at
	m.worst = max(m.worst, m.full-m.burst)
	m.n++
}

// What waits for its credit passes at the rate: no more than burst + rate*T, over
// every interval, of messages and of bytes alike; it uses the rate better than
// refusing does; nobody waits longer than allowed, or than its own deadline.
func TestWhatIsShapedKeepsTheBoundAndTheDeadline(t *testing.T) {
	t.Parallel()
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 3))
			limit := register.Limite{ParSeconde: 1 + 30*r.Float64(), Rafale: 1 + r.IntN(40), OctetsParSeconde: 10_000, RafaleOctets: 100_000, Mode: register.Shape}
			l := NewLocal(Options{Default: twenty, Largest: 20_000})
			count := &meterOfAll{rate: limit.ParSeconde, burst: float64(limit.Rafale), at: time.Now()}
			sizes := &meterOfAll{rate: 10_000, burst: 100_000, at: time.Now()}
			var all sync.WaitGroup
			for range 1 + r.IntN(12) {
				own := rand.New(rand.NewPCG(seed, r.Uint64()))
				all.Go(func() {
					for range 100 {
						time.Sleep(time.Duration(own.IntN(300)) * time.Millisecond)
						patience := time.Duration(1+own.IntN(4000)) * time.Millisecond
						ctx, cancel := context.WithTimeout(t.Context(), patience)
						begun := time.Now()
						err := l.Allow(ctx, alice, limit, begun)
						n := 1 + own.IntN(20_000)
						if err == nil {
							count.admit(1, time.Now())
							if err = l.AllowBytes(ctx, alice, limit, n, time.Now()); err == nil {
								sizes.admit(float64(n), time.Now())
							}
						}
						cancel()
						if took := time.Since(begun); took > min(4*time.Second, patience)+time.Millisecond {
							t.Errorf("seed %d: one that has %s waited %s", seed, patience, took)
						}
						if err != nil && (!roc.IsRefused(err, roc.TooMany) || roc.RefusalOf(err).RetryAfter <= 0) {
							t.Errorf("seed %d: %v", seed, err)
						}
					}
				})
			}
			all.Wait()
			if count.worst > 1e-6 || sizes.worst > 1e-3 {
				t.Errorf("seed %d: %.2f messages and %.0f bytes more than burst + rate*T", seed, count.worst, sizes.worst)
			}
			if len(l.waiting.by) > 0 {
				t.Errorf("seed %d: %d queues are left", seed, len(l.waiting.by))
			}
		})
	}
}

// Those of one establishment pass in the order in which they came; another one
// waits for none of them.
func TestWhoIsShapedPassesInItsTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limit := register.Limite{ParSeconde: 10, Rafale: 1, Mode: register.Shape}
		l := NewLocal(Options{Default: twenty})
		order := make(chan int, 10)
		var all sync.WaitGroup
		for i := range 10 {
			all.Go(func() {
				if err := l.Allow(t.Context(), alice, limit, time.Now()); err != nil {
					t.Error(err)
				}
				order <- i
			})
			time.Sleep(time.Millisecond)
		}
		begun := time.Now()
		if err := l.Allow(t.Context(), berne, limit, time.Now()); err != nil || time.Since(begun) > 0 {
			t.Errorf("another establishment waits %s: %v", time.Since(begun), err)
		}
		all.Wait()
		for want := range 10 {
			if got := <-order; got != want {
				t.Errorf("the %dth to pass came as the %dth", want, got)
			}
		}
	})
}

// Who could not pass in time, or finds too many before, hears so at once.
func TestShapeRefusesAtOnceWhatCannotPass(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limit := register.Limite{ParSeconde: 1, Rafale: 1, Mode: register.Shape}
		l := NewLocal(Options{Default: twenty, ShapeWait: time.Minute, ShapeQueue: 3})
		allow := func(d time.Duration) error {
			ctx, cancel := context.WithTimeout(t.Context(), d)
			defer cancel()
			return l.Allow(ctx, alice, limit, time.Now())
		}
		if err := allow(time.Second); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		if err := allow(900 * time.Millisecond); err == nil {
			t.Error("the credit comes in 1 s, and this one had 0.9 s")
		}
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				if err := allow(time.Minute); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if err := allow(time.Minute); err == nil || roc.RefusalOf(err).RetryAfter < 2*time.Second {
			t.Errorf("the fourth in a queue of three: %v", err)
		}
		if time.Since(begun) > 0 {
			t.Errorf("they were refused after %s", time.Since(begun))
		}
		all.Wait()
	})
}

// Who comes after one that waits for more credit than an hour gives waits as
// long as that one, whatever it wants itself: it is refused at once.
func TestAfterAVeryLargeMessageTheWaitIsThatMessages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limit := register.Limite{OctetsParSeconde: 1, RafaleOctets: 1, Mode: register.Shape}
		l := NewLocal(Options{Default: twenty, Largest: 20_000, ShapeWait: 10 * time.Hour})
		size := func(n int) error { return l.AllowBytes(t.Context(), alice, limit, n, time.Now()) }
		if err := size(20_000); err != nil { // the bucket is empty now
			t.Fatal(err)
		}
		var first sync.WaitGroup
		first.Go(func() {
			if err := size(20_000); err != nil { // its credit comes in 5 h 33
				t.Error(err)
			}
		})
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
		defer cancel()
		begun := time.Now()
		if err := l.AllowBytes(ctx, alice, limit, 5000, time.Now()); err == nil || time.Since(begun) > 0 {
			t.Errorf("it has half an hour, and was answered after %s: %v", time.Since(begun), err)
		}
		first.Wait()
	})
}

// What is observed passes, and is told.
func TestWhatIsObservedPassesAndIsTold(t *testing.T) {
	t.Parallel()
	told := map[string]int{}
	limit := register.Limite{ParSeconde: 2, Rafale: 3, OctetsParSeconde: 1000, RafaleOctets: 1000, Mode: register.Observe}
	l := NewLocal(Options{Default: twenty, Largest: 1000, OnOver: func(who roc.StructureID, c roc.CauseCode) { told[fmt.Sprint(who, " ", c)]++ }})
	for range 10 {
		if err := l.Allow(t.Context(), alice, limit, noon); err != nil {
			t.Error(err)
		}
		if err := l.AllowBytes(t.Context(), alice, limit, 500, noon); err != nil {
			t.Error(err)
		}
	}
	if told["1010003812 rate-exceeded"] != 7 || told["1010003812 byte-rate-exceeded"] != 8 || len(told) != 2 {
		t.Errorf("told: %v", told)
	}
}

// Bytes have a limit of their own; the largest message passes, whatever the
// burst.
func TestBytesHaveTheirOwnLimit(t *testing.T) {
	t.Parallel()
	limit := register.Limite{OctetsParSeconde: 1000, RafaleOctets: 10}
	l := NewLocal(Options{Default: twenty, Largest: 5000})
	if err := l.AllowBytes(t.Context(), alice, limit, 5000, noon); err != nil {
		t.Errorf("the largest message: %v", err)
	}
	r := roc.RefusalOf(l.AllowBytes(t.Context(), alice, limit, 500, noon))
	if r.CauseCode != roc.ByteRateExceeded || r.RetryAfter != 500*time.Millisecond || r.Detail != "Limite de l'établissement : 1000 octets par seconde, 5000 d'un coup ; ce message en fait 500. Prochain envoi possible dans 0,5 s." {
		t.Errorf("%+v", r)
	}
	if err := l.Allow(t.Context(), alice, limit, noon); err != nil {
		t.Errorf("its messages: %v", err)
	}
	if err := l.AllowBytes(t.Context(), alice, limit, 500, noon.Add(r.RetryAfter)); err != nil {
		t.Errorf("after the wait it was told: %v", err)
	}
	if err := l.AllowBytes(t.Context(), berne, register.Limite{}, 1<<30, noon); err != nil {
		t.Errorf("without a limit of bytes: %v", err)
	}
}

// BenchmarkDecision is one local decision about a message and its bytes, without
// a reading of the clock.
func BenchmarkDecision(b *testing.B) {
	l := NewLocal(Options{Default: register.Limite{ParSeconde: 1e9, Rafale: 1e9, OctetsParSeconde: 1e12, RafaleOctets: 1e12}})
	at := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		at = at.Add(time.Microsecond)
		l.Allow(b.Context(), alice, register.Limite{}, at)
		l.AllowBytes(b.Context(), alice, register.Limite{}, 5000, at)
	}
}
