// Package redistest runs a real redis-server for a test.
package redistest

import (
	"bufio"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// Start runs a redis-server on a free port of the loopback, that keeps nothing,
// and returns its address once it answers. stop ends it, as the end of the
// test does; it may be called twice. A missing redis-server fails the test.
func Start(t testing.TB) (addr string, stop func()) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr = ln.Addr().String()
	ln.Close()
	return addr, StartOn(t, Port(addr))
}

// Port is the port of an address that Start returned.
func Port(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}

// StartOn is Start on a port that is known: a server that was stopped comes
// back, empty.
func StartOn(t testing.TB, port string) (stop func()) {
	t.Helper()
	bin, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatal("redis-server is missing: run `make deps` (Debian package redis-server)")
	}
	cmd := exec.Command(bin, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", t.TempDir())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() { cmd.Process.Kill(); cmd.Wait() })
	t.Cleanup(stop)
	for end := time.Now().Add(time.Minute); !answers("127.0.0.1:" + port); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("redis-server does not answer")
		}
	}
	return stop
}

// answers says PING and waits for PONG.
func answers(addr string) bool {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Second))
	fmt.Fprint(c, "PING\r\n")
	line, err := bufio.NewReader(c).ReadString('\n')
	return err == nil && strings.HasPrefix(line, "+PONG")
}
