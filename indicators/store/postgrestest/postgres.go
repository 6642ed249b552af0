// Package postgrestest starts Debian's PostgreSQL for a test.
package postgrestest

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// A Server is a PostgreSQL of one test.
type Server struct {
	t    testing.TB
	dir  string
	port int
	cred *syscall.Credential // nil: ours
}

// Start starts a server in a folder of its own, on a free port of the loopback;
// it ends with the test.
func Start(t testing.TB) *Server {
	t.Helper()
	dir, err := os.MkdirTemp("", "pg") // the path of a socket may have 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &Server{t: t, dir: dir}
	if os.Getuid() == 0 { // PostgreSQL refuses to run as root
		u, err := user.Lookup("postgres")
		if err != nil {
			t.Fatalf("PostgreSQL does not run as root, and %v: test/deps.sh installs it", err)
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		s.cred = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	s.run("initdb", "-D", filepath.Join(dir, "data"), "-U", "rpn", "--auth", "trust", "--no-sync", "-E", "UTF8", "--locale", "C")
	s.port = freePort(t)
	s.Restart()
	t.Cleanup(func() { s.Stop("immediate") })
	return s
}

// Restart starts the server that was stopped, on its port.
func (s *Server) Restart() {
	s.t.Helper()
	s.run("pg_ctl", "-D", filepath.Join(s.dir, "data"), "-l", filepath.Join(s.dir, "log"), "-w", "-t", "60",
		"-o", fmt.Sprintf("-h 127.0.0.1 -p %d -k %s -c fsync=off", s.port, s.dir), "start")
}

// Stop stops it: "fast", or "immediate", as a crash does.
func (s *Server) Stop(mode string) {
	c := s.command("pg_ctl", "-D", filepath.Join(s.dir, "data"), "-m", mode, "-w", "stop")
	c.Run() // it may be stopped already
}

// Database makes a database and returns its address.
func (s *Server) Database(name string) string {
	s.t.Helper()
	s.run("createdb", "-h", "127.0.0.1", "-p", strconv.Itoa(s.port), "-U", "rpn", name)
	return fmt.Sprintf("postgres://rpn@127.0.0.1:%d/%s?sslmode=disable&connect_timeout=5", s.port, name)
}

func (s *Server) command(name string, args ...string) *exec.Cmd {
	c := exec.Command(program(s.t, name), args...)
	c.Dir = s.dir
	c.SysProcAttr = &syscall.SysProcAttr{Credential: s.cred}
	c.WaitDelay = 10 * time.Second
	return c
}

func (s *Server) run(name string, args ...string) {
	s.t.Helper()
	c := s.command(name, args...)
	var out bytes.Buffer
	if name == "pg_ctl" { // the server inherits what it writes to
		if err := c.Run(); err != nil {
			log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			s.t.Fatalf("%s: %v\n%s", name, err, log)
		}
		return
	}
	c.Stdout, c.Stderr = &out, &out
	if err := c.Run(); err != nil {
		s.t.Fatalf("%s: %v\n%s", name, err, out.Bytes())
	}
}

// program finds a program of PostgreSQL: Debian keeps them out of the PATH.
func program(t testing.TB, name string) string {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if len(found) > 0 {
		return found[len(found)-1]
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v: test/deps.sh installs PostgreSQL", err)
	}
	return path
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
