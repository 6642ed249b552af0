package nation

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/test/binary"
)

// A Text is what a process writes. Safe for concurrent use.
type Text struct {
	mu   sync.Mutex
	b    bytes.Buffer
	held chan struct{} // closed: no longer held
	slow time.Duration
	gone bool
}

func (x *Text) Write(p []byte) (int, error) {
	x.mu.Lock()
	held, slow := x.held, x.slow
	x.mu.Unlock()
	if held != nil {
		<-held
	}
	time.Sleep(slow) // a slow reader: nothing is awaited
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.gone {
		return 0, errLeft
	}
	return x.b.Write(p)
}

var errLeft = errors.New("nobody reads any more")

// Stop has nothing read until resume.
func (x *Text) Stop() (resume func()) {
	x.mu.Lock()
	defer x.mu.Unlock()
	held := make(chan struct{})
	x.held = held
	return sync.OnceFunc(func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.held = nil
		close(held)
	})
}

// SlowBy has each piece, of 32 KiB at most, take so long to read.
func (x *Text) SlowBy(d time.Duration) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.slow = d
}

// Leave closes the pipe that the process writes to, at its next line.
func (x *Text) Leave() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.gone = true
}

// Return has the next process that writes there read again. Of the line that was
// being read when the reader left, nothing is kept.
func (x *Text) Return() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.gone = false
	x.b.Truncate(bytes.LastIndexByte(x.b.Bytes(), '\n') + 1)
}

// String is all that was written.
func (x *Text) String() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.b.String()
}

// Main runs the tests of a package that uses a Nation, then removes the binary
// and looks for goroutines that were left.
func Main(m *testing.M) int {
	code := m.Run()
	if err := binary.Remove(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if code != 0 {
		return code
	}
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// A Process is one run of the binary.
type Process struct {
	Output, Errors *Text

	t       testing.TB
	args    []string
	process *os.Process
	done    chan struct{} // closed when it has ended
	code    int
	wanted  int // exit code
}

// Run runs the binary with these arguments.
func Run(t testing.TB, args ...string) *Process {
	t.Helper()
	p := run(t, &Text{}, nil, args...)
	t.Cleanup(p.kill)
	return p
}

func run(t testing.TB, out *Text, env []string, args ...string) *Process {
	t.Helper()
	file, err := binary.Path("rpn")
	if err != nil {
		t.Fatal(err)
	}
	p := &Process{Output: out, Errors: &Text{}, t: t, args: args, done: make(chan struct{})}
	cmd := exec.Command(file, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // should the tests be killed
	read := []<-chan struct{}{pipe(t, &cmd.Stdout, p.Output), pipe(t, &cmd.Stderr, p.Errors)}
	err = cmd.Start()
	for _, w := range []io.Writer{cmd.Stdout, cmd.Stderr} {
		w.(*os.File).Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	p.process = cmd.Process
	go func() {
		err := cmd.Wait()
		var exit *exec.ExitError
		if p.code = cmd.ProcessState.ExitCode(); err != nil && !errors.As(err, &exit) {
			fmt.Fprintln(p.Errors, err)
		}
		for _, end := range read {
			select {
			case <-end:
			case <-time.After(time.Second): // a process that succeeds this one writes there
			}
		}
		close(p.done)
	}()
	return p
}

// pipe has what the process writes go to a Text; end is closed when every process
// that writes there has ended. os/exec's own pipe would be waited for.
func pipe(t testing.TB, out *io.Writer, to *Text) (end <-chan struct{}) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	*out = w
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(to, r)
		r.Close()
	}()
	return done
}

// kill ends what is still running, for a test that gave up.
func (p *Process) kill() {
	p.process.Kill()
	<-p.done
}

// Wait waits for the end of the process and returns its exit code.
func (p *Process) Wait() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(await.Patience):
		p.t.Fatalf("rpn %v has not ended", p.args)
	}
	return p.code
}

// WantExit waits for the end of the process and checks its exit code.
func (p *Process) WantExit(code int) {
	p.t.Helper()
	p.wanted = code
	if p.Wait() != code {
		p.t.Errorf("rpn %v: exit code %d, want %d\n%s", p.args, p.code, code, p.Errors)
	}
}

// Signal sends a signal to the process.
func (p *Process) Signal(s os.Signal) {
	p.t.Helper()
	if err := p.process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// Pid is the process.
func (p *Process) Pid() int { return p.process.Pid }

// Kill kills the process (kill -9), and waits for its end.
func (p *Process) Kill() {
	p.t.Helper()
	p.Signal(syscall.SIGKILL)
	p.WantExit(-1)
}

// Stop stops the RPN as a service manager does, and checks that it ends as the
// test wants, well unless it says otherwise, and has said nothing on its
// standard error then.
func (p *Process) Stop() {
	p.t.Helper()
	select {
	case <-p.done:
	default:
		p.Signal(syscall.SIGTERM)
	}
	p.WantExit(p.wanted)
	if p.wanted == 0 && p.Errors.String() != "" {
		p.t.Errorf("on standard error:\n%s", p.Errors)
	}
}
