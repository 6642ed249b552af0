package http1

import (
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A countedSocket counts what is asked of the kernel, and asks nothing.
type countedSocket struct{ asked atomic.Int32 }

func (s *countedSocket) Control(func(uintptr)) error    { s.asked.Add(1); return nil }
func (s *countedSocket) Read(func(uintptr) bool) error  { return nil }
func (s *countedSocket) Write(func(uintptr) bool) error { return nil }

// A body that is already there costs no system call beyond its reading; each
// wait for more of it is preceded by an acknowledgement.
func TestABodyIsAcknowledgedOnlyBeforeAWaitForMoreOfIt(t *testing.T) {
	const length = 6000
	body := strings.Repeat("x", length)
	head := "POST /roc HTTP/1.1\r\nHost: rpn.example\r\nContent-Length: " + strconv.Itoa(length) + "\r\n\r\n"
	for name, c := range map[string]struct {
		writes []string
		asked  int32
	}{
		"all at once":                {[]string{head + body}, 0},
		"head, then body":            {[]string{head, body}, 1},
		"head and start, then rest":  {[]string{head + body[:1000], body[1000:]}, 1},
		"more than the first buffer": {[]string{head + body[:5000], body[5000:]}, 1},
		"in three":                   {[]string{head, body[:3000], body[3000:]}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			near, far := net.Pipe()
			t.Cleanup(func() { near.Close(); far.Close() })
			go func() {
				for _, w := range c.writes {
					far.Write([]byte(w))
				}
			}()
			socket := &countedSocket{}
			conn := &clientConn{Conn: near, socket: socket, server: &Server{o: ServerOptions{
				Now: time.Now, IdleTimeout: time.Minute, HeadTimeout: time.Minute, BodyTimeout: time.Minute,
			}}}
			conn.in = newWire(conn)
			if !conn.next() {
				t.Fatal("the head was not read")
			}
			b, err := conn.readBody(1 << 20)
			if err != nil || string(b) != body {
				t.Fatalf("body of %d bytes, %v", len(b), err)
			}
			if n := socket.asked.Load(); n != c.asked {
				t.Errorf("the kernel was asked %d times, want %d", n, c.asked)
			}
		})
	}
}

// A caller that was just heard is there; once something has made it wait, the
// kernel is asked.
func TestTheKernelIsAskedForACallerThatWaited(t *testing.T) {
	t.Parallel()
	socket := &countedSocket{}
	q := &Request{conn: &clientConn{socket: socket, heard: time.Now().Add(time.Hour)}}
	if q.Gone(); socket.asked.Load() != 0 {
		t.Error("the kernel was asked for a caller that was just heard")
	}
	q.conn.heard = time.Now().Add(-2 * stillHere)
	if q.Gone(); socket.asked.Load() != 1 {
		t.Error("the kernel was not asked for a caller that waited")
	}
}
