package shed

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
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
	var waits []time.Duration // of those served in the period
	median := func() (w time.Duration) {
		if slices.Sort(waits); len(waits) > 0 {
			w = waits[len(waits)/2]
		}
		waits = waits[:0]
		return w
	}
	m := &machine{c: newControl(20*time.Millisecond, median), r: rand.New(rand.NewPCG(7, 3)), capacity: 1000}
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
			waits = append(waits, begin.Sub(j.at))
			m.c.processed(begin)
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
			most = total(m.came) / 50
		}
		if n > most {
			t.Errorf("%d of %d were dropped at %.1f of the capacity", n, total(m.came), load)
		}
	}
}

func TestTheLowestClassesGoFirst(t *testing.T) {
	t.Parallel()
	c := newControl(time.Millisecond, nil)
	c.demand = [classes]float64{30, 10, 40, 20}
	c.ratio = 0.5
	c.choose(100)
	want := [classes]float64{0, 0, 0.75, 1}
	if c.kept != want {
		t.Errorf("kept %v, want %v", c.kept, want)
	}
}

// An overload that is over is forgotten, though nothing came in between.
func TestAnOldOverloadDropsNothing(t *testing.T) {
	t.Parallel()
	s := New(Options{Target: 20 * time.Millisecond})
	s.state.begun, s.state.ratio, s.state.demand = noon, 0.9, [classes]float64{30, 10, 40, 20}
	if r := s.Ratio(noon.Add(period)); r < 0.8 {
		t.Errorf("%.2f a moment later", r)
	}
	if r := s.Ratio(noon.Add(time.Minute)); r != 0 {
		t.Errorf("%.2f a minute later", r)
	}
	if _, ok := s.Admit(Simulation, noon.Add(time.Minute+period)); !ok {
		t.Error("a simulation is dropped a minute later")
	}
}

// The wait of the Go scheduler is seen: many that compute on few processors wait
// longer than one that is alone.
func TestTheSchedulerTellsHowLongWorkWaits(t *testing.T) {
	s := newScheduler()
	compute := func(n int) time.Duration {
		s.wait()
		var wg sync.WaitGroup
		for range n {
			wg.Go(func() {
				for range 20 {
					for x := range 20_000 {
						sink.Store(int64(x))
					}
					runtime.Gosched()
				}
			})
		}
		wg.Wait()
		return s.wait()
	}
	few, many := compute(1), compute(100*runtime.GOMAXPROCS(0))
	if many < 10*max(few, 10*time.Microsecond) {
		t.Errorf("one waits %v, a hundred for each processor %v", few, many)
	}
}

var sink atomic.Int64

// Work waits for what is not ours: what is dropped does not grow with time, what
// settles a case is served, and all is forgotten once work waits less.
func TestAWaitThatIsNotOursDropsLittle(t *testing.T) {
	t.Parallel()
	wait := 60 * time.Millisecond
	c := newControl(20*time.Millisecond, func() time.Duration { return wait })
	r := rand.New(rand.NewPCG(7, 3))
	play := func(seconds int) {
		for at, end := c.begun, c.begun.Add(time.Duration(seconds)*time.Second); at.Before(end); at = at.Add(time.Millisecond) {
			class := Class(r.IntN(int(classes)))
			if r.Float64() < c.arrive(class, at) {
				c.processed(at)
			}
		}
	}
	c.begun = noon
	play(120)
	if c.ratio > 0.25 || c.kept[Settlement] < 1 {
		t.Errorf("%.2f is dropped after two minutes, %.2f of the settlements are kept", c.ratio, c.kept[Settlement])
	}
	wait = 7 * time.Millisecond
	play(20)
	if c.ratio != 0 || c.capacity != 0 {
		t.Errorf("%.2f is dropped twenty seconds later, of a capacity of %.0f", c.ratio, c.capacity)
	}
}
