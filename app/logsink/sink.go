// Package logsink stands between the log and what reads it: a reader that
// stops, or goes, holds no exchange. Lines wait in a bounded queue; beyond it
// they are dropped and counted, and the count is written once the reader is
// back.
package logsink

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"
	"time"
)

// Options are what a Sink may be told; every field has a default.
type Options struct {
	// Bytes bounds the queue. Default: 8 MiB, some 10 000 exchanges.
	Bytes int
	// Lost makes the line that says how many were dropped. Default: JSON.
	Lost func(lines uint64, since time.Time) []byte
	// Now is the clock. Default: time.Now.
	Now func() time.Time
}

// A Sink is an io.Writer that never waits. Each Write is one line. Close it.
type Sink struct {
	w io.Writer
	o Options

	mu      sync.Mutex // guards the fields below
	wake    *sync.Cond
	queue   []byte
	closing bool
	busy    time.Time // since when the write under way lasts; zero: none
	state   State
	unsaid  uint64    // dropped since the last line about it
	first   time.Time // the first of them

	done chan struct{}
}

// A State is how a Sink does.
type State struct {
	Queued  int       // bytes
	Dropped uint64    // lines, since the start
	Stuck   time.Time // since when the reader takes nothing; zero: it reads
	Error   error     // of the last write; nil: it went well
	At      time.Time // of the last drop
}

// New makes a Sink that writes to w from one goroutine of its own.
func New(w io.Writer, o Options) *Sink {
	if o.Bytes <= 0 {
		o.Bytes = 8 << 20
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Lost == nil {
		o.Lost = lost
	}
	s := &Sink{w: w, o: o, done: make(chan struct{})}
	s.wake = sync.NewCond(&s.mu)
	go s.run()
	return s
}

func lost(lines uint64, since time.Time) []byte {
	return fmt.Appendf(nil, `{"time":%q,"level":"ERROR","msg":"log lines were dropped: the reader of the log had stopped","event":"log_dropped","lines":%d}`+"\n",
		since.Format(time.RFC3339Nano), lines)
}

// Write queues one line, or drops it where there is no room. It returns no
// error: nobody who logs could do anything about it.
func (s *Sink) Write(line []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing || len(s.queue)+len(line) > s.o.Bytes {
		s.dropLocked(1)
		return len(line), nil
	}
	s.queue = append(s.queue, line...)
	s.wake.Signal()
	return len(line), nil
}

func (s *Sink) dropLocked(lines uint64) {
	now := s.o.Now()
	if s.unsaid == 0 {
		s.first = now
	}
	s.unsaid += lines
	s.state.Dropped += lines
	s.state.At = now
}

// State returns how the Sink does.
func (s *Sink) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.state
	st.Queued = len(s.queue)
	if !s.busy.IsZero() && s.o.Now().Sub(s.busy) > time.Second {
		st.Stuck = s.busy
	}
	return st
}

// Close writes what is queued, until ctx ends. Lines that come later are
// dropped.
func (s *Sink) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	s.wake.Signal()
	s.mu.Unlock()
	select {
	case <-s.done:
		return s.State().Error
	case <-ctx.Done():
		return fmt.Errorf("the reader of the log takes nothing: %w", context.Cause(ctx))
	}
}

// pause is how long what comes after a write waits for more: lines that come by
// thousands a second are written by tens, and not woken for one by one.
const pause = 2 * time.Millisecond

func (s *Sink) run() {
	defer close(s.done)
	var spare []byte
	for {
		lines, queued, said, ok := s.next(spare)
		if !ok {
			return
		}
		n, err := s.w.Write(lines)
		s.mu.Lock()
		s.busy, s.state.Error = time.Time{}, err
		if err != nil { // what it did not take is lost, and so is what was to be said
			if lost := bytes.Count(lines[min(n, queued):queued], []byte("\n")); lost > 0 {
				s.dropLocked(uint64(lost))
			}
			s.unsaid += said
		}
		s.mu.Unlock()
		spare = lines[:0]
		if cap(spare) > s.o.Bytes/4 {
			spare = nil // what a long stop made grow is given back
		}
		if err != nil { // gone for good, perhaps: no busy loop
			time.Sleep(10 * time.Millisecond)
			continue
		}
		time.Sleep(pause)
	}
}

// next waits for lines, and takes all that are queued; said is how many lost
// ones the line after them tells. That a reader is gone is told with the next
// lines: it may come back.
func (s *Sink) next(spare []byte) (lines []byte, queued int, said uint64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queue) == 0 && (s.unsaid == 0 || s.state.Error != nil) {
		if s.closing {
			return nil, 0, 0, false
		}
		s.wake.Wait()
	}
	lines, queued, said = s.queue, len(s.queue), s.unsaid
	if said > 0 {
		lines = append(lines, s.o.Lost(said, s.first)...)
		s.unsaid = 0
	}
	s.queue, s.busy = spare, s.o.Now()
	return lines, queued, said, true
}
