package quota

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// A simulation is several instances, one store and one account, in virtual time:
// questions and answers travel for a random while or are lost, the store is
// lost (and emptied) for a while, each instance has its own clock.
type simulation struct {
	r         *rand.Rand
	limit     Limit
	instances []*member
	store     Central
	now       time.Duration
	events    events
	down      bool

	// The bucket against which all admissions are held: how full it would be.
	full  float64
	at    time.Duration
	worst float64
	total int

	noReduce bool // the variant that must break the bound
	half     bool // likewise: half of each message is not counted
	bytes    bool // an exchange spends many units, up to limit.Unit
}

// units is what one exchange spends.
func (w *simulation) units() float64 {
	if !w.bytes {
		return 1
	}
	if w.r.IntN(20) == 0 {
		return w.limit.Unit // the largest message
	}
	return math.Ceil(w.limit.Unit * math.Pow(w.r.Float64(), 4))
}

type member struct {
	id             string
	life           int // counts the restarts
	gone           bool
	account        Account
	skew           time.Duration // of its clock; constant, as monotonic clocks are
	mark, sequence int64
	away           Away
	outages, known int
	lost           bool
}

type event struct {
	at time.Duration
	do func()
}
type events []event

func (e events) Len() int           { return len(e) }
func (e events) Less(i, j int) bool { return e[i].at < e[j].at }
func (e events) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)        { *e = append(*e, x.(event)) }
func (e *events) Pop() any          { x := (*e)[len(*e)-1]; *e = (*e)[:len(*e)-1]; return x }

func (w *simulation) after(d time.Duration, do func()) { heap.Push(&w.events, event{w.now + d, do}) }

func (w *simulation) between(a, b time.Duration) time.Duration {
	return a + time.Duration(w.r.Int64N(int64(b-a)+1))
}

// twoBursts is how many exchanges spend twice the burst.
func (w *simulation) twoBursts() int {
	usual := 1.0
	if w.bytes {
		usual = w.limit.Unit / 4 // on average
	}
	return int(2 * w.limit.Burst / usual)
}

// admit counts one admission of n units: over every interval T, at most
// burst + rate*T.
func (w *simulation) admit(n float64) {
	if w.half {
		n *= 2
	}
	w.full = max(0, w.full-w.limit.Rate*(w.now-w.at).Seconds()) + n
	w.at = w.now
	w.worst = max(w.worst, w.full-w.limit.Burst)
	w.total++
}

func (w *simulation) ask(m *member, need float64) {
	sent := w.now + m.skew
	wanted := m.account.Want(need, sent)
	if wanted == 0 {
		return
	}
	terms := m.account.terms
	if w.noReduce {
		terms.Burst += terms.Rate*terms.Life.Seconds() + terms.Overdraft*float64(len(w.instances))
	}
	w.question(m, sent, wanted, []Want{{"compte", terms, wanted}})
}

func (w *simulation) question(m *member, sent time.Duration, wanted float64, wants []Want) {
	q := Question{Instance: m.id, Mark: m.mark, Sequence: m.sequence, Lost: m.lost, Wants: wants}
	life := m.life
	alone := func() {
		if m.away.Outage == 0 {
			m.outages++
			m.away = Away{m.outages, w.now + m.skew}
		}
	}
	failed := func() {
		if m.life != life {
			return
		}
		m.lost = true
		alone()
		m.account.Answered(wanted, Grant{}, false, sent, w.now+m.skew)
	}
	w.after(w.between(10*time.Microsecond, 3*time.Millisecond), func() {
		if w.down || w.r.IntN(500) == 0 {
			w.after(w.between(0, 5*time.Millisecond), failed)
			return
		}
		a := w.store.Ask(q, time.Hour+w.now)
		if w.r.IntN(500) == 0 { // the answer is lost
			w.after(5*time.Millisecond, failed)
			return
		}
		w.after(w.between(10*time.Microsecond, 3*time.Millisecond), func() {
			if m.life != life {
				return
			}
			m.mark, m.sequence, m.lost = a.Mark, max(m.sequence, a.Sequence), false
			if a.Settling {
				alone()
				m.known = max(m.known, a.Instances)
			} else {
				m.away, m.known = Away{}, a.Instances
			}
			if len(wants) > 0 {
				m.account.Answered(wanted, a.Grants[0], true, sent, w.now+m.skew)
			}
		})
	})
}

