package roc

import "net/netip"

// PeerNetwork is what one peer has for itself, by which strangers are counted: an
// IPv4 address, or an IPv6 /64. Of no address it is no network.
func PeerNetwork(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	p, _ := a.Prefix(min(a.BitLen(), 64))
	return p
}
