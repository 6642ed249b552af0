// Package redistest runs real Redis servers for a test: one, a master and its
// replicas behind Sentinels, or a Cluster. What it needs is Debian's packages
// redis-server and redis-tools; a test fails where they are missing.
package redistest

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/await"
)

// A Server is a redis-server on the loopback that keeps nothing.
type Server struct {
	t    testing.TB
	dir  string
	port string
	args []string
	cmd  *exec.Cmd
	auth string // of Cli
}

// Start runs a redis-server on a free port, and waits until it answers. The end
// of the test ends it.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	s := &Server{t: t, dir: t.TempDir(), port: freePort(t), args: args}
	t.Cleanup(s.Stop)
	s.Restart()
	return s
}

// freePort returns a port that is free, and that of a Cluster's bus with it.
func freePort(t testing.TB) string {
	t.Helper()
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		bus, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port+10_000))
		l.Close()
		if err == nil {
			bus.Close()
			return fmt.Sprint(port)
		}
	}
}

// Addr is where it listens.
func (s *Server) Addr() string { return "127.0.0.1:" + s.port }

// URL is Addr, as a URL.
func (s *Server) URL() string { return "redis://" + s.Addr() }

// Restart runs it, on its port, empty.
func (s *Server) Restart() {
	s.t.Helper()
	s.Stop()
	s.run(append([]string{"--port", s.port, "--bind", "127.0.0.1", "--dir", s.dir, "--save", "", "--appendonly", "no", "--logfile", "redis.log"}, s.args...)...)
}

func (s *Server) run(args ...string) {
	s.t.Helper()
	s.cmd = exec.Command("redis-server", args...)
	if err := s.cmd.Start(); err != nil {
		s.t.Fatalf("redis-server: %v: run `make deps` (Debian package redis-server)", err)
	}
	await.Until(s.t, "redis-server answers on "+s.port, func() bool { return answers(s.Addr()) })
}

// answers says PING and waits for an answer: one that asks for a password or
// that loads is there too.
func answers(addr string) bool {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Second))
	fmt.Fprint(c, "PING\r\n")
	line, err := bufio.NewReader(c).ReadString('\n')
	return err == nil && strings.ContainsAny(line[:1], "+-")
}

// Stop kills it. It may be called twice.
func (s *Server) Stop() {
	if s.cmd != nil && s.cmd.Process != nil {
		s.cmd.Process.Kill()
		s.cmd.Wait()
	}
	s.cmd = nil
}

// Hang stops it without a word: it neither answers nor refuses, until Resume.
func (s *Server) Hang() { s.cmd.Process.Signal(syscall.SIGSTOP) }

// Resume ends Hang.
func (s *Server) Resume() { s.cmd.Process.Signal(syscall.SIGCONT) }

// WithPassword has Cli log in.
func (s *Server) WithPassword(password string) *Server {
	s.auth = password
	return s
}

// Cli asks it something by redis-cli.
func (s *Server) Cli(args ...string) string {
	s.t.Helper()
	out, err := s.try(args...)
	if err != nil {
		s.t.Fatalf("redis-cli %v: %v: %s", args, err, out)
	}
	return out
}

// Is reports whether it has that role now, "master" or "slave". A change of
// roles ends connections: then it has none yet.
func (s *Server) Is(role string) bool {
	out, err := s.try("role")
	return err == nil && strings.Contains(out, role)
}

func (s *Server) try(args ...string) (string, error) {
	cmd := exec.Command("redis-cli", append([]string{"-p", s.port}, args...)...)
	if s.auth != "" {
		cmd.Env = append(os.Environ(), "REDISCLI_AUTH="+s.auth)
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// Replica runs a replica of s, and waits until it follows.
func (s *Server) Replica(args ...string) *Server {
	s.t.Helper()
	r := Start(s.t, append([]string{"--replicaof", "127.0.0.1", s.port}, args...)...).WithPassword(s.auth)
	await.Until(s.t, "the replica follows", func() bool { return strings.Contains(r.Cli("info", "replication"), "master_link_status:up") })
	return r
}

// Sentinels runs n Sentinels that watch a master under that name and call it
// down after 500 ms of silence, and waits until they know one another and the
// replica. The password is that which they ask for; "": none.
func Sentinels(t testing.TB, n int, name string, master, replica *Server, password string) []*Server {
	t.Helper()
	var all []*Server
	for range n {
		s := &Server{t: t, dir: t.TempDir(), port: freePort(t), auth: password}
		t.Cleanup(s.Stop)
		text := fmt.Sprintf("port %s\nbind 127.0.0.1\ndir %s\nlogfile sentinel.log\nsentinel monitor %s 127.0.0.1 %s 1\nsentinel down-after-milliseconds %s 500\nsentinel failover-timeout %s 3000\n",
			s.port, s.dir, name, master.port, name, name)
		if master.auth != "" {
			text += fmt.Sprintf("sentinel auth-pass %s %s\n", name, master.auth)
		}
		if password != "" {
			text += "requirepass " + password + "\n"
		}
		file := filepath.Join(s.dir, "sentinel.conf")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s.run(file, "--sentinel")
		all = append(all, s)
	}
	for i, s := range all {
		await.Until(t, "the Sentinel knows the replica and the others", func() bool {
			if !strings.Contains(s.Cli("sentinel", "replicas", name), replica.port) {
				return false
			}
			others := s.Cli("sentinel", "sentinels", name)
			for j, o := range all {
				if i != j && !strings.Contains(others, o.port) {
					return false
				}
			}
			return true
		})
	}
	return all
}

// Cluster runs a Cluster of three masters, and waits until it is whole.
func Cluster(t testing.TB) []*Server {
	t.Helper()
	create := []string{"--cluster-yes", "--cluster", "create"}
	var nodes []*Server
	for range 3 {
		n := Start(t, "--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-config-file", "nodes.conf")
		nodes, create = append(nodes, n), append(create, n.Addr())
	}
	out, err := exec.Command("redis-cli", create...).CombinedOutput()
	if err != nil {
		t.Fatalf("redis-cli: %v: %s", err, out)
	}
	await.Until(t, "the Cluster is whole", func() bool { return Whole(nodes) })
	return nodes
}

// Whole reports whether every node of a Cluster says that all slots are served.
func Whole(nodes []*Server) bool {
	for _, n := range nodes {
		if out, err := n.try("cluster", "info"); err != nil || !strings.Contains(out, "cluster_state:ok") {
			return false
		}
	}
	return true
}

// URLs are those of servers.
func URLs(servers []*Server) []string {
	var urls []string
	for _, s := range servers {
		urls = append(urls, s.URL())
	}
	return urls
}
