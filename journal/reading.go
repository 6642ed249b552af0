package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

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
		end := slotRecord + int(binary.BigEndian.Uint16(b[slotLength:]))
		if end > slotLength { // no record is that long: its length was changed, and is shown with it
			end = slotSize
		}
		e, err := Decode(i, b[slotRecord:end])
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
