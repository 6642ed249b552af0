package quota

import (
	"context"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"
)

// Options are what a Meter needs. Store and Instance are required.
type Options struct {
	Store    Store
	Instance string // unique to this instance

	// Instances is the assumed number of instances until the store has given
	// it. Default: 2.
	Instances int

	// Patience is how long one exchange waits for the store. Default: 1.5 ms.
	Patience time.Duration
	// GivenUp is how long a question may stay unanswered before the store
	// counts as away. Default: 200 ms.
	GivenUp time.Duration

	// Accounts bounds how many are kept; beyond that, Spend refuses. Default:
	// 100 000.
	Accounts int

	// OnAway is called when the store is away (err: why) and when it is back
	// (nil), from the goroutine that asked. May be nil.
	OnAway func(err error)
}

// A Meter spends from many accounts in one instance: from its slices, by asking
// the store when it has none, from its own part of the rate when the store is
// away. It never waits longer than Patience. Close it.
type Meter struct {
	o      Options
	start  time.Time
	seed   maphash.Seed
	shards [64]shard
	count  atomic.Int64
	away   atomic.Pointer[Away] // never nil
	known  atomic.Int64         // instances
	trips  atomic.Int64
	kick   chan struct{}
	ending context.Context
	end    context.CancelFunc
	ended  sync.WaitGroup

	mu             sync.Mutex // guards the fields below
	pending        []pending
	round          chan struct{} // closed and replaced at each answer
	mark, sequence int64
	outages        int
	lost           bool      // an answer did not come since the last one
	heard          time.Time // of the last answer
	swept          time.Time
}

type shard struct {
	mu       sync.Mutex
	accounts map[string]*entry
	_        [40]byte // no two shards in one cache line
}

type entry struct {
	Account
	shard *shard
	name  string
}

type pending struct {
	*entry
	want Want
}

// NewMeter makes a Meter and starts its round trips.
func NewMeter(o Options) *Meter {
	if o.Instances <= 0 {
		o.Instances = 2
	}
	if o.Patience <= 0 {
		o.Patience = 1500 * time.Microsecond
	}
	if o.GivenUp <= 0 {
		o.GivenUp = 200 * time.Millisecond
	}
	if o.Accounts <= 0 {
		o.Accounts = 100_000
	}
	m := &Meter{o: o, start: time.Now(), seed: maphash.MakeSeed(), kick: make(chan struct{}, 1), round: make(chan struct{})}
	m.known.Store(int64(o.Instances))
	m.away.Store(&Away{})
	for i := range m.shards {
		m.shards[i].accounts = map[string]*entry{}
	}
	m.ending, m.end = context.WithCancel(context.Background())
	m.ended.Go(m.run)
	return m
}

// Close ends the round trips, including the pending ones.
func (m *Meter) Close() {
	m.end()
	m.ended.Wait()
}

// Leave tells the store that this instance is no more, after Close, and pays
// what was spent on credit: the others do not count with it, and what the store
// knows stays true while nobody runs.
func (m *Meter) Leave(ctx context.Context) error {
	m.mu.Lock()
	q := Question{Instance: m.o.Instance, Mark: m.mark, Sequence: m.sequence, Lost: m.lost}
	m.mu.Unlock()
	debts := m.debts()
	for len(debts) > 0 {
		n := min(len(debts), mostWants)
		q.Wants, debts = debts[:n], debts[n:]
		a, err := m.o.Store.Ask(ctx, q)
		if err != nil {
			return err
		}
		q.Mark, q.Sequence, q.Lost = a.Mark, a.Sequence, false
	}
	return m.o.Store.Leave(ctx, Departure{q.Instance, q.Mark, q.Sequence, q.Lost})
}

func (m *Meter) debts() (list []Want) {
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		for name, e := range s.accounts {
			if e.owed > 0 {
				list = append(list, Want{name, e.terms, -e.owed})
			}
		}
		s.mu.Unlock()
	}
	return list
}

