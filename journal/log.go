package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// A Log reads the folder of a journal, of this process or of another, running
// or stopped. It is for one goroutine. It shows the state of its last Refresh.
type Log struct {
	dir      string
	segments []logSegment // in their order, without holes between them
	zstd     *zstd.Decoder

	bundle  []Entry // the last one decoded
	inFile  string
	inFrame int

	tiles     map[string][]Hash // the last ones read, by path
	leafTile  []Hash            // the last tile of level 0 as it is on disk
	leafTileN uint64
}

// A logSegment is one segment on disk.
type logSegment struct {
	base   string
	footer *footer // nil: it is open
	first  uint64
	end    uint64 // as of the last Refresh
	lost   error  // why nothing of it can be read: damaged, missing, or what the disk says for now
}

// ErrPruned means that an old record does not exist any more.
var ErrPruned = errors.New("the record was deleted at the end of its retention period")

// OpenLog reads the folder of a journal.
func OpenLog(dir string) (*Log, error) {
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
	if err != nil {
		return nil, err
	}
	l := &Log{dir: dir, zstd: dec, tiles: map[string][]Hash{}}
	if err := l.Refresh(); err != nil {
		dec.Close()
		return nil, err
	}
	return l, nil
}

// Close releases what the Log holds.
func (l *Log) Close() { l.zstd.Close() }

// Bounds returns the index of the oldest record kept and the one after the
// newest.
func (l *Log) Bounds() (first, end uint64) {
	if len(l.segments) == 0 {
		return 0, 0
	}
	return l.segments[0].first, l.segments[len(l.segments)-1].end
}

// Refresh reads the folder again.
func (l *Log) Refresh() error {
	var err error
	for range 5 { // a running process renames and removes files meanwhile
		if err = l.list(); errors.Is(err, fs.ErrNotExist) && exists(l.dir) {
			continue
		}
		if err != nil || !slices.ContainsFunc(l.segments, func(s logSegment) bool { return s.lost == errUnseen }) {
			return err
		}
	}
	return err
}

// sameHole reports whether both are one hole between segments.
func (s logSegment) sameHole(o logSegment) bool {
	return s.base == o.base && s.first == o.first && s.end == o.end
}

func (l *Log) list() error {
	all, err := os.ReadDir(l.dir)
	if err != nil {
		return err
	}
	closed := map[string]logSegment{} // they do not change
	for _, s := range l.segments {
		if s.footer != nil {
			closed[s.base] = s
		}
	}
	var list []logSegment
	seen := map[string]bool{}
	for _, ending := range []string{".zst", ".open"} { // both exist for a moment: the closed one counts
		for _, e := range all {
			base, ok := strings.CutSuffix(e.Name(), ending)
			if !ok || !strings.HasPrefix(base, "segment-") || seen[base] {
				continue
			}
			s, known := closed[filepath.Join(l.dir, base)]
			if !known || ending != ".zst" {
				if s, err = l.look(filepath.Join(l.dir, base), ending == ".zst"); err != nil {
					return err
				}
			}
			if s.end > s.first || s.lost != nil {
				list, seen[base] = append(list, s), true
			}
		}
	}
	slices.SortFunc(list, func(a, b logSegment) int { return strings.Compare(a.base, b.base) })
	l.segments = l.withoutHoles(list)
	return nil
}

// withoutHoles inserts an entry for each damaged or missing segment, so that
// its records are known to be lost.
func (l *Log) withoutHoles(list []logSegment) []logSegment {
	var whole []logSegment
	end := uint64(0)
	for i := 0; i < len(list); i++ {
		s := list[i]
		next := ^uint64(0)
		for _, t := range list[i+1:] {
			if t.lost == nil {
				next = t.first
				break
			}
		}
		if next == ^uint64(0) {
			if c, err := l.Checkpoint(); err == nil {
				next = c.Size
			}
		}
		if s.lost != nil {
			s.first, s.end = end, next
			if next == ^uint64(0) || next <= end {
				continue
			}
		} else if len(whole) > 0 && s.first > end {
			hole := logSegment{base: filepath.Join(l.dir, "missing"), first: end, end: s.first, lost: errUnseen}
			if slices.ContainsFunc(l.segments, hole.sameHole) {
				hole.lost = errMissing
			}
			whole = append(whole, hole)
		}
		whole, end = append(whole, s), s.end
	}
	return whole
}

