package egress

import (
	"context"
	"net"
	"net/netip"
	"syscall"
)

// DialOwn connects to a listener of this process. bound is told the address from
// which it connects before the listener can see it. It passes no filter: the
// address is our own, and the connection leaves no machine.
func DialOwn(ctx context.Context, listener *net.TCPAddr, bound func(netip.AddrPort)) (net.Conn, error) {
	to := reachable(listener)
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) (err error) {
		control := c.Control(func(fd uintptr) {
			var from netip.AddrPort
			if from, err = bind(int(fd), to.IP); err == nil {
				bound(from)
			}
		})
		if err == nil {
			err = control
		}
		return err
	}}
	return d.DialContext(ctx, "tcp", to.String())
}

// reachable is where this machine reaches a listener.
func reachable(a *net.TCPAddr) *net.TCPAddr {
	if !a.IP.IsUnspecified() {
		return a
	}
	if a.IP.To4() != nil {
		return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: a.Port}
	}
	return &net.TCPAddr{IP: net.IPv6loopback, Port: a.Port}
}

// bind gives the socket the address from which it will connect, so that
// it is known before the listener sees it.
func bind(fd int, ip net.IP) (netip.AddrPort, error) {
	var err error
	if v4 := ip.To4(); v4 != nil {
		err = syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte(v4)})
	} else {
		err = syscall.Bind(fd, &syscall.SockaddrInet6{Addr: [16]byte(ip.To16())})
	}
	if err != nil {
		return netip.AddrPort{}, err
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		return netip.AddrPort{}, err
	}
	switch n := name.(type) {
	case *syscall.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(n.Addr), uint16(n.Port)), nil
	case *syscall.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(n.Addr).Unmap(), uint16(n.Port)), nil
	}
	return netip.AddrPort{}, syscall.EAFNOSUPPORT
}
