package attempts

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/piano-roc/rpn/internal/durable"
	"github.com/piano-roc/rpn/internal/roc"
)

// Options are what a Store needs. Only Dir is required.
type Options struct {
	// Dir is the folder of the attempts, made when the first one comes: one
	// file for each establishment, so that none can push out the attempts of
	// another.
	Dir string

	// FileBytes is how large the file of an establishment grows before it
	// takes the place of the one before it. So at least this much of the
	// latest attempts is kept, at most twice as much. Default: 1 MiB, some
	// 1 500 attempts.
	FileBytes int64

	// Waiting is how many attempts may wait for the disk; more are lost and
	// counted. Default: 4096.
	Waiting int

	// OnError is told, by the writing goroutine, of each failure to write. May
	// be nil.
	OnError func(error)
}

// A Store keeps attempts on disk, in JSON lines. It is safe for concurrent
// use.
type Store struct {
	o       Options
	waiting chan Attempt
	done    chan struct{}
	lost    atomic.Uint64
	kept    atomic.Uint64

	mu     sync.RWMutex // guards closed, against a send on a closed channel
	closed bool
}

// Open starts a Store. It writes nothing until the first attempt. Close it.
func Open(o Options) *Store {
	if o.FileBytes <= 0 {
		o.FileBytes = 1 << 20
	}
	if o.Waiting <= 0 {
		o.Waiting = 4096
	}
	if o.OnError == nil {
		o.OnError = func(error) {}
	}
	s := &Store{o: o, waiting: make(chan Attempt, o.Waiting), done: make(chan struct{})}
	go s.write()
	return s
}

// Keep takes an attempt and returns at once; it is on disk a little later. One
// that the disk has no time for is lost and counted, never waited for.
func (s *Store) Keep(a Attempt) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if !s.closed {
		select {
		case s.waiting <- a:
			return
		default:
		}
	}
	s.lost.Add(1)
}

// Close writes what waits and ends the Store.
func (s *Store) Close() {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.waiting)
	}
	s.mu.Unlock()
	<-s.done
}

// Kept returns how many attempts are on disk since Open, and Lost how many
// could not be written.
func (s *Store) Kept() uint64 { return s.kept.Load() }

// Lost returns how many attempts could not be written since Open.
func (s *Store) Lost() uint64 { return s.lost.Load() }

// batch bounds how many attempts share one fsync.
const batch = 256

func (s *Store) write() {
	defer close(s.done)
	for a := range s.waiting {
		together := map[roc.StructureID][]Attempt{a.Etablissement: {a}}
	more:
		for range batch - 1 {
			select {
			case b, ok := <-s.waiting:
				if !ok {
					break more
				}
				together[b.Etablissement] = append(together[b.Etablissement], b)
			default:
				break more
			}
		}
		for who, attempts := range together {
			if err := s.append(who, attempts); err != nil {
				s.lost.Add(uint64(len(attempts)))
				s.o.OnError(fmt.Errorf("attempts: %d attempts of %s could not be kept: %w", len(attempts), who, err))
				continue
			}
			s.kept.Add(uint64(len(attempts)))
		}
	}
}

// append adds attempts to the file of an establishment, and returns once they
// are on disk.
func (s *Store) append(who roc.StructureID, attempts []Attempt) error {
	if _, err := roc.ParseStructureID(string(who)); err != nil {
		return err // it becomes a file name
	}
	if err := os.MkdirAll(s.o.Dir, 0o750); err != nil {
		return err
	}
	path := current(s.o.Dir, who)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	defer f.Close()
	lines, err := lines(attempts)
	if err != nil {
		return err
	}
	if err := durable.AppendTo(f, lines); err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() >= s.o.FileBytes {
		return durable.Rename(path, previous(s.o.Dir, who))
	}
	return durable.SyncDir(s.o.Dir)
}

// lines writes attempts one a line, without the last line break.
func lines(attempts []Attempt) ([]byte, error) {
	list := make([][]byte, len(attempts))
	for i := range attempts {
		var err error
		if list[i], err = json.Marshal(&attempts[i]); err != nil {
			return nil, err
		}
	}
	return bytes.Join(list, []byte("\n")), nil
}

const suffix = ".jsonl"

func current(dir string, who roc.StructureID) string {
	return filepath.Join(dir, string(who)+suffix)
}

func previous(dir string, who roc.StructureID) string {
	return filepath.Join(dir, string(who)+".1"+suffix)
}
