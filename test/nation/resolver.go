package nation

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A Resolver is a DNS server that says, for every name, what a test last told
// it to: addresses of IPv4.
type Resolver struct {
	t    testing.TB
	addr string
	hold int // a socket that keeps the port, and to which nobody's questions come
	over sync.WaitGroup

	mu    sync.Mutex // guards what follows
	says  []netip.Addr
	fault DNSFault
	conn  net.PacketConn // nil: down
}

// A DNSFault is what is wrong with a Resolver.
type DNSFault string

// The faults.
const (
	DNSAnswers DNSFault = ""
	DNSDown    DNSFault = "down"   // nobody listens: the machine says so (ICMP)
	DNSLate    DNSFault = "late"   // it answers after 300 ms
	DNSHalf    DNSFault = "half"   // its answers are cut in the middle
	DNSFails   DNSFault = "fails"  // it answers that it cannot (SERVFAIL)
	DNSSilent  DNSFault = "silent" // it does not answer
)

// NewResolver runs a DNS server until the end of the test; RPN knows it by the
// setting network.resolver.
func NewResolver(t testing.TB, says ...string) *Resolver {
	t.Helper()
	r := &Resolver{t: t}
	var err error
	if r.hold, r.addr, err = holdUDP(); err != nil {
		t.Fatal(err)
	}
	r.Flip(says...)
	t.Cleanup(func() {
		r.Break(DNSDown)
		r.over.Wait()
		unix.Close(r.hold)
	})
	r.Break(DNSAnswers)
	return r
}

// holdUDP takes a free port of the loopback for good. Its socket is connected to
// an address where nobody is, so that no question comes to it.
func holdUDP() (fd int, addr string, err error) {
	if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return 0, "", err
	}
	if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err == nil {
		err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 9}, Port: 9})
	}
	var at unix.Sockaddr
	if err == nil {
		at, err = unix.Getsockname(fd)
	}
	if err != nil {
		unix.Close(fd)
		return 0, "", err
	}
	in := at.(*unix.SockaddrInet4)
	return fd, netip.AddrPortFrom(netip.AddrFrom4(in.Addr), uint16(in.Port)).String(), nil
}

// Addr is where it answers, by UDP.
func (r *Resolver) Addr() string { return r.addr }

// Break changes how it answers, from the next question on.
func (r *Resolver) Break(f DNSFault) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fault = f
	switch {
	case f == DNSDown && r.conn != nil:
		r.conn.Close()
		r.conn = nil
	case f != DNSDown && r.conn == nil:
		shared := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
			return c.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) })
		}}
		conn, err := shared.ListenPacket(context.Background(), "udp", r.addr)
		if err != nil {
			r.t.Errorf("the resolver does not listen again: %v", err)
			return
		}
		r.conn = conn
		r.over.Go(func() { r.serve(conn) })
	}
}

// Flip changes what it says from the next question on.
func (r *Resolver) Flip(says ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.says = nil
	for _, s := range says {
		r.says = append(r.says, netip.MustParseAddr(s))
	}
}

func (r *Resolver) serve(conn net.PacketConn) {
	b := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFrom(b)
		if err != nil {
			return
		}
		answer := r.answer(b[:n])
		r.mu.Lock()
		fault := r.fault
		r.mu.Unlock()
		switch {
		case answer == nil || fault == DNSSilent:
			continue
		case fault == DNSHalf:
			answer = answer[:len(answer)/2]
		case fault == DNSFails:
			answer[3] |= 2 // SERVFAIL
		case fault == DNSLate:
			r.over.Go(func() {
				time.Sleep(300 * time.Millisecond) // it is late: nothing is awaited
				conn.WriteTo(answer, from)
			})
			continue
		}
		conn.WriteTo(answer, from)
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
