package annuaire

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"sync"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// What instances tell one another, by Redis, sealed:
//
//	news   what one learned about a key: what is said by its digest, or
//	       "unknown"; and the sequence of its route
//	beat   that it is there, and how many news it has sent
//	hello  that it wants to know the sequences of all routes
//	list   those, to the one who asked: with the nonce of its hello
//
// Each carries its sender, and news and beats the sender's counter. An instance
// ignores its own, and what is not newer than it has heard: a message that is
// played again, or twice, changes nothing. A counter that jumps says that
// something was lost, and a hello has it caught up.
//
// Nothing that is heard makes an instance publish news but a change that it finds
// itself, of an answer that was current. So a change is told once by each who
// finds it, and there is no storm.
const (
	kindNews  = 1
	kindBeat  = 2
	kindHello = 3
	kindList  = 4

	newsPurpose  = "annuaire news 3"
	senderSize   = 8
	newsSize     = 1 + senderSize + 8 + len(packed{}) + digestSize + 8
	beatSize     = 1 + senderSize + 8
	helloSize    = 1 + senderSize + 8
	listHead     = 1 + senderSize + 8 + 8
	listedAtOnce = 2000
	maxTold      = 96 << 10 // bytes of one message, as text
	maxPeers     = 64
)

type sender [senderSize]byte

// A talk is what an instance keeps of what was told.
type talk struct {
	me sender

	mu        sync.Mutex // guards all below
	sent      uint64     // news
	peers     map[sender]*peer
	nonce     uint64 // of our last hello
	greeted   time.Time
	willGreet bool          // once a second has passed since
	answered  time.Time     // when we last sent the list
	caughtUp  chan struct{} // closed by the first list that answers us
	catchUp   func()        // closes it, once
}

// A peer is another instance: how many of its news were heard.
type peer struct {
	counter uint64
	greeted bool // it has sent its list: its news may enter routes
	at      time.Time
}

func (t *talk) init() {
	rand.Read(t.me[:])
	t.peers = map[sender]*peer{}
	t.caughtUp = make(chan struct{})
	t.catchUp = sync.OnceFunc(func() { close(t.caughtUp) })
}

// A newsItem is what an instance learned about a key.
type newsItem struct {
	key  packed
	says digest // zero: unknown
	seq  uint64
}

// publish sends the others a message, sealed: the others need the key itself, and none
// stands in Redis (packed.hidden).
func (s *Shared) publish(ctx context.Context, b []byte) {
	s.o.remote.Publish(ctx, base64.RawStdEncoding.EncodeToString(s.o.Tags.Seal(newsPurpose, b)))
}

func (s *Shared) message(kind byte, number uint64) []byte {
	b := append(make([]byte, 0, 128), kind)
	return binary.BigEndian.AppendUint64(append(b, s.talk.me[:]...), number)
}

// publishNews publishes what was learned.
func (s *Shared) publishNews(ctx context.Context, n newsItem) {
	s.talk.mu.Lock()
	s.talk.sent++
	b := s.message(kindNews, s.talk.sent)
	s.talk.mu.Unlock()
	b = append(append(b, n.key[:]...), n.says[:]...)
	s.publish(ctx, binary.BigEndian.AppendUint64(b, n.seq))
}

// beat says again and again how many news were sent.
func (s *Shared) beat(d *Directory) {
	tick := time.NewTicker(s.o.Beat)
	defer tick.Stop()
	for {
		select {
		case <-d.ctx.Done():
			return
		case <-tick.C:
		}
		s.talk.mu.Lock()
		b := s.message(kindBeat, s.talk.sent)
		s.talk.mu.Unlock()
		s.publish(d.ctx, b)
	}
}

// greet asks the others for what they know: at each opening of the channel, and
// when something was lost.
func (s *Shared) greet(d *Directory) {
	s.talk.mu.Lock()
	var b [8]byte
	rand.Read(b[:])
	s.talk.nonce, s.talk.greeted = binary.BigEndian.Uint64(b[:]), time.Now()
	m := s.message(kindHello, s.talk.nonce)
	s.talk.mu.Unlock()
	d.asks.Go(func() { s.publish(d.ctx, m) })
}

// lost is greet, at most once a second: one that comes too soon waits.
func (s *Shared) lost(d *Directory) {
	s.talk.mu.Lock()
	defer s.talk.mu.Unlock()
	if s.talk.willGreet {
		return
	}
	s.talk.willGreet = true
	wait := time.Until(s.talk.greeted.Add(time.Second))
	d.asks.Go(func() {
		select {
		case <-d.ctx.Done():
			return
		case <-time.After(wait):
		}
		s.talk.mu.Lock()
		s.talk.willGreet = false
		s.talk.mu.Unlock()
		s.greet(d)
	})
}

// hear takes what was published. What does not open with our secrets, or is not
// whole, is no message.
func (s *Shared) hear(d *Directory, text string) {
	if len(text) > maxTold {
		return
	}
	sealed, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return
	}
	b, err := s.o.Tags.Open(newsPurpose, sealed)
	if err != nil || len(b) < beatSize {
		return
	}
	from, number, rest := sender(b[1:]), binary.BigEndian.Uint64(b[1+senderSize:]), b[beatSize:]
	if from == s.talk.me {
		return
	}
	switch {
	case b[0] == kindNews && len(b) == newsSize:
		s.hearNews(d, from, number, newsItem{packed(rest), digest(rest[len(packed{}):]), binary.BigEndian.Uint64(rest[len(packed{})+digestSize:])})
	case b[0] == kindBeat && len(b) == beatSize:
		if known, greeted := s.talk.heard(from); !greeted || number > known {
			s.lost(d)
		}
	case b[0] == kindHello && len(b) == helloSize:
		s.answer(d, number)
	case b[0] == kindList && len(b) >= listHead:
		s.hearList(d, from, number, b[listHead-8:])
	}
}