func (w *simulation) exchange(m *member, n float64, again bool) {
	if m.gone {
		return
	}
	m.account.Adapt(w.limit, max(1, m.known))
	now := w.now + m.skew
	switch {
	case m.account.Spend(n, now):
		w.admit(n)
		w.ask(m, 0)
	case m.away.Outage > 0:
		if _, ok := m.account.SpendAway(n, now, m.away); ok {
			w.admit(n)
		}
	case again:
		w.ask(m, n)
		w.after(1500*time.Microsecond, func() { w.exchange(m, n, false) })
	case m.account.Overdraw(n):
		w.admit(n)
	}
}

func (w *simulation) traffic(m *member) {
	pace := w.between(100*time.Microsecond, 30*time.Millisecond)
	n := 1 + w.r.IntN(20)
	if w.r.IntN(10) == 0 {
		n = 1 + w.r.IntN(w.twoBursts())
	}
	for i := range n {
		d := time.Duration(i) * pace
		if w.r.IntN(3) == 0 {
			d = 0
		}
		w.after(d, func() { w.exchange(m, w.units(), true) })
	}
	w.after(time.Duration(n)*pace+w.between(0, 400*time.Millisecond), func() { w.traffic(m) })
}

func newSimulation(seed uint64) *simulation {
	w := &simulation{r: rand.New(rand.NewPCG(seed, 11)), worst: -1e9}
	w.limit = Limit{Rate: 1 + 200*w.r.Float64()}
	w.limit.Burst = w.limit.Rate * (0.5 + 2*w.r.Float64())
	n := 1 + w.r.IntN(12)
	w.limit.Burst = max(w.limit.Burst, float64(2*n), 4)
	for i := range n {
		m := &member{id: string(rune('a' + i)), skew: w.between(0, 24*time.Hour), known: n}
		w.instances = append(w.instances, m)
		w.after(w.between(0, time.Second), func() { w.traffic(m) })
		w.beat(m)
	}
	w.after(w.between(0, 2*time.Second), w.storm)
	return w
}

// storm is a burst at every instance at once: it finds the credit that each
// holds beside a central bucket that has filled again.
func (w *simulation) storm() {
	for _, m := range w.instances {
		for range 1 + w.twoBursts()/len(w.instances) {
			w.after(w.between(0, 4*time.Millisecond), func() { w.exchange(m, w.units(), true) })
		}
	}
	w.after(w.between(100*time.Millisecond, 3*time.Second), w.storm)
}

// beat is what an instance asks beside its exchanges: each heartbeat, and often
// while the store is away.
func (w *simulation) beat(m *member) {
	if !m.gone {
		w.question(m, w.now+m.skew, 0, nil)
	}
	every := heartbeat
	if m.away.Outage > 0 {
		every = probe
	}
	w.after(every, func() { w.beat(m) })
}

func (w *simulation) outages(empty bool) {
	w.after(w.between(time.Second, 4*time.Second), func() {
		w.down = true
		w.after(w.between(5*time.Millisecond, 4*time.Second), func() {
			w.down = false
			if empty {
				w.store.Lose()
			}
		})
	})
}

// restarts has instances leave and come back with nothing: one alone, or all of
// them and for longer than the store's silence.
func (w *simulation) restarts() {
	w.after(w.between(500*time.Millisecond, 3*time.Second), func() {
		list := w.instances
		if w.r.IntN(2) == 0 {
			i := w.r.IntN(len(list))
			list = list[i : i+1]
		}
		back := w.between(0, 2*silence)
		for _, m := range list {
			if m.gone {
				continue
			}
			q := Question{Instance: m.id, Mark: m.mark, Sequence: m.sequence, Lost: m.lost}
			if m.account.owed > 0 {
				q.Wants = []Want{{"compte", m.account.terms, -m.account.owed}}
				a := w.store.Ask(q, time.Hour+w.now)
				q.Mark, q.Sequence, q.Lost = a.Mark, a.Sequence, false
			}
			w.store.Leave(Departure{m.id, q.Mark, q.Sequence, q.Lost})
			m.gone = true
			m.life++
			w.after(back, func() {
				*m = member{id: m.id + "+", life: m.life, skew: m.skew, known: len(w.instances)}
			})
		}
		w.restarts()
	})
}

func (w *simulation) run(until time.Duration) {
	for len(w.events) > 0 && w.events[0].at <= until {
		e := heap.Pop(&w.events).(event)
		w.now = e.at
		e.do()
	}
}

const runs = 200

func worst(change func(seed uint64, w *simulation)) (excess float64, total int) {
	excess = -1e9
	for seed := range uint64(runs) {
		w := newSimulation(seed)
		change(seed, w)
		w.run(10 * time.Second)
		excess = max(excess, w.worst)
		total += w.total
	}
	return excess, total
}

