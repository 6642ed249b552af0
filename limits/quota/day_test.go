package quota

import (
	"container/heap"
	goflag "flag" // the package has a flag of its own
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// wholeDay plays the figures of docs/bench/limits.md: make bench-limits.
var wholeDay = goflag.Bool("day", false, "the day of 3 000 establishments and 40 instances, and how its cost grows, rather than some minutes of a small country")

// A country is a day of establishments that send through instances which share
// one store, in virtual time, from a seed.
type country struct {
	r         *rand.Rand
	now       time.Duration
	events    events
	store     Central
	down      bool
	hurry     bool // each hour is the busiest one
	houses    []*house
	instances []*instance

	exchanges, admitted, refused int
	wrongly                      int // refused, though they keep to their limit: one bucket had passed them
	inTrouble                    int // of these, around an outage or a restart
	sentInTrouble                int // exchanges then
	trouble                      time.Duration
	trips, beats, wants          int
	waited                       int // exchanges that waited for the store
}

// A house is an establishment.
type house struct {
	limit Limit
	mean  float64 // exchanges a second in the busiest hour
	on    []int   // the instances to which it has connections

	// The two buckets against which it is held: of what was admitted, and of what
	// one bucket alone would have admitted.
	full, full1, worst float64
	at, at1            time.Duration
	refused            int
	greedy             bool // it sends beyond its limit
}

type instance struct {
	id             string
	life           int
	accounts       []*Account
	pending        []int
	units          []float64
	waiting        map[int][]*waiter
	flying         int
	mark, sequence int64
	lost           bool
	away           Away
	outages, known int
	heard          time.Duration
}

func newCountry(seed uint64, houses, instances int) *country {
	c := &country{r: rand.New(rand.NewPCG(seed, 17))}
	for i := range instances {
		c.instances = append(c.instances, &instance{id: fmt.Sprint("i", i), accounts: make([]*Account, houses), waiting: map[int][]*waiter{}, known: instances})
	}
	for i := range houses {
		h := &house{limit: Limit{Rate: 20, Burst: 40}, mean: 0.06 * math.Exp(1.2*c.r.NormFloat64()-0.72), worst: math.Inf(-1)}
		h.mean = min(h.mean, 15)
		for range 1 + min(instances-1, int(4*h.mean)+c.r.IntN(3)) {
			h.on = append(h.on, c.r.IntN(instances))
		}
		c.houses = append(c.houses, h)
		c.after(c.gap(h), func() { c.arrives(i) })
	}
	for _, n := range c.instances {
		c.after(time.Duration(c.r.Int64N(int64(heartbeat))), func() { c.beat(n) })
	}
	return c
}

func (c *country) after(d time.Duration, do func()) { heap.Push(&c.events, event{c.now + d, do}) }

func (c *country) run(until time.Duration) {
	for len(c.events) > 0 && c.events[0].at <= until {
		e := heap.Pop(&c.events).(event)
		c.now = e.at
		e.do()
	}
}

// hours is how busy each hour of a day is, beside the busiest.
var hours = [24]float64{.05, .04, .04, .04, .05, .08, .2, .5, .9, 1, 1, .9, .6, .7, .9, .9, .8, .6, .4, .25, .15, .1, .08, .06}

func (c *country) busy() float64 {
	if c.hurry {
		return 1
	}
	return hours[int(c.now/time.Hour)%24]
}

func (c *country) gap(h *house) time.Duration {
	return time.Duration(c.r.ExpFloat64() / (h.mean * c.busy()) * float64(time.Second))
}

// arrives sends one exchange, or now and then some at once, as a page that asks
// for several beneficiaries does.
func (c *country) arrives(i int) {
	h := c.houses[i]
	n := 1
	if c.r.IntN(10) == 0 {
		n = 2 + c.r.IntN(6)
	}
	for range n {
		c.exchange(c.instances[h.on[c.r.IntN(len(h.on))]], i)
	}
	c.after(c.gap(h), func() { c.arrives(i) })
}

// flood has a house send at that many times its rate for a while.
func (c *country) flood(i int, times float64, until time.Duration) {
	if c.now >= until {
		return
	}
	h := c.houses[i]
	h.greedy = true
	c.exchange(c.instances[c.r.IntN(len(c.instances))], i)
	c.after(time.Duration(c.r.ExpFloat64()/(times*h.limit.Rate)*float64(time.Second)), func() { c.flood(i, times, until) })
}

// batch has a house send so many, at nine tenths of its rate, by one instance.
func (c *country) batch(i, n int) {
	if n == 0 {
		return
	}
	h := c.houses[i]
	c.exchange(c.instances[h.on[0]], i)
	c.after(time.Duration(float64(time.Second)/(0.9*h.limit.Rate)), func() { c.batch(i, n-1) })
}

// exchange decides one, as Meter.Spend does.
func (c *country) exchange(n *instance, i int) {
	h := c.houses[i]
	a := n.accounts[i]
	if a == nil {
		a = &Account{}
		n.accounts[i] = a
	}
	c.exchanges++
	if c.now < c.trouble {
		c.sentInTrouble++
	}
	a.Adapt(h.limit, max(1, n.known))
	switch {
	case a.Spend(1, c.now):
		c.admit(h)
		c.ask(n, i, 0)
	case n.away.Outage > 0, c.now < a.notBefore:
		c.last(n, i)
	default:
		c.waited++
		w := &waiter{house: i}
		n.waiting[i] = append(n.waiting[i], w)
		c.ask(n, i, 1)
		life := n.life
		c.after(1500*time.Microsecond, func() {
			if !w.done && n.life == life {
				w.done = true
				c.last(n, i)
			}
		})
	}
}

// A waiter is an exchange that waits for the answer of the store.
type waiter struct {
	house int
	done  bool
}

// answered has those who wait take of what came, or ask again.
func (c *country) answered(n *instance, i int) {
	list := n.waiting[i]
	delete(n.waiting, i)
	for _, w := range list {
		a := n.accounts[i]
		switch {
		case w.done:
			continue
		case a.Spend(1, c.now):
			c.admit(c.houses[i])
		default:
			if c.ask(n, i, 1); a.asking {
				n.waiting[i] = append(n.waiting[i], w)
				continue
			}
			c.last(n, i)
		}
		w.done = true
	}
}

// last is what is left to an exchange that the slices do not serve.
func (c *country) last(n *instance, i int) {
	a := n.accounts[i]
	ok := a.Spend(1, c.now)
	if !ok && n.away.Outage > 0 {
		_, ok = a.SpendAway(1, c.now, n.away)
	} else if !ok {
		ok = a.Overdraw(1)
	}
	if ok {
		c.admit(c.houses[i])
		return
	}
	c.refuse(c.houses[i])
}

func (c *country) admit(h *house) {
	c.admitted++
	h.full = max(0, h.full-h.limit.Rate*(c.now-h.at).Seconds()) + 1
	h.at = c.now
	h.worst = max(h.worst, h.full-h.limit.Burst)
	h.alone(c.now)
}

// alone reports whether one bucket would have passed this exchange.
func (h *house) alone(now time.Duration) bool {
	h.full1 = max(0, h.full1-h.limit.Rate*(now-h.at1).Seconds())
	h.at1 = now
	if h.full1+1 > h.limit.Burst {
		return false
	}
	h.full1++
	return true
}

func (c *country) refuse(h *house) {
	c.refused++
	h.refused++
	if h.alone(c.now) && !h.greedy {
		c.wrongly++
		if c.now < c.trouble {
			c.inTrouble++
		}
	}
}

// ask notes what an account lacks; it goes with the next question.
func (c *country) ask(n *instance, i int, need float64) {
	if units := n.accounts[i].Want(need, c.now); units > 0 {
		n.pending, n.units = append(n.pending, i), append(n.units, units)
		c.kick(n)
	}
}

// kick sends a question, as Meter.run does.
func (c *country) kick(n *instance) {
	if n.flying >= tripsAtOnce || len(n.pending) == 0 {
		return
	}
	most := min(len(n.pending), mostWants)
	of, units := n.pending[:most:most], n.units[:most:most]
	n.pending, n.units = n.pending[most:], n.units[most:]
	c.trips++
	c.wants += most
	c.question(n, of, units)
}

func (c *country) question(n *instance, of []int, units []float64) {
	q := Question{Instance: n.id, Mark: n.mark, Sequence: n.sequence, Lost: n.lost, Wants: make([]Want, len(of))}
	for k, i := range of {
		q.Wants[k] = Want{fmt.Sprint(i), n.accounts[i].terms, units[k]}
	}
	n.flying++
	life, sent := n.life, c.now
	alone := func() {
		if n.away.Outage == 0 {
			n.outages++
			n.away = Away{n.outages, c.now}
		}
	}
	end := func(a Answer, ok bool) {
		if n.life != life {
			return
		}
		n.flying--
		if ok {
			n.mark, n.sequence, n.lost, n.heard = a.Mark, max(n.sequence, a.Sequence), false, c.now
			if a.Settling {
				alone()
				n.known = max(n.known, a.Instances)
			} else {
				n.away, n.known = Away{}, a.Instances
			}
		} else {
			n.lost = true
			alone()
		}
		for k, i := range of {
			g := Grant{}
			if ok {
				g = a.Grants[k]
			}
			n.accounts[i].Answered(units[k], g, ok, sent, c.now)
		}
		for _, i := range of {
			c.answered(n, i)
		}
		c.kick(n)
	}
	travel := func() time.Duration { return time.Duration(50_000 + c.r.Int64N(100_000)) } // 0.1 to 0.3 ms for both ways: a network of its own
	c.after(travel(), func() {
		if c.down {
			c.after(200*time.Millisecond, func() { end(Answer{}, false) })
			return
		}
		a := c.store.Ask(q, time.Hour+c.now)
		c.after(travel(), func() { end(a, true) })
	})
}

// beat asks for nothing where nothing was heard for a heartbeat.
func (c *country) beat(n *instance) {
	every := heartbeat
	if n.away.Outage > 0 {
		every = probe
	}
	if (n.away.Outage > 0 || c.now-n.heard >= heartbeat-probe/2) && n.flying < tripsAtOnce {
		c.beats++
		c.question(n, nil, nil)
	}
	c.after(every, func() { c.beat(n) })
}

// loses has the store be away for a while, and come back empty.
func (c *country) loses(d time.Duration) {
	c.down = true
	c.trouble = c.now + d + 5*time.Second
	c.after(d, func() {
		c.down = false
		c.store.Lose()
	})
}

// killed has an instance end without a word, and another take its place.
func (c *country) killed(n *instance) {
	c.trouble = max(c.trouble, c.now+5*time.Second)
	*n = instance{id: n.id + "+", life: n.life + 1, accounts: make([]*Account, len(c.houses)), waiting: map[int][]*waiter{}, known: len(c.instances)}
}

func (c *country) worst() float64 {
	w := math.Inf(-1)
	for _, h := range c.houses {
		w = max(w, h.worst)
	}
	return w
}

// A country in a day with everything: who sends little, who sends a batch at
// night, who floods at noon; the store lost and emptied in the morning, an
// instance killed in the afternoon. Over every interval no more than
// burst + rate*T of any establishment passes, and who keeps to its limit is
// served.
func TestADayOfACountry(t *testing.T) {
	t.Parallel()
	c := newCountry(1, 200, 8)
	hour, batch, flood := 15*time.Second, 200, 10*time.Second // of a test
	c.hurry = true
	if *wholeDay {
		c = newCountry(1, 3000, 40)
		hour, batch, flood = time.Hour, 5000, 10*time.Minute
	}
	for i := range 5 {
		c.after(2*hour, func() { c.batch(i, batch) })
		c.after(12*hour, func() { c.flood(10+i, 50, c.now+flood) })
	}
	c.after(9*hour, func() { c.loses(min(hour/4, 30*time.Second)) })
	c.after(15*hour, func() { c.killed(c.instances[0]) })
	begun := time.Now()
	c.run(24 * hour)
	floods := 0
	for _, h := range c.houses[10:15] {
		floods += h.refused
	}
	t.Logf("%d establishments, %d instances, %s: %d exchanges, %d admitted, %d refused (%d of the five that flood)", len(c.houses), len(c.instances), 24*hour, c.exchanges, c.admitted, c.refused, floods)
	t.Logf("worst excess over burst + rate*T: %.1f; refused to who keeps to its limit: %d, of these %d of the %d sent while the store is lost or settles", c.worst(), c.wrongly, c.inTrouble, c.sentInTrouble)
	t.Logf("round trips: %.4f per exchange for credit (%.1f accounts in each), %.1f/s heartbeats; %.1f %% of the exchanges waited for one; played in %s",
		float64(c.trips)/float64(c.exchanges), float64(c.wants)/float64(c.trips), float64(c.beats)/(24*hour).Seconds(), 100*float64(c.waited)/float64(c.exchanges), time.Since(begun).Round(time.Second))
	if w := c.worst(); w > 1e-6 {
		t.Errorf("%.2f more than burst + rate*T passed", w)
	}
	if n := c.wrongly - c.inTrouble; n*1000 > c.admitted {
		t.Errorf("%d of %d exchanges within their limit were refused while nothing was wrong", n, c.exchanges)
	}
	if floods == 0 {
		t.Error("nobody is refused: the test tries too little")
	}
	if *wholeDay {
		grows(t)
		away(t)
	}
}

// grows logs how the questions to the store grow with the establishments and the
// instances: ten minutes of each country, at its busiest.
func grows(t *testing.T) {
	const lasts = 10 * time.Minute
	for _, houses := range []int{300, 1000, 3000, 10_000} {
		for _, instances := range []int{2, 10, 40} {
			c := newCountry(2, houses, instances)
			c.hurry = true
			c.run(lasts)
			t.Logf("| %d | %d | %.0f | %.1f | %.3f | %.1f | %.1f %% |", houses, instances, float64(c.exchanges)/lasts.Seconds(), float64(c.trips)/lasts.Seconds(),
				float64(c.trips)/float64(c.exchanges), float64(c.beats)/lasts.Seconds(), 100*float64(c.waited)/float64(c.exchanges))
		}
	}
}

// away logs what an outage of 30 s costs those who keep to their limit: each
// instance gives its part of it.
func away(t *testing.T) {
	for _, instances := range []int{2, 4, 10, 40} {
		for _, burst := range []float64{40, 200} {
			c := newCountry(3, 1000, instances)
			c.hurry = true
			for _, h := range c.houses {
				h.limit.Burst = burst
			}
			c.run(time.Minute)
			c.loses(30 * time.Second)
			c.run(2 * time.Minute)
			t.Logf("| %d | %.0f | %d | %d (%.1f %%) |", instances, burst, c.sentInTrouble, c.inTrouble, 100*float64(c.inTrouble)/float64(c.sentInTrouble))
		}
	}
}
