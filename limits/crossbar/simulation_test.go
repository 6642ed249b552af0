package crossbar

import (
	"container/heap"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// A country is many establishments and insurers in virtual time, on the real
// pools. Each insurer serves as many at once as it is sent.
type country struct {
	r          *rand.Rand
	pools      []*pool
	o          Options
	now        time.Time
	events     events
	silent     int // the insurer that never answers; -1: none
	greedy     int // the establishment that sends 50 times its rate; -1: none
	taken      map[int][]float64
	refused    map[int]int
	refusedOwn map[int]int
	greedyRan  int
	waiting    map[*pool][]queued
}

type event struct {
	at time.Time
	do func()
}
type events []event

func (e events) Len() int           { return len(e) }
func (e events) Less(i, j int) bool { return e[i].at.Before(e[j].at) }
func (e events) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)        { *e = append(*e, x.(event)) }
func (e *events) Pop() any          { x := (*e)[len(*e)-1]; *e = (*e)[:len(*e)-1]; return x }

func (c *country) after(d time.Duration, do func()) { heap.Push(&c.events, event{c.now.Add(d), do}) }

const (
	establishments = 40
	insurers       = 8
	rate           = 4.0 // exchanges a second of each establishment
	deadline       = 20 * time.Second
)

func newCountry(silent, greedy int) *country {
	c := &country{r: rand.New(rand.NewPCG(4, 11)), o: Options{Seats: 24, PairShare: 0.5, Queue: 8},
		now: noon, silent: silent, greedy: greedy, taken: map[int][]float64{}, refused: map[int]int{}, refusedOwn: map[int]int{}, waiting: map[*pool][]queued{}}
	for range insurers {
		p := &pool{flows: map[string]*flow{}}
		p.resize(0, c.o)
		c.pools = append(c.pools, p)
	}
	for es := range establishments {
		c.send(es)
	}
	return c
}

var noon = time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)

// send sends one exchange of es to some insurer, and the next one later.
func (c *country) send(es int) {
	each := rate
	if es == c.greedy {
		each *= 50
	}
	c.after(time.Duration(c.r.ExpFloat64()/each*1e9), func() {
		c.exchange(es, c.r.IntN(insurers))
		c.send(es)
	})
}

func (c *country) exchange(es, amc int) {
	p, who, begin := c.pools[amc], fmt.Sprint("es", es), c.now
	// The work is drawn at arrival: the same in every run.
	work := time.Duration(400e6 * math.Exp(0.5*c.r.NormFloat64()))
	if amc == c.silent {
		work = deadline
	}
	work = min(work, deadline)
	if s, ok := p.take(who, 0, c.now); ok {
		c.run(es, amc, p, s, begin, work)
		return
	}
	w, r := p.wait(who, c.now, deadline, c.o.Queue)
	if r != nil {
		c.refused[es]++
		if r.Own {
			c.refusedOwn[es]++
		}
		return
	}
	run := func() { c.run(es, amc, p, w.seat, begin, work) }
	c.waiting[p] = append(c.waiting[p], queued{w, run})
	c.after(deadline, func() {
		if !w.served {
			p.giveUp(w)
		}
	})
}

type queued struct {
	*waiter
	run func()
}

// leave gives a seat back, and runs who was served by that.
func (c *country) leave(p *pool, s seat) {
	p.leave(s, c.now)
	var served []func()
	c.waiting[p] = slices.DeleteFunc(c.waiting[p], func(q queued) bool {
		if q.served {
			served = append(served, q.run)
		}
		return q.served
	})
	for _, run := range served {
		run()
	}
}

func (c *country) run(es, amc int, p *pool, s seat, begin time.Time, work time.Duration) {
	if es == c.greedy {
		c.greedyRan++
	}
	c.after(work, func() {
		c.leave(p, s)
		if es != 0 && amc != 0 { // "the others", the same in every run
			c.taken[es] = append(c.taken[es], c.now.Sub(begin).Seconds())
		}
	})
}

func (c *country) days(d time.Duration) *country {
	for end := noon.Add(d); len(c.events) > 0 && c.events[0].at.Before(end); {
		e := heap.Pop(&c.events).(event)
		c.now = e.at
		e.do()
	}
	return c
}

// p99 is that of all others together.
func (c *country) p99() float64 {
	var all []float64
	for _, l := range c.taken {
		all = append(all, l...)
	}
	slices.Sort(all)
	return all[len(all)*99/100]
}

func TestASilentInsurerAndAGreedyEstablishmentDoNotMoveTheOthers(t *testing.T) {
	t.Parallel()
	calm := newCountry(-1, -1).days(2 * time.Minute)
	for _, c := range []struct {
		name           string
		silent, greedy int
	}{{"one insurer silent", 0, -1}, {"one establishment at 50 times its rate", -1, 0}, {"both", 0, 0}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := newCountry(c.silent, c.greedy).days(2 * time.Minute)
			before, after := calm.p99(), got.p99()
			t.Logf("p99 of the others: %.0f ms, %.0f ms when calm; the greedy one was served %d times and refused %d", after*1e3, before*1e3, got.greedyRan, got.refused[0])
			if after > 1.1*before {
				t.Errorf("p99 of the others is %.0f ms, want within 10 %% of %.0f ms", after*1e3, before*1e3)
			}
			if c.greedy == 0 && got.refused[0] == 0 {
				t.Error("the greedy establishment was never refused: the run proves nothing")
			}
			for es, n := range got.refused {
				if es != 0 && c.silent < 0 {
					t.Errorf("es%d was refused %d times for the haste of another", es, n)
				}
			}
		})
	}
}

// The same run in one pool for all, first come first served, must fail: else
// the test above proves nothing.
func TestWithoutPoolsOneSilentInsurerMovesEverybody(t *testing.T) {
	t.Parallel()
	c := newCountry(0, -1)
	for i := range c.pools {
		c.pools[i] = c.pools[0]
	}
	c.pools[0].resize(24*insurers/2, Options{PairShare: 1})
	c.days(2 * time.Minute)
	refused := 0
	for _, n := range c.refused {
		refused += n
	}
	if c.p99() < 1 && refused == 0 {
		t.Errorf("p99 of the others is %.3f s and nobody was refused: the check cannot fail", c.p99())
	}
}
