// Package crossbar shares the insurers among the establishments: one pool of
// seats for each insurer, so that a slow one fills only its own; in each pool a
// fair queue over the establishments, so that a greedy one waits for itself.
//
// A seat is one exchange in flight to an insurer. Fairness is in seat-seconds:
// who holds seats for long is served less often. An establishment never holds
// more than its part of a pool. What cannot be served in time is refused at
// once, not after waiting.
package crossbar

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"
)

// Options are what a Crossbar needs; every field but Seats has a default.
type Options struct {
	// Seats is how many exchanges may be in flight towards one insurer.
	// Required.
	Seats int
	// PairShare is the part of the seats of an insurer that one establishment
	// may hold. Default: 0.5.
	PairShare float64
	// Queue is how many exchanges of one establishment may wait for one insurer.
	// Default: 32.
	Queue int
	// Now is the clock. Default: time.Now.
	Now func() time.Time
}

// A Crossbar holds the pools of all insurers. Safe for concurrent use. Who calls
// Enter bounds their number: a pool is never dropped.
type Crossbar struct {
	o  Options
	mu sync.Mutex // guards by
	by map[string]*guarded
}

type guarded struct {
	mu sync.Mutex
	pool
}

// New makes a Crossbar.
func New(o Options) *Crossbar {
	if o.Seats <= 0 {
		panic("crossbar: Seats is required")
	}
	if !(o.PairShare > 0 && o.PairShare <= 1) {
		o.PairShare = 0.5
	}
	if o.Queue <= 0 {
		o.Queue = 32
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Crossbar{o: o, by: map[string]*guarded{}}
}

// A Refusal says why there is no seat: Own (the establishment's own queue or
// part is full), or the deadline cannot be met.
type Refusal struct {
	Own            bool // the establishment holds or waits for its whole part
	Held, Waiting  int  // of the establishment, at this insurer
	Part           int  // how many it may hold
	Wait           time.Duration
	Seats, Running int // of the insurer
}

// Error words the refusal for the log.
func (r *Refusal) Error() string {
	return fmt.Sprintf("no seat in time: %d of %d seats are taken, %d of them and %d in the queue by the caller; a seat is expected in %s",
		r.Running, r.Seats, r.Held, r.Waiting, r.Wait.Round(time.Millisecond))
}

// A Seat is one exchange in flight. Leave must follow. The zero Seat is none.
type Seat struct {
	pool *guarded
	seat
}

// Enter waits for a seat of who at the insurer, whose number of seats is seats,
// of which who may hold part (0: the default of both), and within ctx, whose deadline is that of the whole
// exchange. The error is a *Refusal, or ctx's.
func (c *Crossbar) Enter(ctx context.Context, insurer, who string, seats, part int) (Seat, error) {
	g := c.pool(insurer)
	now := c.o.Now()
	g.mu.Lock()
	g.resize(seats, c.o)
	s, ok := g.take(who, part, now)
	if ok {
		g.mu.Unlock()
		return Seat{g, s}, nil
	}
	left := time.Hour
	if d, ok := ctx.Deadline(); ok {
		left = d.Sub(now)
	}
	w, r := g.wait(who, now, left, c.o.Queue)
	g.mu.Unlock()
	if r != nil {
		return Seat{}, r
	}
	select {
	case <-w.ready:
		return Seat{g, w.seat}, nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if w.served {
		g.leave(w.seat, c.o.Now())
	} else {
		g.giveUp(w)
	}
	return Seat{}, ctx.Err()
}

// Leave returns the seat.
func (s Seat) Leave(at time.Time) {
	if s.pool == nil {
		return
	}
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	s.pool.leave(s.seat, at)
}

func (c *Crossbar) pool(insurer string) *guarded {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.by[insurer]
	if g == nil {
		g = &guarded{pool: pool{flows: map[string]*flow{}}}
		g.resize(0, c.o)
		c.by[insurer] = g
	}
	return g
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// A PoolState is how full the pool of one insurer is.
type PoolState struct {
	Insurer                 string
	Seats, Running, Waiting int
}

// Pools returns the state of each pool, in no order.
func (c *Crossbar) Pools() []PoolState {
	c.mu.Lock()
	all := maps.Clone(c.by)
	c.mu.Unlock()
	list := make([]PoolState, 0, len(all))
	for insurer, g := range all {
		g.mu.Lock()
		list = append(list, PoolState{insurer, g.seats, g.running, g.waiting})
		g.mu.Unlock()
	}
	return list
}
