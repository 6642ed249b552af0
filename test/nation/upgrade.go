package nation

import (
	"os"

	"golang.org/x/sys/unix"
)

// Upgrade asks the running binary to give its place to a program ("": its own),
// and returns what `rpn upgrade` has said. When it succeeded, the new process is
// the RPN from now on.
func (n *Nation) Upgrade(program string) *Process {
	n.t.Helper()
	// The new process is a child of the old one: it becomes ours when that ends.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		n.t.Fatal(err)
	}
	args := []string{"upgrade", "--config", n.ConfigFile()}
	if program != "" {
		args = append(args, "--program", program)
	}
	p := Run(n.t, args...)
	if p.Wait() != 0 {
		return p
	}
	n.rpn.WantExit(0)
	done := n.Lines("another process has taken over: what is in flight finishes here")
	pid, _ := done[len(done)-1]["pid"].(float64)
	n.adopt(int(pid))
	return p
}

// adopt has a process that succeeded ours be the RPN.
func (n *Nation) adopt(pid int) {
	n.t.Helper()
	process, err := os.FindProcess(pid)
	if err != nil {
		n.t.Fatal(err)
	}
	p := &Process{Output: n.log, Errors: n.rpn.Errors, t: n.t, args: n.rpn.args, process: process, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		state, err := process.Wait()
		if err != nil {
			p.code = -2
			return
		}
		p.code = state.ExitCode()
	}()
	n.rpn = p
}
