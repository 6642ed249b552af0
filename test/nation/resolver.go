package nation

import (
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"testing"
)

// A Resolver is a DNS server that says, for every name, what a test last told
// it to: addresses of IPv4.
type Resolver struct {
	conn net.PacketConn
	mu   sync.Mutex
	says []netip.Addr
}

// NewResolver runs a DNS server until the end of the test; RPN knows it by the
// setting network.resolver.
func NewResolver(t testing.TB, says ...string) *Resolver {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &Resolver{conn: conn}
	r.Flip(says...)
	var over sync.WaitGroup
	over.Go(r.serve)
	t.Cleanup(func() { conn.Close(); over.Wait() })
	return r
}

// Addr is where it answers, by UDP.
func (r *Resolver) Addr() string { return r.conn.LocalAddr().String() }

// Flip changes what it says from the next question on.
func (r *Resolver) Flip(says ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.says = nil
	for _, s := range says {
		r.says = append(r.says, netip.MustParseAddr(s))
	}
}

func (r *Resolver) serve() {
	b := make([]byte, 1500)
	for {
		n, from, err := r.conn.ReadFrom(b)
		if err != nil {
			return
		}
		if answer := r.answer(b[:n]); answer != nil {
			r.conn.WriteTo(answer, from)
		}
	}
}

// answer answers a question (RFC 1035 section 4.1): the addresses to an A, none
// to anything else.
func (r *Resolver) answer(q []byte) []byte {
	end := 12
	for end < len(q) && q[end] != 0 {
		end += 1 + int(q[end])
	}
	end += 5 // the root label, the type, the class
	if end > len(q) {
		return nil
	}
	a := append([]byte(nil), q[:end]...)
	binary.BigEndian.PutUint16(a[2:], 0x8580) // an answer, authoritative
	copy(a[4:12], []byte{0, 1, 0, 0, 0, 0, 0, 0})
	if binary.BigEndian.Uint16(q[end-4:]) != 1 { // A
		return a
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	a[7] = byte(len(r.says))
	for _, ip := range r.says {
		a = append(a, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4) // the name asked, A, IN, no life, four bytes
		a = append(a, ip.AsSlice()...)
	}
	return a
}
