// Package relay stands between a program under test and what it depends on: a
// TCP relay whose line a test breaks and mends while it runs.
package relay

import (
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A Fault is what is wrong with the line.
type Fault string

// The faults. None is a sound line.
const (
	None      Fault = ""
	Down      Fault = "down"       // connections are refused, and those that are open are reset
	Slow      Fault = "slow"       // each piece that comes back waits before it goes on (SlowBy)
	Half      Fault = "half"       // of what comes back on a connection, so many bytes go on (CutAfter), then it ends
	Reset     Fault = "reset"      // a connection is accepted, and reset when something comes back
	BlackHole Fault = "black hole" // a connection is accepted and nothing passes, in either direction
)

// A Relay listens on a port of the loopback that is its own until the end of the
// test, Down included.
type Relay struct {
	t     testing.TB
	addr  string
	hold  int // a socket that is bound to the port and never listens
	serve sync.WaitGroup

	mu   sync.Mutex // guards what follows
	to   string
	line line
	ln   net.Listener // nil: Down
	open map[*net.TCPConn]bool
	came int
}

// A line is how the relay carries now.
type line struct {
	fault   Fault
	delay   time.Duration
	part    int
	changed chan struct{} // closed at the next change of fault
}

// New starts a relay; it forwards once To has said where.
func New(t testing.TB) *Relay {
	t.Helper()
	r := &Relay{t: t, line: line{delay: 100 * time.Millisecond, part: 200, changed: make(chan struct{})}, open: map[*net.TCPConn]bool{}}
	var err error
	if r.hold, r.addr, err = holdPort(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.close)
	r.Set(None)
	return r
}

// holdPort binds a free port for good: whoever else asks for a free one gets
// another, and with SO_REUSEADDR one listener may come and go.
func holdPort() (fd int, addr string, err error) {
	if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return 0, "", err
	}
	if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err == nil {
		err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
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
	return fd, (&net.TCPAddr{IP: in.Addr[:], Port: in.Port}).String(), nil
}

// Addr is where it listens.
func (r *Relay) Addr() string { return r.addr }

// Port is that of Addr.
func (r *Relay) Port() string {
	_, port, _ := net.SplitHostPort(r.addr)
	return port
}

// To has connections go there from now on.
func (r *Relay) To(addr string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.to = addr
}

// SlowBy is how long Slow delays each piece that comes back.
func (r *Relay) SlowBy(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.line.delay = d
}

// CutAfter is how many bytes come back before Half cuts.
func (r *Relay) CutAfter(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.line.part = n
}

// Came is how many connections were accepted.
func (r *Relay) Came() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.came
}

// Set breaks the line, or mends it. What is open has the new fault too; only
// None, after another fault, ends what is open: a line that broke does not go on
// where it was.
func (r *Relay) Set(f Fault) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if f == None && r.line.fault != None || f == Down {
		for c := range r.open {
			c.SetLinger(0)
			c.Close()
		}
	}
	r.line.fault = f
	close(r.line.changed)
	r.line.changed = make(chan struct{})
	switch {
	case f == Down && r.ln != nil:
		r.ln.Close()
		r.ln = nil
	case f != Down && r.ln == nil:
		ln, err := net.Listen("tcp", r.addr)
		if err != nil {
			r.t.Errorf("the relay does not listen again: %v", err)
			return
		}
		r.ln = ln
		r.serve.Go(func() { r.accept(ln) })
	}
}

func (r *Relay) close() {
	r.Set(Down)
	r.serve.Wait()
	unix.Close(r.hold)
}

func (r *Relay) accept(ln net.Listener) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		r.serve.Go(func() { r.carry(c.(*net.TCPConn)) })
	}
}

// take notes a connection that is to end with the line; false: it has ended.
func (r *Relay) take(c *net.TCPConn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ln == nil {
		c.SetLinger(0)
		c.Close()
		return false
	}
	r.open[c] = true
	return true
}

func (r *Relay) drop(c *net.TCPConn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, c)
	c.Close()
}

// sound is how the relay carries, once it is no black hole.
func (r *Relay) sound() line {
	for {
		r.mu.Lock()
		l := r.line
		r.mu.Unlock()
		if l.fault != BlackHole {
			return l
		}
		<-l.changed
	}
}

// carry relays one connection until one side ends.
func (r *Relay) carry(near *net.TCPConn) {
	if !r.take(near) {
		return
	}
	defer r.drop(near)
	r.mu.Lock()
	r.came++
	to := r.to
	r.mu.Unlock()
	c, err := net.Dial("tcp", to)
	if err != nil {
		near.SetLinger(0)
		return
	}
	far := c.(*net.TCPConn)
	if !r.take(far) {
		return
	}
	defer r.drop(far)
	var there sync.WaitGroup
	there.Go(func() {
		r.pass(far, near, func(b []byte, _ line) (on []byte, more bool) { return b, true })
		far.CloseWrite()
	})
	var of line
	back := 0 // since the line is as it is
	r.pass(near, far, func(b []byte, l line) (on []byte, more bool) {
		if l.changed != of.changed {
			of, back = l, 0
		}
		back += len(b)
		switch l.fault {
		case Slow:
			time.Sleep(l.delay) // the line is slow: nothing is awaited
		case Reset:
			near.SetLinger(0)
			return nil, false
		case Half:
			if over := back - l.part; over > 0 {
				return b[:max(0, len(b)-over)], false
			}
		}
		return b, true
	})
	near.Close()
	far.Close()
	there.Wait()
}

// pass moves what comes from one side to the other, piece by piece, as what says:
// the part of it that goes on, and whether the connection does.
func (r *Relay) pass(to, from *net.TCPConn, what func(b []byte, l line) (on []byte, more bool)) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			on, more := what(buffer[:n], r.sound())
			if _, err := to.Write(on); err != nil || !more {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
