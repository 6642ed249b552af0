package journal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/piano-roc/rpn/internal/durable"
)

// Open opens the journal of a folder, whatever state the last process left it
// in, and begins a new segment. Unreadable bytes are kept in a separate file,
// counted, and reported by a mark. It refuses a folder whose seal is not its
// own.
func Open(o Options) (*Journal, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	lock, err := durable.Lock(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("%w: each instance has its own folder", err)
	}
	j := &Journal{o: o, lock: lock, wake: make(chan struct{}, 1), retired: make(chan struct{}, 1)}
	j.pruned = pruner{trust: clockTrust}
	j.sync.init()
	if err := j.open(); err != nil {
		for _, s := range j.closing {
			s.close()
		}
		lock.Release()
		return nil, err
	}
	return j, nil
}

func (j *Journal) open() error {
	if err := os.MkdirAll(j.path("tiles"), 0o750); err != nil {
		return err
	}
	if err := j.readSeal(); err != nil {
		return err
	}
	if err := j.takeClosed(); err != nil {
		return err
	}
	found, err := j.takeOpen()
	if err != nil {
		return err
	}
	if j.holes && j.next < j.seal.tree.size {
		j.next = j.seal.tree.size // a closed segment is sealed to its end
	}
	if j.next < j.seal.tree.size {
		return fmt.Errorf("%s: the seal covers %d records and the segments end with %d: records that were signed are missing; put the folder back from a copy, or begin a new journal in an empty folder and keep this one", j.o.Dir, j.seal.tree.size, j.next)
	}
	j.seal.size.Store(j.seal.tree.size)
	if err := j.syncNow(); err != nil {
		return err
	}
	j.ensureSpare() // makes the first segment and begins it
	j.ensureSpare() // and the one after
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.current == nil && j.o.OnFull == Refuse {
		return fmt.Errorf("%s: no segment can be made: %w", j.o.Dir, ErrNoRoom)
	}
	j.gaps.add(found.gaps)
	at := j.o.Now()
	j.markLocked(Mark{Event: Started, Count: j.seal.tree.size, From: at, To: at})
	if found.torn > 0 {
		j.markLocked(Mark{Event: Recovered, Count: found.torn, From: at, To: at})
	}
	j.markGapsLocked()
	return nil
}