// A segment is missing when two readings of the folder agree: one alone may have
// been passed by a file that was renamed meanwhile.
var (
	errMissing = fileDamage("the file of this segment is missing")
	errUnseen  = errors.New("the file of this segment was not seen")
)

func (l *Log) look(base string, closed bool) (s logSegment, err error) {
	s.base = base
	if !closed {
		return s, l.countOpen(&s)
	}
	f, err := os.Open(base + ".zst")
	if err != nil {
		return s, err
	}
	defer f.Close()
	if s.footer, s.lost = readFooter(f); s.lost != nil {
		return s, nil
	}
	s.first, s.end = s.footer.First, s.footer.end()
	return s, nil
}

// countOpen finds how many records an open segment holds: slots are written in
// order, so the first blank one is found by bisection.
func (l *Log) countOpen(s *logSegment) error {
	f, err := os.Open(s.base + ".open")
	if err != nil {
		return err
	}
	defer f.Close()
	var h [headerSize]byte
	if _, err := f.ReadAt(h[:], 0); errors.Is(err, io.EOF) {
		return nil // being made
	} else if err != nil {
		s.lost = err
		return nil
	}
	be := binary.BigEndian
	s.first = be.Uint64(h[atFirst:])
	if string(h[:8]) != segmentMagic || s.first == unused || be.Uint64(h[atFirst+8:]) != ^s.first {
		s.first = 0
		return nil
	}
	lo, hi := 0, int(min(1<<30, be.Uint64(h[atCapacity:])))
	for lo < hi {
		m := (lo + hi) / 2
		var n [2]byte
		_, err := f.ReadAt(n[:], headerSize+int64(m)*slotSize+slotLength)
		if err != nil && !errors.Is(err, io.EOF) {
			s.lost = err
			return nil
		}
		if err == nil && n != [2]byte{} {
			lo = m + 1
		} else {
			hi = m
		}
	}
	for ; lo > 0; lo-- { // the last one may be half written
		var b slot
		if _, err := f.ReadAt(b[:], headerSize+int64(lo-1)*slotSize); err == nil {
			if _, _, whole := b.record(); whole {
				break
			}
		}
		if hi-lo > 1 {
			lo = hi // more than one cannot be half written, they are damaged: show them
			break
		}
	}
	s.end = s.first + uint64(lo)
	return nil
}

// segmentOf finds the segment of a record.
func (l *Log) segmentOf(i uint64) (*logSegment, error) {
	n, _ := slices.BinarySearchFunc(l.segments, i, func(s logSegment, i uint64) int {
		if s.end <= i {
			return -1
		}
		return 1
	})
	if n == len(l.segments) {
		return nil, fmt.Errorf("record %d: %w", i, io.EOF)
	}
	if i < l.segments[n].first {
		return nil, fmt.Errorf("record %d: %w", i, ErrPruned)
	}
	return &l.segments[n], nil
}

// Entry returns one record. An Entry whose bytes are damaged has its Raw, and
// comes with an error.
func (l *Log) Entry(i uint64) (Entry, error) {
	list, err := l.around(i)
	if err != nil {
		return Entry{Index: i}, err
	}
	e := list[i-list[0].Index]
	return e, l.damaged(&e)
}

// ErrDamaged is why a record cannot be read, now or later: its bytes are not
// those that were written, or are gone. Any other error of a reading, of the
// disk or of the system, may pass.
var ErrDamaged = errors.New("the record is damaged")

// A fileDamage is an ErrDamaged with a text of its own.
type fileDamage string

func (d fileDamage) Error() string      { return string(d) }
func (fileDamage) Is(target error) bool { return target == ErrDamaged }

// readAt fills p from a file; cut is the error of a file that ends before.
func readAt(f *os.File, p []byte, at int64, cut error) error {
	_, err := f.ReadAt(p, at)
	if errors.Is(err, io.EOF) {
		return cut
	}
	return err
}

func (l *Log) damaged(e *Entry) error {
	if e.Exchange == nil && e.Amendment == nil && e.Mark == nil {
		_, err := Decode(e.Index, e.Raw)
		return fmt.Errorf("record %d: %w: %w", e.Index, ErrDamaged, err)
	}
	return nil
}

