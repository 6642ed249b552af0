package journal

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

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
	l.segments, l.unplaced, err = l.withoutHoles(list)
	return err
}

// withoutHoles inserts an entry for each damaged or missing segment, so that
// its records are known to be lost. Those of the last segments are known by the
// checkpoint alone; a segment beyond it is unplaced.
func (l *Log) withoutHoles(list []logSegment) (whole, unplaced []logSegment, err error) {
	end := uint64(0)
	for i, s := range list {
		if s.lost != nil && (s.first < end || s.end <= s.first) { // it does not say itself which they are
			next := end
			if n := slices.IndexFunc(list[i:], func(t logSegment) bool { return t.lost == nil }); n >= 0 {
				next = list[i+n].first
			} else if next, err = l.sealed(); err != nil {
				return nil, nil, err
			} else if next <= end {
				unplaced = append(unplaced, s)
			}
			if s.first, s.end = end, next; next <= end {
				continue
			}
		}
		if len(whole) > 0 && s.first > end {
			hole := logSegment{base: filepath.Join(l.dir, "missing"), first: end, end: s.first, lost: errUnseen}
			if slices.ContainsFunc(l.segments, hole.sameHole) {
				hole.lost = errMissing
			}
			whole = append(whole, hole)
		}
		whole, end = append(whole, s), s.end
	}
	return whole, unplaced, nil
}

// sealed is the size of the last checkpoint as it is on disk; 0: there is none,
// or it is damaged.
func (l *Log) sealed() (uint64, error) {
	c, err := l.Checkpoint()
	if errors.Is(err, ErrNotSealed) || errors.Is(err, ErrDamaged) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return c.Size, nil
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
	if s.footer, _, s.lost = readFooter(f); s.lost == nil {
		s.first, s.end = s.footer.First, s.footer.end()
	} else if x, err := openIndex(base + ".idx"); err == nil { // it knows which records they were
		s.first, s.end = x.first, x.first+uint64(x.count)
		x.close()
	}
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
	switch err := readAt(f, h[:], 0, io.EOF); {
	case errors.Is(err, io.EOF):
		return nil // being made
	case err != nil:
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
		err := readAt(f, n[:], headerSize+int64(m)*slotSize+slotLength, io.EOF)
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
		switch err := readAt(f, b[:], headerSize+int64(lo-1)*slotSize, ErrDamaged); {
		case err == nil:
			if _, _, whole := b.record(); whole {
				s.end = s.first + uint64(lo)
				return nil
			}
		case !errors.Is(err, ErrDamaged):
			s.lost = err
			return nil
		}
		if hi-lo > 1 {
			lo = hi // more than one cannot be half written, they are damaged: show them
			break
		}
	}
	s.end = s.first + uint64(lo)
	return nil
}
