package journal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"slices"

	"github.com/klauspost/compress/zstd"
)

// A Log reads the folder of a journal, of this process or of another, running
// or stopped. It is for one goroutine. It shows the state of its last Refresh.
type Log struct {
	dir      string
	segments []logSegment // in their order, without holes between them
	unplaced []logSegment // cannot be read, and nothing else says which records they hold
	zstd     *zstd.Decoder

	bundle  []Entry // the last one decoded
	inFile  string
	inFrame int

	tiles map[string][]Hash // the last ones read, by path
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
// it passed over may be readable later. A segment that cannot be read and whose
// records are not known is an error after the last record.
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
		for _, s := range l.unplaced {
			if !yield(Entry{Index: end}, s.lost) {
				return
			}
		}
	}
}

// closed is the index after the last record of a closed segment.
func (l *Log) closed() (end uint64) {
	for i := range l.segments {
		if s := &l.segments[i]; s.footer != nil {
			end = s.end
		}
	}
	return end
}
