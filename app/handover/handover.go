// Package handover is how one process of the RPN gives its place to another: the
// sockets, the state folder, and what the old one still writes down
// (docs/decisions/0022-restart-without-loss.md).
//
// The old process starts the new one with two pairs of sockets and its listeners.
// The first pair carries steps, one JSON object a line; the second what the old
// process has to write in the folder while it ends its exchanges (net/rpc).
package handover

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// variable says in the environment that a process succeeds another.
const variable = "RPN_HANDOVER"

// firstFile is where ExtraFiles begin: steps, writes, establishments, admin.
const firstFile = 3

// A Step is what one process tells the other.
type Step string

// The steps, in their order. Failed may come at any moment.
const (
	Begin   Step = "begin"   // old: how it does
	Folder  Step = "folder"  // new: all that needs no folder is ready; it asks for the folder
	Given   Step = "given"   // old: it accepts no more, and has closed and unlocked the folder
	Serving Step = "serving" // new: it holds the folder and accepts
	Ready   Step = "ready"   // new: it does as well as the old one did
	Failed  Step = "failed"  // new: why it gives up
)

// A Message is one line.
type Message struct {
	Step Step   `json:"step"`
	Why  string `json:"why,omitempty"` // of Failed

	Before Before `json:"before,omitzero"` // of Begin
	// Version and Pid are those of the new process; of Ready.
	Version string `json:"version,omitempty"`
	Pid     int    `json:"pid,omitempty"`
}

// Before is how the old process does: the new one must do as well.
type Before struct {
	Missing    []string `json:"missing"`     // of its readiness
	NeverHeard int      `json:"never_heard"` // places of revocation lists that never answered
}

// steps reads and writes messages.
type steps struct {
	conn net.Conn
	r    *bufio.Scanner
}

func newSteps(c net.Conn) *steps { return &steps{conn: c, r: bufio.NewScanner(c)} }

func (s *steps) send(m Message) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	s.conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
	_, err = s.conn.Write(append(b, '\n'))
	return err
}

// want reads the next message, which must be that step.
func (s *steps) want(step Step, within time.Duration) (Message, error) {
	var m Message
	s.conn.SetReadDeadline(time.Now().Add(within))
	if !s.r.Scan() {
		err := s.r.Err()
		var late net.Error
		switch {
		case err == nil, errors.Is(err, syscall.ECONNRESET): // it ended on what we had told it
			return m, io.EOF
		case errors.As(err, &late) && late.Timeout():
			return m, fmt.Errorf("it has not come to %q within %s", step, within)
		}
		return m, err
	}
	if err := json.Unmarshal(s.r.Bytes(), &m); err != nil {
		return m, fmt.Errorf("what it says is not understood: %w", err)
	}
	if m.Step == Failed {
		return m, errors.New(m.Why)
	}
	if m.Step != step {
		return m, fmt.Errorf("it is at %q, and should be at %q: the two versions do not understand one another", m.Step, step)
	}
	return m, nil
}

// A Successor is the new process, as the old one sees it.
type Successor struct {
	Writes net.Conn // what the old process has to write goes there

	steps  *steps
	cmd    *exec.Cmd
	exited chan struct{} // closed when it has ended
	result error
}