// heard returns how many news of a peer were heard.
func (t *talk) heard(from sender) (counter uint64, greeted bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.peers[from]; p != nil {
		return p.counter, p.greeted
	}
	return 0, false
}

// peer returns a peer, entering it; the one heard longest ago makes room.
func (t *talk) peer(from sender) *peer {
	p := t.peers[from]
	if p == nil {
		if len(t.peers) >= maxPeers {
			var oldest sender
			for x, q := range t.peers {
				if o := t.peers[oldest]; o == nil || q.at.Before(o.at) {
					oldest = x
				}
			}
			delete(t.peers, oldest)
		}
		p = &peer{}
		t.peers[from] = p
	}
	p.at = time.Now()
	return p
}

// hearNews takes news that is not known yet.
func (s *Shared) hearNews(d *Directory, from sender, number uint64, n newsItem) {
	s.talk.mu.Lock()
	p := s.talk.peer(from)
	if number <= p.counter {
		s.talk.mu.Unlock()
		return // played again, or twice
	}
	missed := !p.greeted || number > p.counter+1
	greeted := p.greeted
	p.counter = number
	s.talk.mu.Unlock()
	if missed {
		s.lost(d)
	}
	if k, ok := n.key.unpack(); ok {
		d.heardNews(k, n, greeted)
	}
}

// answer sends the list of all routes to whoever said hello: at most ten times a
// second, so that a hello that is played again costs little.
func (s *Shared) answer(d *Directory, nonce uint64) {
	s.talk.mu.Lock()
	if time.Since(s.talk.answered) < 100*time.Millisecond {
		s.talk.mu.Unlock()
		return
	}
	s.talk.answered = time.Now()
	sent := s.talk.sent
	s.talk.mu.Unlock()
	d.asks.Go(func() {
		list := d.sequences.list()
		for first := true; first || len(list) > 0; first = false {
			n := min(len(list), listedAtOnce)
			b := binary.BigEndian.AppendUint64(s.message(kindList, nonce), sent)
			for _, v := range list[:n] {
				b = v.append(b)
			}
			list = list[n:]
			s.publish(d.ctx, b)
		}
	})
}

// hearList takes the sequences of another instance, when they answer our last
// hello: the answer to an earlier one is an old list that somebody plays again.
func (s *Shared) hearList(d *Directory, from sender, nonce uint64, b []byte) {
	counter, b := binary.BigEndian.Uint64(b), b[8:]
	if len(b)%versionSize != 0 {
		return
	}
	s.talk.mu.Lock()
	if nonce != s.talk.nonce {
		s.talk.mu.Unlock()
		return
	}
	p := s.talk.peer(from)
	p.counter, p.greeted = max(p.counter, counter), true
	s.talk.mu.Unlock()
	defer s.talk.catchUp()
	for ; len(b) > 0; b = b[versionSize:] {
		if v, ok := readVersion(b); ok {
			if x := d.sequences.enter(v.route, v.seq); x != nil {
				x.raise(v.seq)
			}
		}
	}
}

// patienceForOthers is how long an answer to a hello is waited for.
const patienceForOthers = 250 * time.Millisecond

// settle waits, at the start, until the others have said what they know: not
// long, and not when nobody does.
func (s *Shared) settle(ctx context.Context) {
	s.talk.mu.Lock()
	left := patienceForOthers - time.Since(s.talk.greeted)
	s.talk.mu.Unlock()
	if left <= 0 || left > patienceForOthers {
		return
	}
	wait := time.NewTimer(left)
	defer wait.Stop()
	select {
	case <-s.talk.caughtUp:
	case <-wait.C:
	case <-ctx.Done():
	}
}

// heardNews takes into account what another instance learned about a key.
// greeted: the sender is live, so what it says of a route that nobody here knows
// is not an old word played again.
func (d *Directory) heardNews(k roc.Key, n newsItem, greeted bool) {
	route := d.sequences.get(routeOf(&k))
	if route != nil && n.seq < route.seq.Load() {
		return // of before what is known: it clears nothing either
	}
	if n.says != (digest{}) {
		d.unknown.change(&k, func(until *time.Time) { *until = time.Time{} })
	}
	if route == nil {
		if greeted && n.says != (digest{}) {
			d.sequences.enter(routeOf(&k), n.seq)
		}
		return
	}
	was := route.seq.Load()
	if route.raise(n.seq) {
		d.movedOn(k.AMC, n.seq)
	}
	previous, had := d.peek(&k)
	switch {
	case !had || previous.facts == nil || previous.at == 0:
	case n.says == (digest{}):
		if n.seq > was {
			d.accept(&question{key: k}, outcome{unknown: true, seq: n.seq, from: byInstance})
		}
	case previous.facts.digest() == n.says:
		d.known.change(&k, func(m *memory) {
			if m.facts == previous.facts {
				m.facts = d.same.intern(m.facts.under(route, n.seq))
			}
		})
	default:
		d.known.change(&k, func(m *memory) { m.until, m.retry = 0, 0 })
		d.renew(k)
	}
}
