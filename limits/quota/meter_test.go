package quota

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/piano-roc/rpn/internal/await"
)

// memory is a Store in this process. Told to, it fails or never answers.
type memory struct {
	mu      sync.Mutex
	central Central
	start   time.Time
	broken  atomic.Bool
	hangs   atomic.Bool
}

func newMemory() *memory { return &memory{start: time.Now().Add(-time.Hour)} }

func (s *memory) Ask(ctx context.Context, q Question) (Answer, error) {
	if s.hangs.Load() {
		<-ctx.Done()
		return Answer{}, ctx.Err()
	}
	if s.broken.Load() {
		return Answer{}, errors.New("broken, as told")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.central.Ask(q, time.Since(s.start)), nil
}

func (s *memory) Leave(_ context.Context, d Departure) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.central.Leave(d)
	return nil
}

// full lets the buckets of the store fill.
func (s *memory) full() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.central.Ask(Question{Instance: "premier"}, time.Since(s.start))
	delete(s.central.members, "premier")
	s.central.mark = 1
}

func newMeter(t testing.TB, o Options) *Meter {
	t.Helper()
	if o.Instance == "" {
		o.Instance = "un"
	}
	m := NewMeter(o)
	t.Cleanup(m.Close)
	return m
}

func spent(m *Meter, l Limit, n int) (passed int) {
	for range n {
		if _, ok := m.Spend(context.Background(), "compte", l, 1); ok {
			passed++
		}
	}
	return passed
}

var patient = Options{Patience: time.Minute, GivenUp: time.Minute}

func TestAQuietAccountAsksAndIsServed(t *testing.T) {
	t.Parallel()
	s := newMemory()
	s.full()
	o := patient
	o.Store = s
	if m := newMeter(t, o); spent(m, Limit{Rate: 20, Burst: 40}, 1) != 1 {
		t.Error("the first exchange of a quiet account was refused")
	}
}

// A store that was emptied, or that an instance was killed beside, has settled
// this instant: it has nothing to give yet, and nobody is refused for it.
func TestTheFirstExchangeAfterTheStoreSettledIsServed(t *testing.T) {
	t.Parallel()
	s := newMemory()
	s.full()
	s.central.mark = (time.Since(s.start) - settling).Microseconds()
	o := patient
	o.Store = s
	m := newMeter(t, o)
	if n := spent(m, Limit{Rate: 1, Burst: 40}, 2); n != 2 { // the second finds that nothing was given
		t.Errorf("%d of 2 exchanges were served", n)
	}
	if !m.Away().IsZero() {
		t.Error("the store settles still: this is another test")
	}
}

// What was spent on credit is paid by who leaves, even of an empty bucket.
func TestWhoLeavesPaysItsDebts(t *testing.T) {
	t.Parallel()
	s := newMemory()
	s.full()
	s.central.mark = (time.Since(s.start) - settling).Microseconds()
	o := patient
	o.Store = s
	m := newMeter(t, o)
	l := Limit{Rate: 0.001, Burst: 40}
	n := spent(m, l, 10)
	m.Close()
	if err := m.Leave(context.Background()); err != nil {
		t.Fatal(err)
	}
	if units := s.central.levels["compte"].units; n == 0 || units > 0.5-float64(n) || units < -0.5-float64(n) {
		t.Errorf("%d were spent on credit and the bucket holds %.2f", n, units)
	}
	if !s.central.left {
		t.Error("it has left, and is waited for")
	}
}

func TestBeyondTheBurstNothingPassesAndTheWaitIsSaid(t *testing.T) {
	t.Parallel()
	s := newMemory()
	s.full()
	o := patient
	o.Store = s
	m := newMeter(t, o)
	l := Limit{Rate: 0.5, Burst: 10}
	if n := spent(m, l, 100); n < 1 || n > 10 {
		t.Errorf("%d passed at once, want at most the burst of 10, at least 1", n)
	}
	wait, ok := m.Spend(context.Background(), "compte", l, 1)
	if ok || wait < 100*time.Millisecond || wait > time.Hour {
		t.Errorf("passed %t, told to wait %s", ok, wait)
	}
}

