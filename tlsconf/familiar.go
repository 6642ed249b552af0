package tlsconf

import (
	"net"
	"net/netip"
	"sync"
)

// familiar remembers the addresses that accepted peers came from.
//
// crypto/tls checks a client's chain anew at each handshake, two signatures of
// CAs, nearly half of what a handshake costs with an ECDSA certificate of ours;
// judge, which decides, remembers them. What the check of crypto/tls gives
// beside is the precise alert (unknown_ca, certificate_expired), by which a
// peer that is set up wrong is helped. So a stranger gets that check and its
// alert, and a peer from an address where the last one was accepted is judged
// alone. A refusal makes its address a stranger's again, and the next attempt
// gets the alert.
//
// Nobody comes in by an address: judge is the whole rule for both.
type familiar struct {
	mu        sync.Mutex
	addresses map[netip.Addr]struct{}
}

// maxFamiliar is above the establishments of the country; past it the memory
// starts again.
const maxFamiliar = 8192

func (f *familiar) holds(peer net.Addr) bool {
	a, ok := addressOf(peer)
	if !ok {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ok = f.addresses[a]
	return ok
}

func (f *familiar) accepted(peer net.Addr) {
	a, ok := addressOf(peer)
	if !ok {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.addresses == nil || len(f.addresses) >= maxFamiliar {
		f.addresses = map[netip.Addr]struct{}{}
	}
	f.addresses[a] = struct{}{}
}

func (f *familiar) refused(peer net.Addr) {
	a, ok := addressOf(peer)
	if !ok {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.addresses, a)
}

func addressOf(peer net.Addr) (netip.Addr, bool) {
	t, ok := peer.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}, false
	}
	return netip.AddrFromSlice(t.IP)
}