// readSeal reads the seal of the last process; no seal: the journal is new.
func (j *Journal) readSeal() error {
	b, err := os.ReadFile(j.path("seal"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	tree, c, err := openSeal(b, j.o.Key.verifiers)
	if err != nil {
		return fmt.Errorf("%s: %w: give the key that this folder was sealed with (an old one on a line after the new one), or another folder", j.path("seal"), err)
	}
	if c.Origin != j.o.Origin {
		return fmt.Errorf("%s is of the journal %q, not of %q: give each its own folder", j.path("seal"), c.Origin, j.o.Origin)
	}
	j.seal.tree = tree
	return nil
}

// takeClosed finds where the closed segments end. If a whole closed form exists
// next to the open one, the open one was about to be removed. A closed segment
// that is damaged, or that cannot be read for now, does not keep the journal from
// going on: it is sealed to its end, and nothing is written into it any more.
func (j *Journal) takeClosed() error {
	files, err := segmentFiles(j.o.Dir, ".zst")
	if err != nil {
		return err
	}
	for n, name := range files {
		t, size, err := j.readClosed(name)
		if err != nil {
			j.holes = true
			if j.sequence, err = afterName(name); err != nil {
				return err
			}
			continue
		}
		if n == 0 {
			j.stats.oldest.Store(t.From.UnixMicro())
		}
		j.stats.closedBytes.Add(size)
		j.stats.closedSegments.Add(1)
		j.next, j.sequence = t.end(), t.Sequence+1
		os.Remove(strings.TrimSuffix(name, ".zst") + ".open")
	}
	return durable.RemoveLeftovers(j.o.Dir)
}

// readClosed reads the footer of a closed segment; an error is logged and
// counted.
func (j *Journal) readClosed(name string) (t *footer, size int64, err error) {
	f, err := os.Open(name)
	if err == nil {
		t, size, err = readFooter(f)
		f.Close()
	}
	switch {
	case errors.Is(err, ErrDamaged):
		j.stats.void.Add(1)
		j.o.Log.Error("a closed segment of the journal is damaged: `rpn journal verify` reports what is still readable", "event", "journal_damaged", "file", name, "error", err.Error())
	case err != nil:
		j.stats.readErrors.Add(1)
		j.o.Log.Error("a closed segment of the journal cannot be read for now: the journal goes on, and nothing is known of this segment until it can be read", "event", "journal_unreadable", "file", name, "error", err.Error())
	}
	return t, size, err
}

// afterName is the sequence number after the one in the name of a segment.
func afterName(name string) (uint64, error) {
	base := filepath.Base(name)
	n, err := strconv.ParseUint(strings.TrimPrefix(strings.TrimSuffix(base, filepath.Ext(base)), "segment-"), 10, 63)
	if err != nil {
		return 0, fmt.Errorf("%s: not the name of a segment: move the file out of the folder and keep it", name)
	}
	return n + 1, nil
}

// found is what the open segments held.
type found struct {
	torn uint64 // records cut by a crash; none of them was answered
	gaps gaps
}

// takeOpen reads the open segments in their order. All of them will be closed:
// a new process begins a new segment.
func (j *Journal) takeOpen() (found, error) {
	var got found
	files, err := segmentFiles(j.o.Dir, ".open")
	if err != nil {
		return got, err
	}
	var list []*segment
	for _, name := range files {
		s, err := j.mapOpen(name)
		if err != nil {
			return got, err
		}
		if s == nil {
			continue
		}
		list = append(list, s)
		j.closing = list // so that Open releases them when it fails
	}
	for n, s := range list {
		if j.holes && s.first > j.next {
			j.next = s.first
		}
		if s.first != j.next {
			return got, fmt.Errorf("%s begins with record %d, where %d was expected: a segment is missing; put it back from a copy, or begin a new journal in an empty folder and keep this one", s.path, s.first, j.next)
		}
		last := n == len(list)-1
		limit := s.capacity
		if !last {
			limit = int(min(uint64(s.capacity), list[n+1].first-s.first))
		}
		torn, err := j.readSlots(s, limit, last)
		if err != nil {
			return got, err
		}
		got.torn += torn
		if last {
			got.gaps = gapsOf(s)
		}
		j.next, j.sequence = s.end(), s.sequence+1
		j.stats.torn.Add(torn)
	}
	return got, nil
}

// mapOpen maps an open segment that holds records; one that was not in use yet,
// or was being made, is removed.
func (j *Journal) mapOpen(name string) (*segment, error) {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	s, err := mapSegment(f, name)
	if errors.Is(err, ErrDamaged) {
		blank, e := isBlank(f)
		f.Close()
		if e == nil && blank {
			return nil, os.Remove(name) // the process died while making it
		}
		if e == nil {
			return nil, fmt.Errorf("%w: move the file out of the folder and keep it; the records it held are missing from the journal", err)
		}
		err = fmt.Errorf("%s: %w", name, e)
	} else if err != nil {
		f.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("%w: this segment cannot be read for now, and may hold records that are not sealed yet: leave it where it is, and start again when it can be read", err)
	}
	if s.first == unused {
		s.close()
		return nil, os.Remove(name)
	}
	if !s.ofOrigin(j.o.Origin) {
		s.close()
		return nil, fmt.Errorf("%s: %w %q", name, errNotSegment, j.o.Origin)
	}
	return s, nil
}

// isBlank reports whether the header of a file was never written.
func isBlank(f io.ReaderAt) (bool, error) {
	b := make([]byte, headerSize)
	if _, err := f.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	return !slices.ContainsFunc(b, func(c byte) bool { return c != 0 }), nil
}

// readSlots finds the records of a segment: up to limit or, in the last
// segment, up to the last slot that is not blank. An incomplete slot at the
// very end was being written and never answered: it is dropped. An incomplete
// slot before the end is replaced by a mark, and its remaining bytes are kept
// in a separate file. One that is already sealed is left as it is: verify
// reports it.
func (j *Journal) readSlots(s *segment, limit int, last bool) (torn uint64, err error) {
	var b slot
	for last && limit > 0 {
		if !s.get(limit-1, &b) {
			return 0, s.whyUnread(limit - 1)
		}
		if b != (slot{}) {
			break
		}
		limit--
	}
	for i := range limit {
		if !s.get(i, &b) {
			return 0, s.whyUnread(i)
		}
		_, _, whole := b.record()
		index := s.first + uint64(i)
		switch {
		case whole:
		case index < j.seal.tree.size:
			j.stats.void.Add(1)
			j.o.Log.Error("a sealed record of the journal was changed: `rpn journal verify` reports it", "event", "journal_damaged", "file", s.path, "index", index)
		case last && i == limit-1:
			blank := slot{}
			store(s.data[headerSize+i*slotSize:], blank[:])
			s.count.Store(int64(i))
			return 1, nil
		default:
			if err := j.replace(s, i, &b); err != nil {
				return 0, err
			}
		}
	}
	s.count.Store(int64(limit))
	return 0, nil
}

// replace saves the bytes of an unreadable slot to a separate file, and writes
// a mark in the slot.
func (j *Journal) replace(s *segment, i int, b *slot) error {
	j.stats.void.Add(1)
	index := s.first + uint64(i)
	if *b != (slot{}) {
		if err := writeFile(filepath.Join(j.o.Dir, fmt.Sprintf("damaged-%012d.slot", index)), b[:]); err != nil {
			return err
		}
	}
	j.o.Log.Error("a record of the journal that was not sealed yet is unreadable: a mark replaces it", "event", "journal_damaged", "file", s.path, "index", index)
	at := j.o.Now()
	*b = slot{}
	putMark((*[markSize]byte)(b[slotRecord:]), &Mark{Event: Void, Count: 1, From: s.opened, To: at})
	b.finish(markSize)
	if !store(s.data[headerSize+i*slotSize:], b[:]) {
		return fmt.Errorf("%s cannot be written", s.path)
	}
	return nil
}

// add takes over the gaps of the last process.
func (g *gaps) add(old gaps) {
	for i := range g {
		if old[i].count == 0 {
			continue
		}
		if g[i].count == 0 {
			g[i].to = old[i].to
		}
		g[i].count += old[i].count
		g[i].from = old[i].from
	}
}

// Close ends the journal: a mark, a sync, a last seal. The exchanges and Run
// must have ended.
func (j *Journal) Close() error {
	j.mu.Lock()
	at := j.o.Now()
	j.markLocked(Mark{Event: Stopped, Count: j.next, From: at, To: at})
	j.closed = true
	j.mu.Unlock()
	err := errors.Join(j.syncNow(), j.sealNow())
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, s := range append(j.closing, j.current, j.spare) {
		if s != nil {
			err = errors.Join(err, s.close())
		}
	}
	if j.spare != nil {
		os.Remove(j.spare.path)
	}
	j.lock.Release()
	return err
}