func TestAStoreThatNeverAnswersHoldsNobody(t *testing.T) {
	t.Parallel()
	s := newMemory()
	s.hangs.Store(true)
	// Given up never: only the patience of the exchange ends its wait.
	m := newMeter(t, Options{Store: s, GivenUp: time.Hour})
	done := make(chan int)
	go func() { done <- spent(m, Limit{Rate: 1000, Burst: 2000}, 50) }()
	if n := await.Next(t, "exchanges end though the store never answers", done); n == 0 {
		t.Error("nothing passed on credit before the answer came")
	}
}

func TestWithoutTheStoreEachInstanceHasItsPartOfTheRate(t *testing.T) {
	t.Parallel()
	s := newMemory()
	s.broken.Store(true)
	var told atomic.Int32
	m := newMeter(t, Options{Store: s, Instances: 4, OnAway: func(err error) {
		if err != nil {
			told.Add(1)
		}
	}})
	l := Limit{Rate: 4000, Burst: 8000}
	begin := time.Now()
	var passed int
	for time.Since(begin) < 500*time.Millisecond {
		passed += spent(m, l, 1)
	}
	most := 1000*time.Since(begin).Seconds() + mostOverdraft + 1
	if float64(passed) > most || passed < 50 {
		t.Errorf("%d passed, want at most %.0f: a quarter of 4000/s", passed, most)
	}
	if told.Load() != 1 || m.Away().IsZero() {
		t.Errorf("told %d times that the store is away, want once", told.Load())
	}
	s.broken.Store(false)
	await.Until(t, "somebody notices that the store is back", func() bool { return m.Away().IsZero() })
}

func TestABusyAccountAsksLessThanOnceIn100(t *testing.T) {
	t.Parallel()
	s := newMemory()
	s.full()
	o := patient
	o.Store = s
	m := newMeter(t, o)
	const perSecond = 400
	passed := 0
	begin, before := time.Now(), int64(0)
	for i := 0; i < 4*perSecond; i++ {
		if i == perSecond { // it is busy from here
			passed, before = 0, m.RoundTrips()
		}
		time.Sleep(time.Until(begin.Add(time.Duration(i) * time.Second / perSecond)))
		passed += spent(m, Limit{Rate: 500, Burst: 1000}, 1)
	}
	if trips := m.RoundTrips() - before; passed < 2*perSecond || trips*100 >= int64(passed) {
		t.Errorf("%d round trips for %d exchanges, want fewer than one in 100", trips, passed)
	} else {
		t.Logf("%d round trips for %d exchanges", trips, passed)
	}
}

// ample is a limit and a meter whose local decision is measured: it never has
// to wait for the store.
func ample(t testing.TB) (*Meter, Limit) {
	s := newMemory()
	s.full()
	o := patient
	o.Store = s
	m := newMeter(t, o)
	l := Limit{Rate: 1e9, Burst: 4e9}
	spent(m, l, 1)
	return m, l
}

func TestALocalDecisionAllocatesNothing(t *testing.T) {
	m, l := ample(t) // not parallel: AllocsPerRun
	e, _, _, _ := m.try("compte", l, 0, 0)
	e.slices = [2]slice{{1e12, 1 << 62}}
	if n := testing.AllocsPerRun(1000, func() { m.Spend(context.Background(), "compte", l, 1) }); n != 0 {
		t.Errorf("%.0f allocations, want none", n)
	}
}

func TestTooManyAccountsAreRefused(t *testing.T) {
	t.Parallel()
	s := newMemory()
	s.full()
	o := patient
	o.Store, o.Accounts = s, 1
	m := newMeter(t, o)
	spent(m, Limit{Rate: 10, Burst: 20}, 1)
	if _, ok := m.Spend(context.Background(), "autre", Limit{Rate: 10, Burst: 20}, 1); ok {
		t.Error("an account beyond the bound was let through")
	}
}

func BenchmarkSpend(b *testing.B) {
	m, l := ample(b)
	e, _, _, _ := m.try("compte", l, 0, 0)
	e.slices = [2]slice{{1e15, 1 << 62}}
	b.ReportAllocs()
	for b.Loop() {
		m.Spend(context.Background(), "compte", l, 1)
	}
}

func BenchmarkSpendWithClock(b *testing.B) {
	m, l := ample(b)
	e, _, _, _ := m.try("compte", l, 0, 0)
	e.slices = [2]slice{{1e15, 1 << 62}}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m.Spend(context.Background(), "compte", l, 1)
		}
	})
}

