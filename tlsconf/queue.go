package tlsconf

import (
	"container/list"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// A handshakeQueue holds the connections whose handshake is under way: so many
// in all, so many of one address, and a part kept for addresses that had a good
// handshake lately. Who comes when there is no room takes the place of the
// oldest that keeps us waiting, of its own address or of those not known: among
// those that have said nothing, or among those whose ClientHello came and no
// more, whichever are more. So a flood of either puts out its own. Who waits for
// us is never put out: being slow is then our fault.
type handshakeQueue struct {
	size  int
	share int // of one address
	kept  int // of size, for addresses known lately

	mu      sync.Mutex // guards what follows
	of      map[netip.Prefix]*sameAddress
	all     [2]*waitingList // by whether the address is known
	count   int
	unknown int // of count
	good    *knownAddresses
}

// sameAddress is those under way from one address.
type sameAddress struct {
	waiting waitingList
	count   int
}

// A waitingList is in order of arrival.
type waitingList struct{ silent, spoken *list.List }

func newWaitingList() waitingList { return waitingList{list.New(), list.New()} }

// oldest is the first that keeps us waiting, of the more numerous, or nil.
func (w waitingList) oldest() *pending {
	lists := [2]*list.List{w.silent, w.spoken}
	if w.spoken.Len() > w.silent.Len() {
		lists = [2]*list.List{w.spoken, w.silent}
	}
	for _, l := range lists {
		for e := l.Front(); e != nil; e = e.Next() {
			if p := e.Value.(*pending); !p.ours.Load() {
				return p
			}
		}
	}
	return nil
}

// A slot is where a pending connection stands in the queue.
type slot struct {
	address         netip.Prefix
	known           bool
	entered, spoken bool
	inAll, inSame   *list.Element
}

func newHandshakeQueue(size, share int) *handshakeQueue {
	q := &handshakeQueue{size: size, share: share, kept: size / 4, of: map[netip.Prefix]*sameAddress{}, good: newKnownAddresses()}
	for i := range q.all {
		w := newWaitingList()
		q.all[i] = &w
	}
	return q
}

// enter lets p in, or reports false: those that would have to leave wait for us.
// It returns who must leave for it, or nil. trusted: it is known whatever came
// before. A connection may enter again once it left, from another address.
func (q *handshakeQueue) enter(p *pending, trusted bool, at time.Time) (leaves *pending, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := &p.slot
	*s = slot{address: addressOf(p.RemoteAddr())}
	s.known = trusted || q.good.has(s.address, at)
	same := q.of[s.address]
	full := q.count >= q.size || !s.known && q.unknown >= q.size-q.kept
	switch {
	case same != nil && same.count >= q.share:
		leaves, full = same.waiting.oldest(), true
	case full:
		if leaves = q.all[0].oldest(); leaves == nil && s.known {
			leaves = q.all[1].oldest()
		}
	}
	if full && leaves == nil {
		return nil, false
	}
	if leaves != nil {
		q.removeLocked(leaves)
	}
	if same = q.of[s.address]; same == nil {
		same = &sameAddress{waiting: newWaitingList()}
		q.of[s.address] = same
	}
	s.entered = true
	s.inAll, s.inSame = q.allOf(s).silent.PushBack(p), same.waiting.silent.PushBack(p)
	same.count++
	q.count++
	if !s.known {
		q.unknown++
	}
	return leaves, true
}

func (q *handshakeQueue) allOf(s *slot) *waitingList {
	if s.known {
		return q.all[1]
	}
	return q.all[0]
}

// speaks takes p from among the silent.
func (q *handshakeQueue) speaks(p *pending) {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := &p.slot
	if !s.entered || s.spoken {
		return
	}
	s.spoken = true
	all, same := q.allOf(s), q.of[s.address].waiting
	all.silent.Remove(s.inAll)
	same.silent.Remove(s.inSame)
	s.inAll, s.inSame = all.spoken.PushBack(p), same.spoken.PushBack(p)
}

// leave is called once for each that entered, pushed out or not. good: its
// handshake ended well.
func (q *handshakeQueue) leave(p *pending, good bool, at time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if good {
		q.good.add(p.slot.address, at)
	}
	q.removeLocked(p)
}

func (q *handshakeQueue) removeLocked(p *pending) {
	s := &p.slot
	if !s.entered {
		return
	}
	s.entered = false
	all, same := q.allOf(s), q.of[s.address]
	if s.spoken {
		all.spoken.Remove(s.inAll)
		same.waiting.spoken.Remove(s.inSame)
	} else {
		all.silent.Remove(s.inAll)
		same.waiting.silent.Remove(s.inSame)
	}
	if same.count--; same.count == 0 {
		delete(q.of, s.address)
	}
	q.count--
	if !s.known {
		q.unknown--
	}
}

// addressOf is what one peer has for itself; zero: not an address of IP.
func addressOf(a net.Addr) netip.Prefix {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	return roc.PeerNetwork(t.AddrPort().Addr())
}

// knownAddresses are those that had a good handshake lately, as many as fit: the
// one seen longest ago is forgotten first.
type knownAddresses struct {
	by    map[netip.Prefix]*list.Element
	order *list.List // of knownAddress, seen longest ago first
}

type knownAddress struct {
	address netip.Prefix
	seen    time.Time
}

const (
	mostKnownAddresses = 16 << 10
	knownFor           = 24 * time.Hour
)

func newKnownAddresses() *knownAddresses {
	return &knownAddresses{by: map[netip.Prefix]*list.Element{}, order: list.New()}
}

func (k *knownAddresses) has(a netip.Prefix, at time.Time) bool {
	e := k.by[a]
	return e != nil && at.Sub(e.Value.(*knownAddress).seen) < knownFor
}

func (k *knownAddresses) add(a netip.Prefix, at time.Time) {
	if e := k.by[a]; e != nil {
		e.Value.(*knownAddress).seen = at
		k.order.MoveToBack(e)
		return
	}
	if k.order.Len() >= mostKnownAddresses {
		delete(k.by, k.order.Remove(k.order.Front()).(*knownAddress).address)
	}
	k.by[a] = k.order.PushBack(&knownAddress{a, at})
}