// Start starts the program as the successor of this process, with the same
// arguments.
func Start(program string, listeners [2]*os.File, before Before) (*Successor, error) {
	ours, theirs, err := pair()
	if err != nil {
		return nil, err
	}
	writes, their, err := pair()
	if err != nil {
		ours.Close()
		theirs.Close()
		return nil, err
	}
	s := &Successor{Writes: writes, steps: newSteps(ours), exited: make(chan struct{}), cmd: exec.Command(program, os.Args[1:]...)}
	s.cmd.Env = append(withoutOurs(os.Environ()), variable+"=1")
	s.cmd.Stdout, s.cmd.Stderr = os.Stdout, os.Stderr
	s.cmd.ExtraFiles = []*os.File{theirs, their, listeners[0], listeners[1]}
	err = s.cmd.Start()
	theirs.Close()
	their.Close()
	for _, f := range listeners { // to hand a file to a process makes the socket block, for us too
		syscall.SetNonblock(int(f.Fd()), true)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	go func() {
		s.result = s.cmd.Wait()
		close(s.exited)
	}()
	if err := s.steps.send(Message{Step: Begin, Before: before}); err != nil {
		s.Kill()
		return nil, err
	}
	return s, nil
}

// withoutOurs is an environment without what belongs to this process alone.
func withoutOurs(all []string) (env []string) {
	for _, v := range all {
		name, _, _ := strings.Cut(v, "=")
		switch name {
		case variable, "WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES":
			continue
		}
		env = append(env, v)
	}
	return env
}

// Want waits until the new process comes to that step.
func (s *Successor) Want(step Step, within time.Duration) (Message, error) {
	m, err := s.steps.want(step, within)
	if !errors.Is(err, io.EOF) {
		return m, err
	}
	select {
	case <-s.exited:
		if s.result != nil {
			return m, fmt.Errorf("it ended: %w", s.result)
		}
	case <-time.After(5 * time.Second):
	}
	return m, errors.New("it ended without a word")
}

// Give tells the new process that the folder is its own.
func (s *Successor) Give() error { return s.steps.send(Message{Step: Given}) }

// Pid is the process.
func (s *Successor) Pid() int { return s.cmd.Process.Pid }

// Kill ends the new process, and waits for its end.
func (s *Successor) Kill() {
	s.cmd.Process.Kill()
	<-s.exited
	s.close()
}

func (s *Successor) close() {
	s.steps.conn.Close()
	s.Writes.Close()
}

// A Predecessor is the old process, as the new one sees it.
type Predecessor struct {
	Establishments, Admin net.Listener
	Writes                net.Conn // what the old process has to write comes from there
	Before                Before

	steps *steps
}

// Find returns the process that this one succeeds; nil: it was started by
// itself.
func Find() (*Predecessor, error) {
	if os.Getenv(variable) == "" {
		return nil, nil
	}
	os.Unsetenv(variable)
	p := &Predecessor{}
	conns := make([]net.Conn, 2)
	listeners := make([]net.Listener, 2)
	for i := range 4 {
		syscall.CloseOnExec(firstFile + i)
		f := os.NewFile(uintptr(firstFile+i), "handover")
		var err error
		if i < 2 {
			conns[i], err = net.FileConn(f)
		} else {
			listeners[i-2], err = net.FileListener(f)
		}
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("%s is in the environment, and what should come with it does not: %w", variable, err)
		}
	}
	p.steps, p.Writes, p.Establishments, p.Admin = newSteps(conns[0]), conns[1], listeners[0], listeners[1]
	m, err := p.steps.want(Begin, 10*time.Second)
	p.Before = m.Before
	return p, err
}

// TakeFolder asks for the state folder, and waits until it is free.
func (p *Predecessor) TakeFolder(within time.Duration) error {
	if err := p.steps.send(Message{Step: Folder}); err != nil {
		return err
	}
	_, err := p.steps.want(Given, within)
	return err
}

// Report tells the old process how far this one is.
func (p *Predecessor) Report(m Message) error { return p.steps.send(m) }

// Close ends the talk.
func (p *Predecessor) Close() {
	p.steps.conn.Close()
	p.Writes.Close()
}

// pair is two connected sockets: one for us, one to give to a process.
func pair() (ours net.Conn, theirs *os.File, err error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	f := os.NewFile(uintptr(fds[0]), "handover")
	defer f.Close()
	theirs = os.NewFile(uintptr(fds[1]), "handover")
	if ours, err = net.FileConn(f); err != nil {
		theirs.Close()
	}
	return ours, theirs, err
}
