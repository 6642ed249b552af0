package shed

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)

// A machine does capacity exchanges a second, first come first served, in
// virtual time. An exchange is worth something when it is done within patience.
type machine struct {
	c        control
	r        *rand.Rand
	queue    []job
	good     [classes]int
	came     [classes]int
	dropped  [classes]int
	capacity float64
}

type job struct {
	class Class
	at    time.Time
}

const patience = 500 * time.Millisecond

// mix is the part of each class in what comes.
var mix = [classes]float64{0.3, 0.1, 0.4, 0.2}

func play(load float64, shed bool, d time.Duration) *machine {
	m := &machine{c: newControl(20 * time.Millisecond), r: rand.New(rand.NewPCG(7, 3)), capacity: 1000}
	var next time.Time
	free := noon
	for now := noon; now.Before(noon.Add(d)); now = next {
		for len(m.queue) > 0 && !free.After(now) { // the slot has become free
			j := m.queue[0]
			m.queue = m.queue[1:]
			begin := j.at
			if free.After(begin) {
				begin = free
			}
			m.c.served(begin.Sub(j.at), begin)
			free = begin.Add(time.Duration(m.r.ExpFloat64() / m.capacity * 1e9))
			if free.Sub(j.at) <= patience && j.at.After(noon.Add(2*time.Second)) {
				m.good[j.class]++
			}
		}
		class, u := Class(0), m.r.Float64()
		for u >= mix[class] && class < classes-1 {
			u -= mix[class]
			class++
		}
		m.came[class]++
		if kept := m.c.arrive(class, now); !shed || kept >= 1 || m.r.Float64() < kept {
			m.queue = append(m.queue, job{class, now})
		} else if now.After(noon.Add(2 * time.Second)) {
			m.dropped[class]++
		}
		next = now.Add(time.Duration(m.r.ExpFloat64() / (load * m.capacity) * 1e9))
	}
	return m
}

func total(n [classes]int) (sum int) {
	for _, v := range n {
		sum += v
	}
	return sum
}

func TestGoodputAtThreeTimesTheCapacityIs90PercentOfTheBest(t *testing.T) {
	t.Parallel()
	const seconds = 30
	best := 1000 * (seconds - 2)
	m := play(3, true, seconds*time.Second)
	got := total(m.good)
	t.Logf("goodput at 3 times the capacity: %d of %d (%.1f %%); by class %v, dropped %v", got, best, 100*float64(got)/float64(best), m.good, m.dropped)
	if float64(got) < 0.9*float64(best) {
		t.Errorf("goodput is %d, want at least 90 %% of %d", got, best)
	}
	if kept := float64(m.good[Settlement]) / float64(m.good[Settlement]+m.dropped[Settlement]); kept < 0.98 {
		t.Errorf("%.1f %% of the settlements were served although they fit, want 98", 100*kept)
	}
	if m.good[Simulation] > m.good[Settlement]/10 {
		t.Errorf("%d simulations were served beside %d settlements", m.good[Simulation], m.good[Settlement])
	}
}

func TestWithoutSheddingTheGoodputCollapses(t *testing.T) {
	t.Parallel()
	if got := total(play(3, false, 30*time.Second).good); got > 14000 {
		t.Errorf("goodput is %d without shedding: the check cannot fail", got)
	}
}

func TestBelowTheCapacityNothingIsDropped(t *testing.T) {
	t.Parallel()
	for _, load := range []float64{0.3, 0.7, 0.9} {
		m := play(load, true, 30*time.Second)
		// At 0.9 of the capacity a random queue stands for longer than the target
		// now and then, and that is overload as well as any.
		n, most := total(m.dropped), 0
		if load > 0.8 {
			most = total(m.came) / 100
		}
		if n > most {
			t.Errorf("%d of %d were dropped at %.1f of the capacity", n, total(m.came), load)
		}
	}
}

func TestTheLowestClassesGoFirst(t *testing.T) {
	t.Parallel()
	c := newControl(time.Millisecond)
	c.demand = [classes]float64{30, 10, 40, 20}
	c.ratio = 0.5
	c.choose(100)
	want := [classes]float64{0, 0, 0.75, 1}
	if c.kept != want {
		t.Errorf("kept %v, want %v", c.kept, want)
	}
}

func TestSlotsAreGivenOutOnce(t *testing.T) {
	t.Parallel()
	s := New(Options{Slots: 3})
	var mu sync.Mutex
	var wg sync.WaitGroup
	inside, most := 0, 0
	for range 50 {
		wg.Go(func() {
			if !s.Acquire(nil, noon, time.Now) {
				t.Error("no slot")
			}
			mu.Lock()
			inside++
			most = max(most, inside)
			mu.Unlock()
			mu.Lock()
			inside--
			mu.Unlock()
			s.Release()
		})
	}
	wg.Wait()
	if most > 3 {
		t.Errorf("%d slots at once, want 3", most)
	}
	gone := make(chan struct{})
	close(gone)
	for range 3 {
		s.Acquire(nil, noon, time.Now)
	}
	if s.Acquire(gone, noon, time.Now) {
		t.Error("a fourth slot")
	}
}
