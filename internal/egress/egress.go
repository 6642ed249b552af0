// Package egress is the only way for a connection to leave: to an insurer, the
// annuaire, a server of revocation lists, an OCSP responder, and any other.
// Most of these addresses are named by somebody else (the annuaire, a
// certificate), who could name an internal address instead: the RPN's own admin
// listener, the metadata service of a cloud, a printer.
//
// A Filter is applied at the dial, to the address of the socket itself: a name
// that resolves differently between a check and a dial gains nothing. It fails
// closed.
package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// ErrForbidden is in every error about an address that may not be dialled.
var ErrForbidden = errors.New("address not allowed")

// A Filter says which addresses may be dialled: public ones, and those of the
// networks that it allows. The zero Filter allows public ones alone. It does
// not change once it is used.
type Filter struct {
	// Allow are networks that may be dialled though they are not public
	// (network.allow). Everywhere is for hosts that the operator wrote down.
	Allow []netip.Prefix

	// Hosts gives the address of a name that DNS is not asked for
	// (network.hosts). The filter applies to it all the same. May be nil.
	Hosts func(host string) (netip.Addr, bool)

	// Names finds the addresses of the other names. Nil: the system's resolver, and
	// nothing is remembered.
	Names *Names
}

// Everywhere is every network: an address written in the configuration was
// chosen by the operator. Even then an address that is not of one single host
// is not dialled.
func Everywhere() []netip.Prefix {
	return []netip.Prefix{netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0)}
}

// Permits reports whether that address may be dialled.
func (f *Filter) Permits(ip netip.Addr) bool {
	ip = Effective(ip)
	if !ip.IsValid() || ip.IsUnspecified() || ip.IsMulticast() || ip == broadcast {
		return false
	}
	for _, n := range f.Allow {
		if n.Contains(ip) {
			return true
		}
	}
	return isPublic(ip)
}

// Effective is the address that a filter checks: the IPv4 address inside an
// IPv6 one, IPv4-mapped (::ffff:0:0/96) or IPv4-compatible (::/96), and no
// zone.
func Effective(ip netip.Addr) netip.Addr {
	ip = ip.Unmap().WithZone("")
	if b := ip.As16(); ip.Is6() && compatible.Contains(ip) && !ip.IsUnspecified() && !ip.IsLoopback() {
		return netip.AddrFrom4([4]byte(b[12:]))
	}
	return ip
}

// Control is a net.Dialer's Control: it refuses to dial what is not permitted.
func (f *Filter) Control(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: no address", ErrForbidden)
	}
	if !f.Permits(ap.Addr()) {
		return fmt.Errorf("%w: %s is not public, and in no network of network.allow", ErrForbidden, Effective(ap.Addr()))
	}
	return nil
}

// DialContext connects to the first address of a host that accepts, where the
// filter permits it.
func (f *Filter) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{Control: f.Control, KeepAlive: 30 * time.Second}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return d.DialContext(ctx, network, addr)
	}
	if f.Names == nil { // the dialer asks the system's resolver
		if a, ok := f.configured(host); ok {
			addr = net.JoinHostPort(a.String(), port)
		}
		return d.DialContext(ctx, network, addr)
	}
	found, err := f.Lookup(ctx, host)
	if err != nil {
		return nil, err
	}
	last := fmt.Errorf("%s has no address", host)
	for i, a := range found.Addresses {
		c, err := dialShare(ctx, &d, network, net.JoinHostPort(a.String(), port), len(found.Addresses)-i)
		if err == nil {
			return c, nil
		}
		if last = err; ctx.Err() != nil {
			break
		}
	}
	return nil, found.Because(last)
}

// dialShare dials one of the addresses that are left, in its share of the time.
func dialShare(ctx context.Context, d *net.Dialer, network, addr string, left int) (net.Conn, error) {
	if end, ok := ctx.Deadline(); ok && left > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(end)/time.Duration(left))
		defer cancel()
	}
	return d.DialContext(ctx, network, addr)
}

// Lookup finds the addresses of a host. Whether each may be dialled is seen
// when it is.
func (f *Filter) Lookup(ctx context.Context, host string) (Found, error) {
	if a, ok := f.configured(host); ok {
		return Found{Addresses: []netip.Addr{a}}, nil
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return Found{Addresses: []netip.Addr{a}}, nil
	}
	if f.Names == nil {
		list, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		return Found{Addresses: list}, err
	}
	return f.Names.lookup(ctx, host)
}

// configured is the address that the configuration gives a host.
func (f *Filter) configured(host string) (netip.Addr, bool) {
	if f.Hosts == nil {
		return netip.Addr{}, false
	}
	return f.Hosts(host)
}

// ResolverAt is a resolver that asks that DNS server, which the operator
// configured; nil, the system's, when there is none.
func ResolverAt(server netip.AddrPort) *net.Resolver {
	if !server.IsValid() {
		return nil
	}
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server.String())
	}}
}

var (
	compatible = netip.MustParsePrefix("::/96")
	broadcast  = netip.AddrFrom4([4]byte{255, 255, 255, 255})
)

// notPublic is what net/netip has no predicate for (IANA special-purpose
// registries).
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"), // shared, RFC 6598
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), // documentation
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("::ffff:0:0:0/96"), // IPv4-translated: an IPv4 address inside
	netip.MustParsePrefix("64:ff9b::/96"),    // NAT64: an IPv4 address inside
	netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("100::/64"),
	netip.MustParsePrefix("2001::/23"),
	netip.MustParsePrefix("2001:db8::/32"), // documentation
	netip.MustParsePrefix("2002::/16"),     // 6to4: an IPv4 address inside
	netip.MustParsePrefix("3fff::/20"),     // documentation
	netip.MustParsePrefix("5f00::/16"),     // segment routing
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