// Entries goes through the records in their order, from an index up to the end
// as of the last Refresh. A damaged record comes with ErrDamaged, and the
// iteration continues after it. After any other error it continues too, but what
// it passed over may be readable later.
func (l *Log) Entries(from uint64) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		first, end := l.Bounds()
		for i := max(from, first); i < end; {
			list, err := l.around(i)
			if err != nil {
				n := (i/tileWidth + 1) * tileWidth // nothing left of this bundle
				if s, e := l.segmentOf(i); e == nil {
					n = min(n, s.end)
				}
				if !yield(Entry{Index: i}, err) {
					return
				}
				i = n
				continue
			}
			for _, e := range list[i-list[0].Index:] {
				if !yield(e, l.damaged(&e)) {
					return
				}
				i++
			}
		}
	}
}

// around returns the records of the bundle that contains one record, as far as
// they are in its segment.
func (l *Log) around(i uint64) ([]Entry, error) {
	for try := 0; ; try++ {
		s, err := l.segmentOf(i)
		if err != nil {
			return nil, err
		}
		list, err := l.readBundle(s, i)
		if errors.Is(err, fs.ErrNotExist) && try < 3 { // closed or deleted meanwhile
			if err := l.Refresh(); err != nil {
				return nil, err
			}
			continue
		}
		return list, err
	}
}

func (l *Log) readBundle(s *logSegment, i uint64) ([]Entry, error) {
	if s.lost != nil {
		return nil, s.lost
	}
	frame := int(i/tileWidth - s.first/tileWidth)
	lo, hi := max(s.first, i/tileWidth*tileWidth), min(s.end, (i/tileWidth+1)*tileWidth)
	if s.footer == nil {
		return l.readSlots(s, lo, hi)
	}
	if l.inFile == s.base && l.inFrame == frame && len(l.bundle) > 0 {
		return l.bundle, nil
	}
	raws, err := l.readFrame(s, frame, int(hi-lo))
	if err != nil {
		return nil, err
	}
	l.bundle = make([]Entry, 0, len(raws)) // Entries may still go through the last one
	for n, raw := range raws {
		e, _ := Decode(lo+uint64(n), raw)
		l.bundle = append(l.bundle, e)
	}
	l.inFile, l.inFrame = s.base, frame
	return l.bundle, nil
}

func (l *Log) readSlots(s *logSegment, lo, hi uint64) ([]Entry, error) {
	f, err := os.Open(s.base + ".open")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, int(hi-lo)*slotSize)
	if err := readAt(f, b, headerSize+int64(lo-s.first)*slotSize, fmt.Errorf("%s: %w: the file was cut", f.Name(), ErrDamaged)); err != nil {
		return nil, err
	}
	list := make([]Entry, 0, hi-lo)
	for i := lo; i < hi; i, b = i+1, b[slotSize:] {
		n := min(int(binary.BigEndian.Uint16(b[slotLength:])), exchangeSize)
		e, err := Decode(i, b[slotRecord:slotRecord+n])
		if stored := Hash(b[:slotRecord]); err == nil && stored != e.Leaf {
			e = Entry{Index: i, Raw: e.Raw} // its own hash shows that it was changed
		}
		e.Leaf = Hash(b[:slotRecord])
		list = append(list, e)
	}
	return list, nil
}

// readFrame returns the bytes of the records in one frame of a closed segment.
func (l *Log) readFrame(s *logSegment, frame, want int) ([][]byte, error) {
	f, err := os.Open(s.base + ".zst")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	t := s.footer
	from, to := t.Offsets[frame], t.Offsets[frame+1]
	if to < from || to-from > 1<<20 {
		return nil, fmt.Errorf("%s, frame %d: %w", s.base, frame, ErrDamaged)
	}
	packed := make([]byte, to-from)
	if err := readAt(f, packed, int64(from), fmt.Errorf("%s, frame %d: %w", s.base, frame, ErrDamaged)); err != nil {
		return nil, err
	}
	b, err := l.zstd.DecodeAll(packed, make([]byte, 0, want*(exchangeSize+2)))
	if err != nil {
		return nil, fmt.Errorf("%s, frame %d: %w: %w", s.base, frame, ErrDamaged, err)
	}
	list := make([][]byte, 0, want)
	for len(b) >= 2 {
		n := int(binary.BigEndian.Uint16(b))
		if b = b[2:]; n > len(b) {
			break
		}
		list, b = append(list, b[:n:n]), b[n:]
	}
	if len(list) != want || len(b) > 0 {
		return nil, fmt.Errorf("%s, frame %d: %w: %d records where %d should be", s.base, frame, ErrDamaged, len(list), want)
	}
	return list, nil
}
