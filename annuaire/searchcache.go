package annuaire

import (
	"container/list"
	"sync"

	"github.com/piano-roc/rpn/internal/roc"
)

// A searchCache remembers the answers to searches, in a bounded number of
// bytes. Each answer is kept on account of the establishment that asked first.
// When there is no room, the establishment that takes most of it loses the
// answer that it has not asked for the longest time: who asks about everything
// pushes out its own answers, and nobody else's.
type searchCache struct {
	most int // bytes

	mu    sync.Mutex // guards all below
	by    map[[32]byte]*list.Element
	owner map[roc.StructureID]*searchOwner
	bytes int
}

// A searchOwner is what one establishment has: its answers, the one asked last
// in front.
type searchOwner struct {
	id    roc.StructureID
	order *list.List
	bytes int
}

type searchEntry struct {
	id     [32]byte
	answer Searched
	owner  *searchOwner
}

// searchOverhead is what an answer takes beside its bytes.
const searchOverhead = 512

func newSearchCache(most int) *searchCache {
	return &searchCache{most: most, by: map[[32]byte]*list.Element{}, owner: map[roc.StructureID]*searchOwner{}}
}

func (c *searchCache) get(id [32]byte) (Searched, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	x := c.by[id]
	if x == nil {
		return Searched{}, false
	}
	e := x.Value.(*searchEntry)
	e.owner.order.MoveToFront(x)
	return e.answer, true
}

// put keeps an answer in the place of the former one, whose account it stays on.
func (c *searchCache) put(who roc.StructureID, id [32]byte, a Searched) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if x := c.by[id]; x != nil {
		who = x.Value.(*searchEntry).owner.id
		c.removeLocked(x)
	}
	o := c.owner[who]
	if o == nil {
		o = &searchOwner{id: who, order: list.New()}
		c.owner[who] = o
	}
	e := &searchEntry{id, a, o}
	c.by[id] = o.order.PushFront(e)
	o.bytes += e.size()
	c.bytes += e.size()
	for c.bytes > c.most {
		c.removeLocked(c.largestLocked().order.Back())
	}
}

func (e *searchEntry) size() int { return e.answer.Body.Len() + searchOverhead }

func (c *searchCache) removeLocked(x *list.Element) {
	e := x.Value.(*searchEntry)
	e.owner.order.Remove(x)
	delete(c.by, e.id)
	e.owner.bytes -= e.size()
	c.bytes -= e.size()
	if e.owner.order.Len() == 0 {
		delete(c.owner, e.owner.id)
	}
}

// largestLocked is the establishment that takes most of the room.
func (c *searchCache) largestLocked() (largest *searchOwner) {
	for _, o := range c.owner {
		if largest == nil || o.bytes > largest.bytes {
			largest = o
		}
	}
	return largest
}

// size returns how many answers are remembered, and their bytes.
func (c *searchCache) size() (answers, bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.by), c.bytes
}
