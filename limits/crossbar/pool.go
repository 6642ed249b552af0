package crossbar

import (
	"math"
	"slices"
	"time"
)

// A pool is the seats of one insurer, and those who wait for them. It has no
// clock and no lock of its own.
//
// Each establishment is a flow with a virtual time, in seat-seconds: what it
// has used. A free seat goes to the waiting flow that has used least. A flow
// that is new, or comes back, starts at the current virtual time of the pool,
// so that nobody saves up idle time. The cost of a seat is estimated when it is
// taken and corrected when it is returned (as in Kubernetes' API priority and
// fairness; with one seat each, it is deficit round robin of one exchange a
// turn).
type pool struct {
	seats, part int // in all; for one flow at most
	running     int
	waiting     int
	started     float64 // sum of the instants at which the seats running were taken
	epoch       time.Time
	hold        float64 // average time that a seat is held, in seconds; 0: not known
	virtual     float64 // virtual time at which the flow served last started
	flows       map[string]*flow
	active      []*flow // flows with somebody waiting
}

type flow struct {
	name    string
	part    int // how many seats it may hold
	used    float64
	running int
	queue   []*waiter
}

type waiter struct {
	flow   *flow
	ready  chan struct{} // closed when served
	served bool
	seat   seat
}

type seat struct {
	flow     *flow
	at       float64
	expected float64
}

// No exchange lasts as long as longestHold: a seat that is held longer, or that
// is returned before it was taken, is a clock that jumped, and says nothing.
const longestHold = 600 // seconds

const (
	firstHold = 0.5  // seconds, before anything is known
	weight    = 0.05 // weight of the newest value in hold
	mostFlows = 4096 // kept in addition to those in use
)

func (p *pool) resize(seats int, o Options) {
	if seats <= 0 {
		seats = o.Seats
	}
	p.seats, p.part = seats, max(1, int(math.Ceil(o.PairShare*float64(seats))))
}

func (p *pool) seconds(at time.Time) float64 {
	if p.epoch.IsZero() {
		p.epoch = at
	}
	return at.Sub(p.epoch).Seconds()
}

// holds is how long a seat is held, as far as known: a long exchange counts
// before it has ended.
func (p *pool) holds(at time.Time) float64 {
	h := p.hold
	if h == 0 {
		h = firstHold
	}
	if p.running > 0 {
		if so := p.seconds(at) - p.started/float64(p.running); so <= longestHold {
			h = max(h, so)
		}
	}
	return h
}

func (p *pool) flow(who string) *flow {
	f := p.flows[who]
	if f == nil {
		if len(p.flows) >= mostFlows {
			p.forget()
		}
		f = &flow{name: who, part: p.part}
		p.flows[who] = f
	}
	if f.running == 0 && len(f.queue) == 0 {
		f.used = max(f.used, p.virtual)
	}
	return f
}

// forget drops the flows that are not in use: they come back as new ones.
func (p *pool) forget() {
	for who, f := range p.flows {
		if f.running == 0 && len(f.queue) == 0 {
			delete(p.flows, who)
		}
	}
}

// take takes a seat at once, when one is free and nobody is before.
func (p *pool) take(who string, part int, at time.Time) (seat, bool) {
	f := p.flow(who)
	f.part = p.part
	if part > 0 {
		f.part = min(part, p.seats)
	}
	if p.running >= p.seats || f.running >= f.part || len(f.queue) > 0 {
		return seat{}, false
	}
	for _, other := range p.active { // those that wait for their own part are not before
		if other.running < other.part {
			return seat{}, false
		}
	}
	return p.give(f, at), true
}

func (p *pool) give(f *flow, at time.Time) seat {
	s := seat{f, p.seconds(at), p.holds(at)}
	p.virtual = max(p.virtual, f.used)
	f.used += s.expected
	f.running++
	p.running++
	p.started += s.at
	return s
}

// wait queues who, or refuses: its queue is full, or its turn would come too
// late for an exchange that has this much time left.
func (p *pool) wait(who string, at time.Time, left time.Duration, queue int) (*waiter, *Refusal) {
	f := p.flow(who)
	turn := p.turn(f, at)
	own := f.running >= f.part || len(f.queue) >= queue
	if len(f.queue) >= queue || turn+p.holds(at) > left.Seconds() {
		return nil, &Refusal{Own: own, Held: f.running, Waiting: len(f.queue), Part: f.part, Seats: p.seats, Running: p.running,
			Wait: max(100*time.Millisecond, seconds(min(turn, 60)))}
	}
	w := &waiter{flow: f, ready: make(chan struct{})}
	if len(f.queue) == 0 {
		p.active = append(p.active, f)
	}
	f.queue = append(f.queue, w)
	p.waiting++
	return w, nil
}

// turn is the expected time, in seconds, until a seat for one more exchange of
// f: each waiting flow gets an equal part of the seats that become free, at
// most its part of the pool.
func (p *pool) turn(f *flow, at time.Time) float64 {
	among := len(p.active)
	if len(f.queue) == 0 {
		among++
	}
	rate := min(float64(p.seats)/float64(among), float64(f.part)) / p.holds(at)
	return float64(len(f.queue)+1) / rate
}

// leave returns a seat and serves the next one.
func (p *pool) leave(s seat, at time.Time) {
	took := p.seconds(at) - s.at
	jumped := took < 0 || took > longestHold
	if jumped {
		took = s.expected
	}
	s.flow.used += took - s.expected
	s.flow.running--
	p.running--
	p.started -= s.at
	if p.running == 0 {
		p.started = 0 // no rounding is carried over
	}
	if !jumped {
		if p.hold == 0 {
			p.hold = took
		}
		p.hold += weight * (took - p.hold)
	}
	p.serve(at)
}

func (p *pool) serve(at time.Time) {
	for p.running < p.seats {
		var next *flow
		for _, f := range p.active {
			if f.running < f.part && (next == nil || f.used < next.used) {
				next = f
			}
		}
		if next == nil {
			return
		}
		w := next.queue[0]
		next.queue = slices.Delete(next.queue, 0, 1)
		p.dequeued(next)
		w.seat, w.served = p.give(next, at), true
		close(w.ready)
	}
}

func (p *pool) giveUp(w *waiter) {
	if i := slices.Index(w.flow.queue, w); i >= 0 {
		w.flow.queue = slices.Delete(w.flow.queue, i, i+1)
		p.dequeued(w.flow)
	}
}

func (p *pool) dequeued(f *flow) {
	p.waiting--
	if len(f.queue) == 0 {
		i := slices.Index(p.active, f)
		p.active = slices.Delete(p.active, i, i+1)
	}
}
