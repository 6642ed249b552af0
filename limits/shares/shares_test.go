package shares

import (
	"fmt"
	"sync"
	"testing"
)

func ledger(total int64) *Ledger {
	return New(Limit{Total: total}, Limit{Total: total}, Limit{Total: total})
}

func fill(l *Ledger, owner string, k Kind) (n int64) {
	for l.Take(owner, k, 1, 0) == nil {
		n++
	}
	return n
}

func TestNobodyTakesMoreThanAQuarter(t *testing.T) {
	t.Parallel()
	for k := range kinds {
		l := ledger(1000)
		if n := fill(l, "chu", k); n != 250 {
			t.Errorf("kind %d: took %d of 1000, want 250", k, n)
		}
		r := l.Take("chu", k, 1, 0)
		if r == nil || !r.Own || r.Held != 250 || r.Share != 250 {
			t.Errorf("kind %d: %+v, want its own share used up", k, r)
		}
	}
}

func TestThreeThatTakeAllLeaveRoomForTheOthers(t *testing.T) {
	t.Parallel()
	l := ledger(1000)
	for i := range 20 { // many greedy ones take all that is not kept
		fill(l, fmt.Sprint("greedy", i), Exchanges)
	}
	if used, _ := l.Used(Exchanges); used < 750 || !l.Saturated(Exchanges) {
		t.Fatalf("only %d of 1000 are taken", used)
	}
	for i := range 5 {
		if r := l.Take(fmt.Sprint("quiet", i), Exchanges, 1, 0); r != nil {
			t.Errorf("a quiet one is refused: %v", r)
		}
	}
	if r := l.Take("late", Exchanges, 20, 0); r == nil || r.Own {
		t.Errorf("%+v, want a refusal that is not the caller's", r)
	}
}

func TestAnOwnShareFromTheRegister(t *testing.T) {
	t.Parallel()
	l := ledger(1000)
	var n int
	for l.Take("clinique", Exchanges, 1, 3) == nil {
		n++
	}
	if n != 3 {
		t.Errorf("took %d, want its 3", n)
	}
}

func TestWhatIsGivenBackCanBeTaken(t *testing.T) {
	t.Parallel()
	l := ledger(8)
	for range 100 {
		if r := l.Take("chu", Bytes, 2, 0); r != nil {
			t.Fatal(r)
		}
		l.Give("chu", Bytes, 2)
	}
	if len(l.by) != 0 {
		t.Errorf("%d owners are kept who hold nothing", len(l.by))
	}
}

func TestTheLedgerBalancesUnderRace(t *testing.T) {
	t.Parallel()
	l := ledger(64)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			owner := fmt.Sprint("es", i%3)
			for range 500 {
				for k := range kinds {
					if l.Take(owner, k, 2, 0) == nil {
						l.Give(owner, k, 2)
					}
				}
			}
		})
	}
	wg.Wait()
	for k := range kinds {
		if used, _ := l.Used(k); used != 0 {
			t.Errorf("kind %d: %d are still taken", k, used)
		}
	}
}

func TestATakeAllocatesNothing(t *testing.T) {
	l := ledger(1000) // not parallel: AllocsPerRun
	if n := testing.AllocsPerRun(1000, func() { l.Take("chu", Exchanges, 1, 0); l.Give("chu", Exchanges, 1) }); n != 0 {
		t.Errorf("%.0f allocations, want none", n)
	}
}
