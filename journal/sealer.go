package journal

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// A sealer holds the Merkle tree up to the last signature.
type sealer struct {
	mu   sync.Mutex // one at a time
	tree frontier

	size atomic.Uint64 // of the last checkpoint written to disk
	at   atomic.Int64  // when, unix nanoseconds; 0: never by this process
}

// sealNow adds every record that is on the disk to the tree, and signs a
// checkpoint of it. What is not synced is never signed: a power loss must not
// undo a signed size. No exchange waits for it; a failure is retried, and its
// delay is in Stats.
func (j *Journal) sealNow() error {
	j.seal.mu.Lock()
	defer j.seal.mu.Unlock()
	j.syncNow() // records that could not be synced stay out
	err := j.extend()
	if err == nil && j.seal.tree.size != j.seal.size.Load() || err == nil && j.seal.at.Load() == 0 {
		err = j.writeSeal()
	}
	if err != nil {
		j.stats.sealErrors.Add(1)
		j.o.Log.Error("the journal could not be sealed: exchanges go on and the seal will be retried", "event", "journal_seal_failed", "error", err.Error(), "records_waiting", j.end()-j.seal.size.Load())
		return err
	}
	j.seal.at.Store(j.o.Now().UnixNano())
	return nil
}

func (j *Journal) end() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.next
}

// extend pushes the leaves of what is synced, segment by segment. Where a
// segment ends, the checkpoint of that size is kept for its closing.
func (j *Journal) extend() error {
	j.mu.Lock()
	list := append([]*segment{}, j.closing...)
	retired := len(list)
	if j.current != nil {
		list = append(list, j.current)
	}
	j.mu.Unlock()
	t := &j.seal.tree
	for n, s := range list {
		if t.size < s.first {
			return fmt.Errorf("%s begins with record %d, and the tree ends with %d", s.path, s.first, t.size)
		}
		synced := s.synced.Load()
		for i := int64(t.size - s.first); i < synced; i++ {
			t.push(j.leafOf(s, int(i)))
		}
		if n >= retired || synced != s.count.Load() {
			return nil // more records will come
		}
		if s.boundary == nil && t.size == s.end() {
			signed, err := j.o.Key.signCheckpoint(j.o.Origin, t.size, t.root())
			if err != nil {
				return err
			}
			s.boundary = signed
		}
	}
	return nil
}

// leafOf is the hash of a record in a segment. A record that cannot be read any
// more becomes a leaf that proves nothing: the tree continues.
func (j *Journal) leafOf(s *segment, i int) (h Hash) {
	at := headerSize + i*slotSize
	if !store(h[:], s.data[at:at+len(h)]) {
		j.stats.void.Add(1)
		s.faulty.Store(true)
		j.o.Log.Error("a record of the journal cannot be read any more", "event", "journal_record_lost", "file", s.path, "index", s.first+uint64(i))
		return Hash{}
	}
	return h
}

// writeSeal signs the tree and writes it: `seal` for ourselves, which is the
// reference, and `checkpoint` for others.
func (j *Journal) writeSeal() error {
	t := &j.seal.tree
	signed, err := j.o.Key.signCheckpoint(j.o.Origin, t.size, t.root())
	if err != nil {
		return err
	}
	if err := writeFile(j.path("seal"), sealText(t, signed)); err != nil {
		return err
	}
	if err := writeFile(j.path(CheckpointFile), signed); err != nil {
		return err
	}
	j.seal.size.Store(t.size)
	return nil
}

// sealLoop seals, closes segments and deletes old ones, until ctx ends.
func (j *Journal) sealLoop(ctx context.Context) {
	tick := time.NewTicker(j.o.SealEvery)
	defer tick.Stop()
	for {
		j.sealNow()
		for j.closeOldest(ctx) {
		}
		j.prune()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-j.retired:
		}
	}
}

// roomLoop makes the next segment as soon as the spare one is used, retries
// every second while that fails, and retires old segments.
func (j *Journal) roomLoop(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		j.ensureSpare()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-j.wake:
		}
	}
}

// Run does the background work until ctx ends.
func (j *Journal) Run(ctx context.Context) {
	var loops sync.WaitGroup
	loops.Go(func() { j.syncLoop(ctx) })
	loops.Go(func() { j.roomLoop(ctx) })
	loops.Go(func() { j.sealLoop(ctx) })
	loops.Wait()
}
