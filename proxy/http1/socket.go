package http1

import (
	"errors"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// rawConn returns the socket under a connection and its layers, nil when it
// cannot be reached.
func rawConn(c net.Conn) syscall.RawConn {
	for range 8 {
		if s, ok := c.(syscall.Conn); ok {
			rc, err := s.SyscallConn()
			if err != nil {
				return nil
			}
			return rc
		}
		u, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		c = u.NetConn()
	}
	return nil
}

// hasHungUp reports whether the peer has closed its side of the socket. A
// client that half-closes after its request looks the same; no client of ours
// does over TLS.
func hasHungUp(rc syscall.RawConn) bool {
	return polled(rc, unix.POLLRDHUP, unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR)
}

// hasPending reports whether something waits to be read on the socket: bytes,
// an end or an error.
func hasPending(rc syscall.RawConn) bool {
	return polled(rc, unix.POLLIN|unix.POLLRDHUP, unix.POLLIN|unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR)
}

// polled asks the kernel about a socket, without waiting and whatever the
// deadlines of the connection.
func polled(rc syscall.RawConn, ask, want int16) (yes bool) {
	if rc == nil {
		return false
	}
	err := rc.Control(func(fd uintptr) {
		p := []unix.PollFd{{Fd: int32(fd), Events: ask}}
		n, err := unix.Poll(p, 0)
		for err == unix.EINTR {
			n, err = unix.Poll(p, 0)
		}
		yes = err == nil && n > 0 && p[0].Revents&want != 0
	})
	return yes || err != nil
}

// acknowledgeNow sends the acknowledgement that TCP holds back, if any. It lasts
// for what was received until now only, so it is said before each wait.
func acknowledgeNow(rc syscall.RawConn) {
	rc.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1) })
}

func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
