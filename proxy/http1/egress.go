package http1

import (
	"errors"
	"net/netip"
	"syscall"
)

var errForbiddenAddress = errors.New("address not allowed")

// guard refuses to dial an address that no insurer has: loopback, private,
// link-local (cloud metadata with it), multicast, unspecified, shared or
// reserved, unless the configuration allows its network. It runs after the
// name is resolved, on the address of the socket: a name that changes its mind
// between a check and a dial gains nothing. It fails closed.
func (s *Upstream) guard(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return errForbiddenAddress
	}
	ip := ap.Addr().Unmap().WithZone("")
	for _, n := range s.o.AllowedNetworks {
		if n.Contains(ip) {
			return nil
		}
	}
	if !isPublic(ip) {
		return errForbiddenAddress
	}
	return nil
}

// notPublic is what net/netip has no word for (IANA special-purpose registries).
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"), // shared, RFC 6598
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), // documentation
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b::/96"), // NAT64: an IPv4 address inside
	netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("100::/64"),
	netip.MustParsePrefix("2001::/23"),
	netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"), // 6to4: an IPv4 address inside
	netip.MustParsePrefix("fec0::/10"),
}

func isPublic(ip netip.Addr) bool {
	if !ip.IsGlobalUnicast() || ip.IsPrivate() {
		return false
	}
	for _, n := range notPublic {
		if n.Contains(ip) {
			return false
		}
	}
	return true
}
