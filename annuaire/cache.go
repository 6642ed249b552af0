package annuaire

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/piano-roc/rpn/internal/roc"
)

// A cache remembers a bounded number of values by key. It knows nothing of
// time: whoever asks decides whether a value is still good.
//
// The bound must hold against an establishment that invents keys, so a key
// that was asked only once is the first to go. New keys wait in probation, a
// first-in first-out queue of a tenth of the room; one that is asked again
// while it waits moves to the kept ones when its turn comes, the others leave.
// Kept keys get another round each time they were asked since the last one
// (CLOCK). So a stream of invented keys passes through probation and pushes
// out nothing that is in use.
//
// A hit takes one shared lock of one shard and writes nothing but a counter.
type cache[V any] struct {
	seed   maphash.Seed
	shards []shard[V] // a power of two
}

type shard[V any] struct {
	mu        sync.RWMutex // guards all below but found
	slots     map[roc.Key]*slot[V]
	probation queue[V]
	kept      queue[V]
	room      int // most slots
	evicted   uint64
	found     atomic.Uint64 // per shard, so that cores do not fight for one counter
	_         [64]byte      // two shards never share a cache line
}

type slot[V any] struct {
	key   roc.Key
	value V
	asked atomic.Bool // since it entered its queue
	next  *slot[V]    // in its queue
}

// newCache makes a cache of at most keys values, rounded up to a multiple of
// the number of shards.
func newCache[V any](keys int) *cache[V] {
	n := 64
	for n > 1 && keys < 16*n {
		n /= 2
	}
	c := &cache[V]{seed: maphash.MakeSeed(), shards: make([]shard[V], n)}
	for i := range c.shards {
		c.shards[i].slots = make(map[roc.Key]*slot[V])
		c.shards[i].room = max(1, (keys+n-1)/n)
	}
	return c
}

func (c *cache[V]) shardOf(k roc.Key) *shard[V] {
	return &c.shards[maphash.Comparable(c.seed, k)&uint64(len(c.shards)-1)]
}

// get returns the value of the key, and false when there is none.
func (c *cache[V]) get(k roc.Key) (V, bool) {
	s := c.shardOf(k)
	s.mu.RLock()
	defer s.mu.RUnlock()
	e, ok := s.slots[k]
	if !ok {
		var none V
		return none, false
	}
	s.found.Add(1)
	if !e.asked.Load() {
		e.asked.Store(true)
	}
	return e.value, true
}

// put stores the value of the key, in the place of its former one.
func (c *cache[V]) put(k roc.Key, v V) {
	s := c.shardOf(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.slots[k]; ok {
		e.value = v
		return
	}
	for len(s.slots) >= s.room {
		s.evict()
	}
	e := &slot[V]{key: k, value: v}
	s.slots[k] = e
	s.probation.push(e)
}

// evict makes one step toward room for one more: it drops a slot or moves one
// between queues. Each move clears asked, so it ends.
func (s *shard[V]) evict() {
	if s.probation.n > s.room/10 {
		e := s.probation.pop()
		if e.asked.Swap(false) {
			s.kept.push(e)
			return
		}
		s.drop(e)
		return
	}
	e := s.kept.pop()
	if e.asked.Swap(false) {
		s.kept.push(e)
		return
	}
	s.drop(e)
}

func (s *shard[V]) drop(e *slot[V]) {
	delete(s.slots, e.key)
	s.evicted++
}

// size returns how many keys are remembered, and how many were pushed out.
func (c *cache[V]) size() (keys int, evicted uint64) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.RLock()
		keys += len(s.slots)
		evicted += s.evicted
		s.mu.RUnlock()
	}
	return keys, evicted
}

// found returns how many times get had a value to return.
func (c *cache[V]) found() uint64 {
	var n uint64
	for i := range c.shards {
		n += c.shards[i].found.Load()
	}
	return n
}

// A queue of slots, first in first out.
type queue[V any] struct {
	first, last *slot[V]
	n           int
}

func (q *queue[V]) push(e *slot[V]) {
	e.next = nil
	if q.last == nil {
		q.first = e
	} else {
		q.last.next = e
	}
	q.last = e
	q.n++
}

func (q *queue[V]) pop() *slot[V] {
	e := q.first
	q.first = e.next
	if q.first == nil {
		q.last = nil
	}
	e.next = nil
	q.n--
	return e
}