func TestOverEveryIntervalNoMoreThanBurstAndRatePass(t *testing.T) {
	t.Parallel()
	excess, total := worst(func(uint64, *simulation) {})
	t.Logf("%d runs of 1 to 12 instances, %d admitted, worst excess %.2f", runs, total, excess)
	if excess > 1e-6 {
		t.Errorf("%.2f more than burst + rate*T passed", excess)
	}
}

// The same of bytes: a message of many units passes whole, or not at all.
func TestOverEveryIntervalNoMoreBytesPass(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(w *simulation){
		"calm":     func(*simulation) {},
		"outage":   func(w *simulation) { w.outages(true) },
		"cut off":  func(w *simulation) { w.outages(false) },
		"restarts": func(w *simulation) { w.restarts() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			excess, total := worst(func(_ uint64, w *simulation) { w.inBytes(); change(w) })
			t.Logf("%d runs, %d messages admitted, worst excess %.0f bytes", runs, total, excess)
			if excess > 1e-3 {
				t.Errorf("%.0f bytes more than burst + rate*T passed", excess)
			}
			if total < 50*runs {
				t.Errorf("%d messages in %d runs: nothing passes", total, runs)
			}
		})
	}
	excess, _ := worst(func(_ uint64, w *simulation) { w.inBytes(); w.half = true })
	if excess <= 0 {
		t.Errorf("messages that spend half of what they are: worst excess %.0f: the check cannot fail", excess)
	}
}

// inBytes has messages of up to Unit bytes, for as many of the largest at once as
// the burst held.
func (w *simulation) inBytes() {
	w.bytes, w.limit.Unit = true, float64(1000+w.r.IntN(1<<21))
	w.limit.Rate *= w.limit.Unit / 8
	w.limit.Burst *= w.limit.Unit / 4
}

func TestALostStoreLetsNoMorePass(t *testing.T) {
	t.Parallel()
	for name, empty := range map[string]bool{"emptied": true, "cut off": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			excess, total := worst(func(_ uint64, w *simulation) { w.outages(empty) })
			t.Logf("%d runs with an outage, %d admitted, worst excess %.2f", runs, total, excess)
			if excess > 1e-6 {
				t.Errorf("%.2f more than burst + rate*T passed", excess)
			}
		})
	}
}

func TestInstancesThatRestartLetNoMorePass(t *testing.T) {
	t.Parallel()
	excess, total := worst(func(_ uint64, w *simulation) { w.restarts() })
	t.Logf("%d runs with restarts, %d admitted, worst excess %.2f", runs, total, excess)
	if excess > 1e-6 {
		t.Errorf("%.2f more than burst + rate*T passed", excess)
	}
}

// A store that all have left is as they left it; one of which an instance fell
// silent is not believed after a silence.
func TestWhoLeavesEmptiesNoBucket(t *testing.T) {
	t.Parallel()
	terms := TermsOf(Limit{Rate: 1, Burst: 5}, 1)
	want := func(id string) Question {
		return Question{Instance: id, Wants: []Want{{"compte", terms, 1}}}
	}
	for name, c := range map[string]struct {
		leave   func(c *Central, a Answer)
		settles bool
	}{
		"all left": {func(c *Central, a Answer) { c.Leave(Departure{"a", a.Mark, a.Sequence, false}) }, false},
		"killed":   {func(*Central, Answer) {}, true},
		"left while another runs": {func(c *Central, a Answer) {
			b := c.Ask(want("b"), 2*time.Hour)
			c.Leave(Departure{"a", b.Mark, b.Sequence, false})
		}, true},
		"lived alone":             {func(c *Central, a Answer) { c.Leave(Departure{"a", a.Mark, a.Sequence, true}) }, true},
		"of another mark":         {func(c *Central, a Answer) { c.Leave(Departure{"a", a.Mark - 1, a.Sequence, false}) }, true},
		"the store went back":     {func(c *Central, a Answer) { c.Leave(Departure{"a", a.Mark, a.Sequence + 1, false}) }, true},
		"another one fell silent": {func(c *Central, a Answer) { c.unheard = true; c.Leave(Departure{"a", a.Mark, a.Sequence, false}) }, true},
		"and one asked once more": {func(c *Central, a Answer) {
			c.Leave(Departure{"a", a.Mark, a.Sequence, false})
			c.Ask(want("b"), 2*time.Hour)
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var central Central
			central.Ask(want("a"), time.Hour)
			a := central.Ask(want("a"), 2*time.Hour-time.Second) // after a silence: a mark
			a = central.Ask(want("a"), 2*time.Hour+2*time.Second)
			if a.Settling || a.Answer().Units != 1 {
				t.Fatalf("a store at rest says %+v", a)
			}
			c.leave(&central, a)
			b := central.Ask(want("c"), 3*time.Hour)
			if b.Settling != c.settles || (b.Answer().Units == 1) == c.settles {
				t.Errorf("who comes after is told %+v, settles is to be %t", b, c.settles)
			}
		})
	}
	t.Run("silent for its life", func(t *testing.T) {
		t.Parallel()
		var c Central
		c.Ask(want("a"), time.Hour)
		c.Ask(want("b"), time.Hour)
		a := c.Ask(want("b"), time.Hour)
		for at := time.Hour; at < time.Hour+memberLife+2*time.Second; at += time.Second {
			a = c.Ask(want("b"), at)
		}
		c.Leave(Departure{"b", a.Mark, a.Sequence, false})
		if !c.unheard || c.left {
			t.Error("an instance that fell silent is taken for one that left")
		}
	})
}

