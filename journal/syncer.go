package journal

import (
	"context"
	"sync"
	"time"
)

// A syncer writes records to the disk: at each tick, and at once when somebody
// waits. All who wait meanwhile are served by the next sync.
type syncer struct {
	mu     sync.Mutex
	turn   *sync.Cond // a sync has ended
	done   uint64     // records below this index are on the disk
	failed error      // error of the last sync
	over   bool       // nobody syncs any more
	tries  uint64     // syncs begun
	ended  uint64     // syncs ended
	urgent chan struct{}

	// busy is held during a sync, and while a segment is unmapped.
	busy sync.Mutex
}

func (s *syncer) init() {
	s.turn = sync.NewCond(&s.mu)
	s.urgent = make(chan struct{}, 1)
}

// wait returns once the records below that index are on the disk, or with the
// error of a sync that began after the call.
func (s *syncer) wait(index uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	after := s.tries // the current sync may have begun too early
	for s.done < index {
		if s.over {
			return errClosed
		}
		if s.failed != nil && s.ended > after {
			return s.failed
		}
		select {
		case s.urgent <- struct{}{}:
		default:
		}
		s.turn.Wait()
	}
	return nil
}

// syncNow syncs every segment that has something new, the oldest first.
func (j *Journal) syncNow() error {
	s := &j.sync
	s.busy.Lock()
	defer s.busy.Unlock()
	s.mu.Lock()
	s.tries++
	s.mu.Unlock()
	j.mu.Lock()
	next := j.next
	list := append([]*segment{}, j.closing...)
	if j.current != nil {
		list = append(list, j.current)
	}
	j.mu.Unlock()
	var err error
	for _, seg := range list {
		if e := seg.sync(); e != nil && err == nil {
			err = e
		}
	}
	s.mu.Lock()
	if err == nil {
		s.done = next
	}
	s.failed, s.ended = err, s.ended+1
	s.turn.Broadcast()
	s.mu.Unlock()
	if err != nil {
		j.stats.syncErrors.Add(1)
		j.o.Log.Error("the journal could not be synced to its disk", "event", "journal_sync_failed", "error", err.Error())
	}
	return err
}

// syncLoop ends with ctx; those who wait then get an error.
func (j *Journal) syncLoop(ctx context.Context) {
	defer func() {
		j.sync.mu.Lock()
		j.sync.over = true
		j.sync.turn.Broadcast()
		j.sync.mu.Unlock()
	}()
	tick := time.NewTicker(j.o.SyncEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-j.sync.urgent:
		}
		j.syncNow()
	}
}
