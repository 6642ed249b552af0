package annuaire

import (
	"fmt"
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
// little: one line of the index, four bytes a place, then one slot, which holds
// the key, packed, beside its value. A slot of a Directory is one cache line.
type cache[V any] struct {
	seed   maphash.Seed
	shards []shard[V] // a power of two
}

type shard[V any] struct {
	mu        sync.RWMutex      // guards all below but found
	index     index             // from half the hash of a key to its slot
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
const chunk = 512

// A slot of a Directory has 64 bytes: TestASlotIsOneCacheLine.
type slot[V any] struct {
	key   packed
	value V
	next  uint32      // in its queue
	asked atomic.Bool // since it entered its queue
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
		c.shards[i].room = min(max(1, (keys+n-1)/n), slotMask-1)
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
func (c *cache[V]) get(k *roc.Key) (v V, ok bool) {
	var p packed
	if !p.pack(k) {
		return v, false
	}
	s, h := c.shardOf(&p)
	s.mu.RLock()
	e := s.lookup(&p, h)
	if e == nil {
		s.mu.RUnlock()
		return v, false
	}
	v = e.value
	if !e.asked.Load() {
		e.asked.Store(true)
	}
	s.mu.RUnlock()
	s.found.Add(1)
	return v, true
}

// put stores the value of the key, in the place of its former one.
func (c *cache[V]) put(k *roc.Key, v V) {
	var p packed
	if !p.pack(k) {
		return
	}
	s, h := c.shardOf(&p)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.lookup(&p, h)
	if e == nil {
		n := s.vacant(c)
		s.grow(c)
		s.index.place(h, n)
		s.push(&s.probation, n)
		e = s.at(n)
		e.key = p
	}
	e.value = v
}

// change calls f on the value of the key, when there is one. It counts as no
// use of the key.
func (c *cache[V]) change(k *roc.Key, f func(*V)) {
	var p packed
	if !p.pack(k) {
		return
	}
	s, h := c.shardOf(&p)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.lookup(&p, h); e != nil {
		f(&e.value)
	}
}

// each calls f on every value, shard by shard.
func (c *cache[V]) each(f func(*V)) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		for _, entry := range s.index.table {
			if entry != 0 {
				f(&s.at(entry&slotMask - 1).value)
			}
		}
		s.mu.Unlock()
	}
}

// lookup returns the slot of the key, or nil.
func (s *shard[V]) lookup(p *packed, h uint32) *slot[V] {
	t := s.index.table
	if len(t) == 0 {
		return nil
	}
	mask := uint32(len(t) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		entry := t[i]
		if entry == 0 {
			return nil
		}
		if (entry^h)&^slotMask == 0 {
			if e := s.at(entry&slotMask - 1); e.key == *p {
				return e
			}
		}
	}
}

// size returns how many keys are remembered, and how many were pushed out.
func (c *cache[V]) size() (keys int, evicted uint64) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.RLock()
		keys += s.index.n
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
func (s *shard[V]) vacant(c *cache[V]) uint32 {
	for s.index.n >= s.room {
		s.evict(c)
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
func (s *shard[V]) evict(c *cache[V]) {
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
	s.remove(c, n)
	var none V
	e.value = none
	s.push(&s.free, n)
	s.evicted++
}

// An index finds a slot by a hash: open addressing, linear probing, so that
// what is looked at lies together. A place holds the first eight bits of the
// hash and the slot's number plus one; 0 is an empty place.
type index struct {
	table []uint32 // a power of two, never full
	n     int
}

const slotMask = 1<<24 - 1

// place puts a slot at the first empty place from its home on.
func (x *index) place(h, slot uint32) {
	mask := uint32(len(x.table) - 1)
	i := h & mask
	for x.table[i] != 0 {
		i = (i + 1) & mask
	}
	x.table[i] = h&^slotMask | (slot + 1)
	x.n++
}

// grow makes room in the index for one more.
func (s *shard[V]) grow(c *cache[V]) {
	x := &s.index
	if 4*(x.n+1) <= 3*len(x.table) {
		return
	}
	old := x.table
	x.table, x.n = make([]uint32, max(16, 2*len(old))), 0
	for _, entry := range old {
		if entry != 0 {
			x.place(s.hashAt(c, entry), entry&slotMask-1)
		}
	}
}

// hashAt is the hash of the key of an entry of the index.
func (s *shard[V]) hashAt(c *cache[V], entry uint32) uint32 {
	_, h := c.shardOf(&s.at(entry&slotMask - 1).key)
	return h
}

// remove takes a slot out of the index, and moves back the entries that stood
// after it because its place was taken.
func (s *shard[V]) remove(c *cache[V], slot uint32) {
	t := s.index.table
	mask := uint32(len(t) - 1)
	_, h := c.shardOf(&s.at(slot).key)
	i := h & mask
	for t[i]&slotMask != slot+1 {
		i = (i + 1) & mask
	}
	for j := (i + 1) & mask; t[j] != 0; j = (j + 1) & mask {
		home := s.hashAt(c, t[j]) & mask
		if (j-home)&mask >= (j-i)&mask { // its home is not after i: it may stand there
			t[i] = t[j]
			i = j
		}
	}
	t[i] = 0
	s.index.n--
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

// packed is a roc.Key without pointers, in 32 bytes: the AMC as a number (5),
// the convention (2), the lengths of CSR and convention (1), the CSR (15), the
// domaine behind its length (7), the service and the version. Two keys never
// pack alike.
type packed [32]byte

// pack packs the key, and returns false when it is not one of profile section
// 4: such a key is never remembered.
func (p *packed) pack(k *roc.Key) bool {
	if len(k.AMC) != 10 || len(k.Convention) > 2 || len(k.CSR) > 15 || len(k.Domaine) > 6 {
		return false
	}
	var n uint64
	for i := range 10 {
		d := k.AMC[i] - '0'
		if d > 9 {
			return false
		}
		n = 10*n + uint64(d)
	}
	p[0], p[1], p[2], p[3], p[4] = byte(n>>32), byte(n>>24), byte(n>>16), byte(n>>8), byte(n)
	copy(p[5:7], k.Convention)
	p[7] = byte(len(k.CSR)) | byte(len(k.Convention))<<4
	copy(p[8:23], k.CSR)
	p[23] = byte(len(k.Domaine))
	copy(p[24:30], k.Domaine)
	p[30], p[31] = byte(k.Service), byte(k.Version)
	return true
}

// unpack is the key that p packs.
func (p *packed) unpack() (roc.Key, bool) {
	n := uint64(p[0])<<32 | uint64(p[1])<<24 | uint64(p[2])<<16 | uint64(p[3])<<8 | uint64(p[4])
	convention, csr, domaine := int(p[7]>>4), int(p[7]&15), int(p[23])
	if convention > 2 || domaine > 6 {
		return roc.Key{}, false
	}
	k := roc.Key{
		AMC: roc.NumeroAMC(fmt.Sprintf("%010d", n)), Convention: roc.Convention(p[5 : 5+convention]), CSR: roc.CSR(p[8 : 8+csr]),
		Domaine: roc.Domaine(p[24 : 24+domaine]), Service: roc.Service(p[30]), Version: roc.Version(p[31]),
	}
	var again packed
	return k, again.pack(&k) && again == *p
}