func TestWithoutTheReducedBurstTheBoundWouldBreak(t *testing.T) {
	t.Parallel()
	if excess, _ := worst(func(_ uint64, w *simulation) { w.noReduce = true }); excess <= 0 {
		t.Errorf("worst excess %.2f: the check cannot fail", excess)
	} else {
		t.Logf("worst excess %.2f", excess)
	}
}

// An instance that could give unspent credit back, and take it again at once,
// would hold more and more of it: the level never says so.
func TestCreditGivenBackWouldBreakTheBound(t *testing.T) {
	t.Parallel()
	limit := Limit{Rate: 100, Burst: 200}
	terms := TermsOf(limit, 1)
	var c Central
	held, taken := 0.0, time.Duration(0)
	now := time.Hour
	c.Ask(Question{Instance: "a"}, now)
	for ; now < time.Hour+10*time.Second; now += terms.Life / 10 {
		if now-taken > terms.Life/2 { // in pieces that the level has room for
			room := terms.CentralBurst(1) - c.levels["compte"].units
			if held > 0 && room < 1 {
				t.Fatal("no room to give anything back")
			}
			taken = now // given back and taken again: it all has a new life
		}
		held += c.Ask(Question{Instance: "a", Wants: []Want{{"compte", terms, 1000}}}, now).Answer().Units
	}
	if held <= limit.Burst {
		t.Errorf("%.0f units are held, the burst is %.0f: the check cannot fail", held, limit.Burst)
	}
}

// What is spent on credit during an outage is paid with the next question of that
// instance, whenever that is: until then it gives no credit a second time, and the
// central bucket is smaller by all that can be owed. So many outages, each followed
// by a storm at an instance that owes nothing, let no more pass; were the debts
// forgotten at the end of an outage, they would.
func TestTheCreditOfAnOutageIsWithinTheBound(t *testing.T) {
	t.Parallel()
	play := func(forget bool) float64 {
		w := &simulation{r: rand.New(rand.NewPCG(7, 11)), worst: -1e9, limit: Limit{Rate: 0.1, Burst: 40}}
		for i := range 4 {
			w.instances = append(w.instances, &member{id: string(rune('a' + i)), known: 4})
			w.beat(w.instances[i])
		}
		w.run(10 * time.Minute) // the bucket is full
		for range 12 {
			w.down = true
			w.run(w.now + 2*heartbeat)
			for _, m := range w.instances[1:] {
				for range 2 * mostOverdraft {
					w.exchange(m, 1, false)
				}
			}
			w.down = false
			w.run(w.now + 2*settling)
			for range 40 {
				w.exchange(w.instances[0], 1, true)
				w.run(w.now + 10*time.Millisecond)
			}
			for _, m := range w.instances {
				if forget {
					m.account.owed = 0
				}
			}
		}
		return w.worst
	}
	if excess := play(false); excess > 1e-6 {
		t.Errorf("%.2f more than burst + rate*T passed", excess)
	}
	if excess := play(true); excess <= 0 {
		t.Errorf("debts are forgotten: worst excess %.2f: the check cannot fail", excess)
	}
}

// Answer is the only grant of a.
func (a Answer) Answer() Grant { return a.Grants[0] }

// While the store is away, a message larger than this instance's part of the
// burst waits for the store: its part never holds as much.
func TestAwayAMessageLargerThanThePartWaits(t *testing.T) {
	t.Parallel()
	var a Account
	a.Adapt(Limit{Rate: 1000, Burst: 10_000, Unit: 5000}, 40)
	now := time.Hour
	for range 100 {
		if _, ok := a.SpendAway(5000, now, Away{1, time.Minute}); ok {
			t.Fatal("more passed than the part of one instance holds")
		}
		now += time.Second
	}
	if _, ok := a.SpendAway(100, now, Away{1, time.Minute}); !ok {
		t.Error("a small one does not pass either")
	}
}
