package limits

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
)

// A limiter is what every implementation must be (proxy.Limiter).
type limiter interface {
	Allow(ctx context.Context, who roc.StructureID, limit register.Limite, at time.Time) error
}

const (
	alice = roc.StructureID("1010003812")
	berne = roc.StructureID("12A0000014")
)

var noon = time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)

// contract is what the proxy relies on, whichever limiter it was given.
func contract(t *testing.T, fresh func(t *testing.T) limiter) {
	ctx := context.Background()
	slow := register.Limite{ParSeconde: 2, Rafale: 3}
	burn := func(t *testing.T, l limiter, who roc.StructureID, limit register.Limite, n int, at time.Time) (passed int) {
		t.Helper()
		for range n {
			if err := l.Allow(ctx, who, limit, at); err == nil {
				passed++
			} else if !roc.IsRefused(err, roc.TooMany) {
				t.Fatalf("refused otherwise than too-many: %v", err)
			}
		}
		return passed
	}

	t.Run("the burst passes at once, then nothing", func(t *testing.T) {
		t.Parallel()
		if n := burn(t, fresh(t), alice, slow, 10, noon); n != 3 {
			t.Errorf("%d passed, want the burst of 3", n)
		}
	})
	t.Run("the default is 20 a second and 40 at once", func(t *testing.T) {
		t.Parallel()
		l := fresh(t)
		if n := burn(t, l, alice, register.Limite{}, 100, noon); n != 40 {
			t.Errorf("%d passed at once, want 40", n)
		}
		if n := burn(t, l, alice, register.Limite{}, 100, noon.Add(time.Second)); n != 20 {
			t.Errorf("%d passed a second later, want 20", n)
		}
	})
	t.Run("a refusal says how long to wait, and waiting that long is enough", func(t *testing.T) {
		t.Parallel()
		l := fresh(t)
		burn(t, l, alice, slow, 3, noon)
		r := roc.RefusalOf(l.Allow(ctx, alice, slow, noon))
		if r.RetryAfter != 500*time.Millisecond {
			t.Errorf("RetryAfter is %s, want 500ms at 2 a second", r.RetryAfter)
		}
		if want := "Limite de l'établissement : 2 messages par seconde, 3 d'un coup. Prochain envoi possible dans 0,5 s."; r.Detail != want {
			t.Errorf("Detail is %q, want %q", r.Detail, want)
		}
		if err := l.Allow(ctx, alice, slow, noon.Add(r.RetryAfter)); err != nil {
			t.Errorf("refused after the wait it asked for: %v", err)
		}
	})
	t.Run("a refused message costs nothing", func(t *testing.T) {
		t.Parallel()
		l := fresh(t)
		burn(t, l, alice, slow, 1000, noon)
		if n := burn(t, l, alice, slow, 10, noon.Add(time.Second)); n != 2 {
			t.Errorf("%d passed a second later, want 2", n)
		}
	})
	t.Run("one establishment's haste is not another's", func(t *testing.T) {
		t.Parallel()
		l := fresh(t)
		burn(t, l, alice, slow, 10, noon)
		if n := burn(t, l, berne, slow, 3, noon); n != 3 {
			t.Errorf("%d passed for the other establishment, want 3", n)
		}
	})
	t.Run("a new limit takes effect at once", func(t *testing.T) {
		t.Parallel()
		l := fresh(t)
		burn(t, l, alice, slow, 10, noon)
		fast := register.Limite{ParSeconde: 100, Rafale: 100}
		burn(t, l, alice, fast, 200, noon) // the register is reloaded
		if n := burn(t, l, alice, fast, 200, noon.Add(time.Second)); n != 100 {
			t.Errorf("%d passed in the second after, want 100", n)
		}
		if n := burn(t, l, alice, slow, 200, noon.Add(2*time.Second)); n != 3 {
			t.Errorf("%d passed back with the old one, want its burst", n)
		}
	})
	t.Run("an older instant gives nothing back", func(t *testing.T) {
		t.Parallel()
		l := fresh(t)
		burn(t, l, alice, slow, 3, noon)
		for range 100 {
			if l.Allow(ctx, alice, slow, noon.Add(-time.Minute)) == nil || l.Allow(ctx, alice, slow, noon) == nil {
				t.Fatal("a slow request turned the clock back and was given tokens for it")
			}
		}
	})
	t.Run("under contention not one message more passes", func(t *testing.T) {
		t.Parallel()
		l := fresh(t)
		var passed atomic.Int64
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() { passed.Add(int64(burn(t, l, alice, slow, 50, noon))) })
		}
		wg.Wait()
		if passed.Load() != 3 {
			t.Errorf("%d passed, want 3", passed.Load())
		}
	})
}

func TestLocalKeepsTheContract(t *testing.T) {
	t.Parallel()
	contract(t, func(*testing.T) limiter { return NewLocal(Options{Default: twenty}) })
}
