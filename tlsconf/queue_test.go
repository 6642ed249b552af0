package tlsconf

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"
)

// A peer is a connection that comes from an address and does nothing.
type peer struct {
	net.Conn
	address string
}

func (p peer) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(p.address), 443))
}

func (p peer) Close() error { return nil }

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func from(address string) *pending {
	c := peer{address: address}
	return &pending{Conn: c, peer: c.RemoteAddr()}
}

// stuck enters n peers of each address, which say hello and then nothing.
func stuck(q *handshakeQueue, n int, addresses ...string) (inside []*pending) {
	for range n {
		for _, a := range addresses {
			p := from(a)
			if _, ok := q.enter(p, false, noon); ok {
				q.speaks(p)
				inside = append(inside, p)
			}
		}
	}
	return inside
}

func addresses(n int, form string) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprintf(form, i/250+1, i%250+1))
	}
	return list
}

func TestOneAddressHasItsShareOfTheHandshakes(t *testing.T) {
	t.Parallel()
	for _, many := range [][]string{{"192.0.2.1"}, {"2001:db8::1", "2001:db8::ffff", "2001:db8:0:0:aaaa::2"}} { // one /64
		q := newHandshakeQueue(1024, 128)
		stuck(q, 2000, many...)
		if q.count != 128 {
			t.Errorf("%v have %d of 1024 handshakes under way, want 128", many, q.count)
		}
		if leaves, ok := q.enter(from("198.51.100.1"), false, noon); leaves != nil || !ok {
			t.Errorf("another comes: %v, puts out %v", ok, leaves)
		}
	}
}

// A finished ClientHello protects nobody: the oldest one that keeps us waiting
// makes room.
func TestTheOldestUnfinishedMakesRoom(t *testing.T) {
	t.Parallel()
	q := newHandshakeQueue(64, 8)
	inside := stuck(q, 8, addresses(6, "10.0.%d.%d")...) // all but the kept quarter
	if q.count != 48 {
		t.Fatalf("%d under way", q.count)
	}
	inside[0].ours.Store(true) // it waits for our computing
	for i := range 20 {
		p := from(fmt.Sprintf("198.51.100.%d", i+1))
		leaves, ok := q.enter(p, false, noon)
		if want := inside[i+1]; !ok || leaves != want {
			t.Fatalf("newcomer %d: %v, puts out another than the oldest", i, ok)
		}
		q.speaks(p)
	}
	silent := from("203.0.113.1")
	q.enter(silent, false, noon)
	if leaves, _ := q.enter(from("203.0.113.2"), false, noon); leaves == silent {
		t.Error("among those that are stuck after their hello, one that just came was put out")
	}
	for range 40 {
		q.enter(from("203.0.113.3"), false, noon)
		q.enter(from("203.0.113.4"), false, noon)
		q.enter(from("203.0.113.5"), false, noon)
		q.enter(from("203.0.113.6"), false, noon)
	}
	spoke := from("203.0.113.7")
	q.enter(spoke, false, noon)
	q.speaks(spoke)
	for i := range 40 {
		if leaves, _ := q.enter(from(fmt.Sprintf("10.0.9.%d", i)), false, noon); leaves == spoke {
			t.Error("among those that say nothing, one that spoke was put out")
		}
	}
	if q.count != 48 {
		t.Errorf("%d under way", q.count)
	}
}

// Addresses that were good lately have a part of their own, whatever the others
// do.
func TestKnownAddressesHaveAPartOfTheirOwn(t *testing.T) {
	t.Parallel()
	q := newHandshakeQueue(64, 8)
	chu := from("192.0.2.1")
	q.enter(chu, false, noon)
	q.leave(chu, true, noon)
	strangers := stuck(q, 2000, addresses(100, "10.0.%d.%d")...)
	for _, p := range strangers {
		p.ours.Store(true) // none of them can be put out
	}
	if q.count != 48 {
		t.Fatalf("strangers have %d of 64", q.count)
	}
	if _, ok := q.enter(from("10.0.9.9"), false, noon); ok {
		t.Error("one more stranger came in")
	}
	for i := range 8 {
		if leaves, ok := q.enter(from("192.0.2.1"), false, noon.Add(time.Hour)); leaves != nil || !ok {
			t.Errorf("handshake %d of a known address: %v", i, ok)
		}
	}
	if _, ok := q.enter(from("192.0.2.1"), false, noon.Add(48*time.Hour)); !ok {
		t.Error("beyond its share, a known address does not take the place of its own oldest")
	}
}

func TestTheQueueForgetsWhoLeft(t *testing.T) {
	t.Parallel()
	q := newHandshakeQueue(64, 8)
	var all []*pending
	for i := range 3 * mostKnownAddresses {
		p := from(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}).String())
		q.enter(p, false, noon)
		all = append(all, p)
	}
	for _, p := range all {
		q.leave(p, true, noon)
		q.leave(p, true, noon) // put out or not, twice changes nothing
	}
	if q.count != 0 || q.unknown != 0 || len(q.of) != 0 || len(q.good.by) > mostKnownAddresses || len(q.good.by) != q.good.order.Len() {
		t.Errorf("%d under way, %d addresses, %d known", q.count, len(q.of), len(q.good.by))
	}
}