// Several that come at once to an account that holds nothing are served by two
// questions, and not by one after the other: each has its patience only.
func TestThoseWhoComeAtOnceAreServedTogether(t *testing.T) {
	t.Parallel()
	const at = 7
	var a Account
	a.Adapt(Limit{Rate: 20, Burst: 40}, 40) // nothing may be owed
	now, served, questions := time.Hour, 0, 0
	for range at {
		if a.Spend(1, now) {
			t.Fatal("an empty account gives")
		}
		a.Want(1, now)
	}
	for units := 1.0; served < at; questions++ {
		now += time.Millisecond
		a.Answered(units, Grant{Units: units}, true, now-time.Millisecond, now)
		units = 0
		for range at - served {
			if a.Spend(1, now) {
				served++
			} else {
				units += a.Want(1, now)
			}
		}
		if questions == 2 {
			t.Fatalf("%d of %d are served after three answers", served, at)
		}
	}
	if questions != 2 {
		t.Errorf("%d questions", questions)
	}
}

// The store goes away while an account of a high rate owes all that it may: its
// own part of the rate gives the next unit within the patience of an exchange,
// which waits for it rather than being refused.
func TestTheBeginningOfAnOutageRefusesNobodyOfAHighRate(t *testing.T) {
	t.Parallel()
	s := newMemory()
	m := newMeter(t, Options{Store: s, Instance: "a", Patience: 100 * time.Millisecond})
	l := Limit{Rate: 5000, Burst: 5000}
	for range 3 {
		s.broken.Store(true)
		for range 20 {
			if wait, ok := m.Spend(t.Context(), "compte", l, 1); !ok {
				t.Fatalf("refused for %s", wait)
			}
		}
		s.broken.Store(false)
		await.Until(t, "the store is back", func() bool { return m.Away().IsZero() })
	}
}

// held is a memory that keeps the questions about one account waiting.
type held struct {
	*memory
	asked, free chan struct{}
}

func (s *held) Ask(ctx context.Context, q Question) (Answer, error) {
	if slices.ContainsFunc(q.Wants, func(w Want) bool { return w.Account == "tenu" }) {
		close(s.asked)
		<-s.free
	}
	return s.memory.Ask(ctx, q)
}

// The answers to others wake who waits: it lacks what it lacked, and no more.
func TestWhoWaitsIsCountedOnce(t *testing.T) {
	t.Parallel()
	s := &held{newMemory(), make(chan struct{}), make(chan struct{})}
	s.full()
	o := patient
	o.Store = s
	m := newMeter(t, o)
	l := Limit{Rate: 20, Burst: 40}
	var waits sync.WaitGroup
	waits.Go(func() {
		if _, ok := m.Spend(t.Context(), "tenu", l, 1); !ok {
			t.Error("it is refused")
		}
	})
	<-s.asked
	shard := &m.shards[maphash.String(m.seed, "tenu")%uint64(len(m.shards))]
	for i := range 20 {
		if _, ok := m.Spend(t.Context(), fmt.Sprint("autre ", i), l, 1); !ok {
			t.Fatal("another is refused")
		}
	}
	shard.mu.Lock()
	if short := shard.accounts["tenu"].short; short > 0 {
		t.Errorf("one that waits for one unit lacks %v more", short)
	}
	shard.mu.Unlock()
	close(s.free)
	waits.Wait()
}

// lame is a memory that fails its first question, and answers no other.
type lame struct {
	*memory
	asked atomic.Bool
}

func (s *lame) Ask(ctx context.Context, q Question) (Answer, error) {
	s.hangs.Store(s.asked.Load())
	s.broken.Store(!s.asked.Swap(true))
	return s.memory.Ask(ctx, q)
}

// Who waits for the store when it goes away asks no more, and waits no more.
func TestWhoWaitsWhenTheStoreGoesAwayGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(t, Options{Store: &lame{memory: newMemory()}, Patience: time.Minute, GivenUp: time.Minute})
		begun := time.Now()
		m.Spend(t.Context(), "compte", Limit{Rate: 0.001, Burst: 1}, 1)
		if took := time.Since(begun); took > 0 {
			t.Errorf("it waited %s", took)
		}
	})
}
