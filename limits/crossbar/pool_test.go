package crossbar

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

func newPool(seats int, share float64) *pool {
	p := &pool{flows: map[string]*flow{}}
	p.resize(seats, Options{PairShare: share})
	return p
}

func TestAnEstablishmentHoldsNoMoreThanItsPart(t *testing.T) {
	t.Parallel()
	p := newPool(10, 0.5)
	n := 0
	for {
		if _, ok := p.take("chu", 0, noon); !ok {
			break
		}
		n++
	}
	if n != 5 {
		t.Errorf("it holds %d of 10 seats, want 5", n)
	}
	if _, ok := p.take("clinique", 0, noon); !ok {
		t.Error("another finds no seat")
	}
}

func TestSeatsGoToWhoHasUsedLeast(t *testing.T) {
	t.Parallel()
	p := newPool(1, 1)
	held, _ := p.take("chu", 0, noon)
	var chu, clinique []*waiter
	for range 3 {
		w, _ := p.wait("chu", noon, time.Hour, 10)
		chu = append(chu, w)
	}
	w, _ := p.wait("clinique", noon, time.Hour, 10)
	clinique = append(clinique, w)
	p.leave(held, noon.Add(time.Second))
	if !clinique[0].served || chu[0].served {
		t.Error("the seat went to who had used one already")
	}
	p.leave(clinique[0].seat, noon.Add(10*time.Second)) // it was slow: ten seat-seconds
	w, _ = p.wait("clinique", noon.Add(10*time.Second), time.Hour, 10)
	for i := range chu {
		if !chu[i].served || w.served {
			t.Fatalf("turn %d: who held a seat for 10 s is served before who held one for 1 s", i)
		}
		p.leave(chu[i].seat, noon.Add(time.Duration(11+i)*time.Second))
	}
	if !w.served {
		t.Error("nobody else waits, and it is not served")
	}
}

func TestIdleTimeIsNotSavedUp(t *testing.T) {
	t.Parallel()
	p := newPool(1, 1)
	at := noon
	for range 100 { // alone for long
		s, _ := p.take("chu", 0, at)
		at = at.Add(time.Second)
		p.leave(s, at)
	}
	s, _ := p.take("chu", 0, at)
	new1, _ := p.wait("clinique", at, time.Hour, 10)
	new2, _ := p.wait("clinique", at, time.Hour, 10)
	p.wait("clinique", at, time.Hour, 10)
	old, _ := p.wait("chu", at, time.Hour, 10)
	p.leave(s, at.Add(time.Second))
	p.leave(new1.seat, at.Add(2*time.Second))
	if !new1.served {
		t.Error("the newcomer waits for who had it all")
	}
	next := new2
	if old.served {
		next = old
	}
	p.leave(next.seat, at.Add(3*time.Second))
	if !old.served {
		t.Error("the newcomer is served for the time when it was not there")
	}
}

func TestWhatCannotBeServedInTimeIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	p := newPool(2, 1)
	a, _ := p.take("chu", 0, noon)
	p.take("chu", 0, noon)
	p.leave(a, noon.Add(10*time.Second)) // a seat is held for 10 s here
	at := noon.Add(10 * time.Second)
	p.take("chu", 0, at)
	if _, r := p.wait("clinique", at, 5*time.Second, 10); r == nil || r.Own || r.Wait < time.Second {
		t.Errorf("%+v, want a refusal that is not the caller's, with the time to wait", r)
	}
	if _, r := p.wait("clinique", at, time.Minute, 10); r != nil {
		t.Errorf("refused although there is time: %v", r)
	}
}

func TestAFullQueueIsTheCallersOwn(t *testing.T) {
	t.Parallel()
	p := newPool(1, 1)
	p.take("chu", 0, noon)
	for range 3 {
		if _, r := p.wait("chu", noon, time.Hour, 3); r != nil {
			t.Fatal(r)
		}
	}
	if _, r := p.wait("chu", noon, time.Hour, 3); r == nil || !r.Own || r.Held != 1 || r.Waiting != 3 {
		t.Errorf("%+v, want its own refusal", r)
	}
}

func TestEveryoneIsServedUnderRace(t *testing.T) {
	t.Parallel()
	c := New(Options{Seats: 3, Queue: 1000})
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			ctx := ctx
			if i%4 == 0 { // some give up
				short, cancel := context.WithCancel(ctx)
				cancel()
				ctx = short
			}
			s, err := c.Enter(ctx, "0075500025", string(rune('a'+i%5)), 0, 0)
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("refused: %v", err)
			}
			s.Leave(time.Now())
		})
	}
	wg.Wait()
	g := c.pool("0075500025")
	if g.running != 0 || g.waiting != 0 || len(g.active) != 0 {
		t.Errorf("left behind: %d running, %d waiting, %d active", g.running, g.waiting, len(g.active))
	}
}

func TestASeatThatIsFreeAllocatesNothing(t *testing.T) {
	c := New(Options{Seats: 128}) // not parallel: AllocsPerRun
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	c.Enter(ctx, "0075500025", "chu", 0, 0)
	if n := testing.AllocsPerRun(1000, func() {
		s, _ := c.Enter(ctx, "0075500025", "chu", 0, 0)
		s.Leave(noon)
	}); n != 0 {
		t.Errorf("%.0f allocations, want none", n)
	}
}

// The register may give one establishment more, or fewer, of the seats of each
// insurer.
func TestAnEstablishmentMayHaveAPartOfItsOwn(t *testing.T) {
	t.Parallel()
	for own, want := range map[int]int{0: 4, 1: 1, 6: 6, 100: 8} {
		c := New(Options{Seats: 8})
		ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
		defer cancel()
		n := 0
		for ; n < 20; n++ {
			if _, err := c.Enter(ctx, "0075500025", "chu", 0, own); err != nil {
				break
			}
		}
		if n != want {
			t.Errorf("par_organisme %d: %d of 8 seats, want %d", own, n, want)
		}
	}
}