// Spend takes n units of the account named, and reports whether there were as
// many; wait is how long to wait if not. The meter's own clock is monotonic: no
// caller's instant can take it to a time that is still to come.
func (m *Meter) Spend(ctx context.Context, name string, l Limit, n float64) (wait time.Duration, ok bool) {
	begun := time.Since(m.start)
	e, wait, ok, ask := m.try(name, l, n, begun)
	if ok || e == nil {
		return wait, ok
	}
	if ask {
		wait, ok = m.asked(ctx, e, n)
	}
	if ok || m.away.Load().Outage == 0 || time.Since(m.start)-begun+wait > m.o.Patience {
		return wait, ok
	}
	// While the instance is alone, an exchange waits for what its own part of the rate
	// gives within Patience: at a high rate it is then served.
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return m.last(e, n)
}

// asked waits for the store to give what the account lacks.
func (m *Meter) asked(ctx context.Context, e *entry, n float64) (wait time.Duration, ok bool) {
	patience := time.NewTimer(m.o.Patience)
	defer patience.Stop()
	joined := time.Duration(-1) // when the question was asked that knows what is lacking here
	for {
		round := m.nextRound()
		e.shard.mu.Lock()
		if e.Spend(n, time.Since(m.start)) {
			e.shard.mu.Unlock()
			return 0, true
		}
		alone := m.away.Load().Outage > 0               // then nothing comes of a question
		if !alone && (!e.asking || e.asked != joined) { // the answers to others wake it, too
			m.askLocked(e, n, time.Since(m.start))
			joined = e.asked
		}
		answered := !e.asking
		e.shard.mu.Unlock()
		if alone || answered {
			return m.last(e, n)
		}
		select {
		case <-round:
		case <-patience.C:
			return m.last(e, n)
		case <-ctx.Done():
			return m.last(e, n)
		}
	}
}

// try decides without asking, if possible. ask: it is not possible.
func (m *Meter) try(name string, l Limit, n float64, now time.Duration) (e *entry, wait time.Duration, ok, ask bool) {
	s := &m.shards[maphash.String(m.seed, name)%uint64(len(m.shards))]
	s.mu.Lock()
	defer s.mu.Unlock()
	e = s.accounts[name]
	if e == nil {
		if m.count.Load() >= int64(m.o.Accounts) {
			return nil, time.Second, false, false
		}
		m.count.Add(1)
		e = &entry{shard: s, name: name}
		s.accounts[name] = e
	}
	e.Adapt(l, int(m.known.Load()))
	if e.Spend(n, now) {
		m.askLocked(e, 0, now)
		return e, 0, true, false
	}
	if away := m.away.Load(); away.Outage > 0 {
		wait, ok = e.SpendAway(n, now, *away)
		return e, wait, ok, false
	}
	if now < e.notBefore {
		wait, ok = e.refuse(n, now)
		return e, wait, ok, false
	}
	return e, 0, false, true
}

// last is what is left to an exchange that the slices did not serve.
func (m *Meter) last(e *entry, n float64) (time.Duration, bool) {
	e.shard.mu.Lock()
	defer e.shard.mu.Unlock()
	now := time.Since(m.start)
	if e.Spend(n, now) {
		return 0, true
	}
	if away := m.away.Load(); away.Outage > 0 {
		return e.SpendAway(n, now, *away)
	}
	return e.refuse(n, now)
}

// refuse is what is left where the store answered with nothing, or not yet: on
// credit, else the time to wait. A store that starts from empty after a restart
// has nothing for the first exchange either: the credit is for that one too.
func (e *entry) refuse(n float64, now time.Duration) (time.Duration, bool) {
	if e.Overdraw(n) {
		return 0, true
	}
	return e.Wait(now), false
}

func (m *Meter) askLocked(e *entry, need float64, now time.Duration) {
	units := e.Want(need, now)
	if units == 0 {
		return
	}
	m.mu.Lock()
	m.pending = append(m.pending, pending{e, Want{e.name, e.terms, units}})
	m.mu.Unlock()
	select {
	case m.kick <- struct{}{}:
	default:
	}
}

func (m *Meter) nextRound() chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.round
}

// RoundTrips is how many questions were sent.
func (m *Meter) RoundTrips() int64 { return m.trips.Load() }

// Instances is the number of instances, as last counted.
func (m *Meter) Instances() int { return int(m.known.Load()) }

// Away is the instant since when the store is away; zero when it answers.
func (m *Meter) Away() time.Time {
	if a := m.away.Load(); a.Outage > 0 {
		return m.start.Add(a.Since)
	}
	return time.Time{}
}
