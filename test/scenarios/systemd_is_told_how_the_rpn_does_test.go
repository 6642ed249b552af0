package scenarios

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/binary"
	"github.com/piano-roc/rpn/test/nation"
)

// A manager hears what a service manager is told.
type manager struct {
	mu    sync.Mutex
	heard []string
}

// listenAsManager hears on a socket of the kind of NOTIFY_SOCKET.
func listenAsManager(t *testing.T) (m *manager, socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	m = &manager{}
	var all sync.WaitGroup
	all.Go(func() {
		b := make([]byte, 4096)
		for {
			k, err := c.Read(b)
			if err != nil {
				return
			}
			m.mu.Lock()
			m.heard = append(m.heard, string(b[:k]))
			m.mu.Unlock()
		}
	})
	t.Cleanup(func() { c.Close(); all.Wait() })
	return m, socket
}

// count is how many messages have that line.
func (m *manager) count(line string) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, text := range m.heard {
		if strings.Contains("\n"+text+"\n", "\n"+line+"\n") {
			n++
		}
	}
	return n
}

func TestSystemdIsToldHowTheRPNDoes(t *testing.T) {
	t.Parallel()
	m, socket := listenAsManager(t)
	n := nation.New(t, nation.Binary, nation.Environment("NOTIFY_SOCKET", socket), nation.Environment("WATCHDOG_USEC", "1500000"))
	hears := func(line string, times int) {
		t.Helper()
		await.Until(t, "the service manager hears "+line, func() bool { return m.count(line) >= times })
	}
	hears("READY=1", 1)
	hears("WATCHDOG=1", 2) // each after a handshake with itself
	if got := n.Metric(`rpn_tls_handshake_failures_total{reason="no-certificate"}`); got != "0" && got != "" {
		t.Errorf("the probes are counted as failures: %s", got)
	}
	n.RPN().Signal(syscall.SIGHUP)
	hears("RELOADING=1", 1)
	hears("READY=1", 2)

	if p := n.Upgrade(""); p.Wait() != 0 {
		t.Fatalf("%s%s", p.Output, p.Errors)
	}
	hears(fmt.Sprintf("MAINPID=%d", n.RPN().Pid()), 1)
	signs := m.count("WATCHDOG=1")
	hears("WATCHDOG=1", signs+3) // of the new process
	n.RPN().Stop()
	hears("STOPPING=1", 1)
}

// The sockets that the service manager has opened are those of the RPN; one of
// another name keeps it from starting. With the system calls and the capabilities
// that its unit leaves it, it carries, reloads and is upgraded.
func TestTheSocketsOfSystemdAreTaken(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.NotStarted)
	program, err := binary.Path("rpn")
	if err != nil {
		t.Fatal(err)
	}
	confined := filepath.Join(t.TempDir(), "confined")
	if out, err := exec.Command("go", "build", "-o", confined, "../confined").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	serve := func(name string) (c *exec.Cmd, out *nation.Text, at string) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		f, err := l.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		c, out = exec.Command("/bin/sh", "-c", `LISTEN_PID=$$ exec "$2" ../../deploy/systemd/rpn.service "$0" serve --config "$1"`, program, n.ConfigFile(), confined), &nation.Text{}
		c.Env = append(os.Environ(), "LISTEN_FDS=1", "LISTEN_FDNAMES="+name)
		c.ExtraFiles, c.Stdout, c.Stderr = []*os.File{f}, out, out
		c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		return c, out, l.Addr().String()
	}
	c, out, at := serve("establishments")
	defer c.Wait()
	defer c.Process.Signal(syscall.SIGTERM)
	await.Until(t, "the RPN listens", func() bool {
		for line := range strings.Lines(out.String()) {
			var l struct{ Event, Address, Admin string }
			if json.Unmarshal([]byte(line), &l) == nil && l.Event == "listening" {
				if l.Address != at {
					t.Errorf("it listens on %s, and was given %s", l.Address, at)
				}
				n.RunsAt(l.Address, l.Admin)
				return true
			}
		}
		return false
	})
	chu := n.Etablissement()
	c.Process.Signal(syscall.SIGHUP)
	await.Until(t, "an exchange is carried", func() bool { return chu.Send(roc.IDB, "bleue").Answered("00") })
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil { // the next process is ours when this one ends
		t.Fatal(err)
	}
	rpn(t, 0, "upgrade", "--config", n.ConfigFile())
	var next struct{ Pid int }
	for line := range strings.Lines(out.String()) {
		if strings.Contains(line, "another process has taken over") {
			if err := json.Unmarshal([]byte(line), &next); err != nil {
				t.Fatal(err)
			}
		}
	}
	successor, err := os.FindProcess(next.Pid)
	if err != nil || next.Pid == 0 {
		t.Fatalf("no process has taken over: %v\n%s", err, out)
	}
	await.Until(t, "the new process carries an exchange", func() bool { return chu.Send(roc.IDB, "bleue").Answered("00") })
	chu.Hangup()
	successor.Signal(syscall.SIGTERM)
	if state, err := successor.Wait(); err != nil || state.ExitCode() != 0 {
		t.Errorf("the new process ends: %v, %v", state, err)
	}

	wrong, said, _ := serve("etablissements")
	wrong.Wait()
	if wrong.ProcessState.ExitCode() != 2 || !strings.Contains(said.String(), "FileDescriptorName= is establishments or admin") {
		t.Errorf("%d: %s", wrong.ProcessState.ExitCode(), said)
	}
}
