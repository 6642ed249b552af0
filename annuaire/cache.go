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
// With a million keys its cost is that of fetching memory, so it fetches
// little: an index of eight bytes a key, then the slot, which holds the key,
// packed, beside its value.
type cache[V any] struct {
	seed   maphash.Seed
	shards []shard[V] // a power of two
}

type shard[V any] struct {
	mu        sync.RWMutex      // guards all below but found
	index     map[uint32]uint32 // from half the hash of a key to its slot
	slab      []*[chunk]slot[V] // the slots, by number
	free      queue             // slots that hold nothing
	probation queue
	kept      queue
	room      int // most keys
	evicted   uint64
	found     atomic.Uint64 // per shard, so that cores do not fight for one counter
	_         [64]byte      // two shards never share a cache line
}

// chunk is how many slots are allocated at once.
const chunk = 128

// A slot's first fields are what a hit reads, together.
type slot[V any] struct {
	key   packed
	asked atomic.Bool // since it entered its queue
	hash  uint32      // under which the index holds it
	next  uint32      // in its queue
	value V
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
		c.shards[i].index = make(map[uint32]uint32)
		c.shards[i].room = max(1, (keys+n-1)/n)
	}
	return c
}

// shardOf returns the shard of the key, and the key's hash in it. The hash is
// keyed: nobody can choose keys that share one.
func (c *cache[V]) shardOf(k *packed) (*shard[V], uint32) {
	h := maphash.Bytes(c.seed, k[:])
	return &c.shards[h&uint64(len(c.shards)-1)], uint32(h >> 32)
}

// get returns the value of the key, and false when there is none.
func (c *cache[V]) get(k roc.Key) (v V, ok bool) {
	p, ok := pack(&k)
	if !ok {
		return v, false
	}
	s, h := c.shardOf(&p)
	s.mu.RLock()
	defer s.mu.RUnlock()
	e := s.lookup(&p, h)
	if e == nil {
		return v, false
	}
	s.found.Add(1)
	if !e.asked.Load() {
		e.asked.Store(true)
	}
	return e.value, true
}

// put stores the value of the key, in the place of its former one.
func (c *cache[V]) put(k roc.Key, v V) {
	p, ok := pack(&k)
	if !ok {
		return
	}
	s, h := c.shardOf(&p)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.lookup(&p, h)
	if e == nil {
		e = s.enter(h)
	}
	e.key, e.value = p, v
}

// tries is how many hashes in a row a key may stand under: two keys in a
// million share one, and the second takes the next.
const tries = 2

// lookup returns the slot of the key, or nil.
func (s *shard[V]) lookup(p *packed, h uint32) *slot[V] {
	for i := range uint32(tries) {
		if n, ok := s.index[h+i]; ok {
			if e := s.at(n); e.key == *p {
				return e
			}
		}
	}
	return nil
}

// enter returns a slot for a new key of that hash: under the first free hash,
// or in the place of the last one tried.
func (s *shard[V]) enter(h uint32) *slot[V] {
	for range tries - 1 {
		if _, taken := s.index[h]; !taken {
			break
		}
		h++
	}
	if n, taken := s.index[h]; taken {
		return s.at(n)
	}
	n := s.vacant()
	s.index[h] = n
	s.push(&s.probation, n)
	e := s.at(n)
	e.hash = h
	return e
}

// size returns how many keys are remembered, and how many were pushed out.
func (c *cache[V]) size() (keys int, evicted uint64) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.RLock()
		keys += len(s.index)
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

func (s *shard[V]) at(n uint32) *slot[V] { return &s.slab[n/chunk][n%chunk] }

// vacant returns a slot that holds nothing and is in no queue.
func (s *shard[V]) vacant() uint32 {
	for len(s.index) >= s.room {
		s.evict()
	}
	if s.free.n == 0 {
		s.slab = append(s.slab, new([chunk]slot[V]))
		for i := range uint32(chunk) {
			s.push(&s.free, uint32(len(s.slab)-1)*chunk+i)
		}
	}
	return s.pop(&s.free)
}

// evict makes one step toward room for one more: it drops a key or moves one
// between queues. Each move clears asked, so it ends.
func (s *shard[V]) evict() {
	from := &s.kept
	if s.probation.n > s.room/10 {
		from = &s.probation
	}
	n := s.pop(from)
	e := s.at(n)
	if e.asked.Swap(false) {
		s.push(&s.kept, n)
		return
	}
	var none V
	e.value = none
	delete(s.index, e.hash)
	s.push(&s.free, n)
	s.evicted++
}

// A queue of slots, first in first out.
type queue struct {
	first, last uint32 // mean something when n > 0
	n           int
}

func (s *shard[V]) push(q *queue, n uint32) {
	if q.n == 0 {
		q.first = n
	} else {
		s.at(q.last).next = n
	}
	q.last = n
	q.n++
}

func (s *shard[V]) pop(q *queue) uint32 {
	n := q.first
	q.first = s.at(n).next
	q.n--
	return n
}

// packed is a roc.Key without pointers: each text behind its length, then the
// service and the version. Two keys never pack alike.
type packed [40]byte

// pack returns the key packed, and false when a field of it is longer than the
// profile allows: such a key is never remembered.
func pack(k *roc.Key) (p packed, ok bool) {
	n := 0
	for _, s := range [...]string{string(k.AMC), string(k.Convention), string(k.CSR), string(k.Domaine)} {
		if n+1+len(s) > len(p)-2 {
			return p, false
		}
		p[n] = byte(len(s))
		n += 1 + copy(p[n+1:], s)
	}
	p[len(p)-2], p[len(p)-1] = byte(k.Service), byte(k.Version)
	return p, true
}
