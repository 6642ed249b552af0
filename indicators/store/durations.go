package store

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"time"
)

// Durations is the distribution of a duration: a DDSketch (Masson, Rim and Lee,
// 2019) with a relative error of 1 %. Most cells hold one exchange or a few, so
// the bins are a short sorted list. The zero value is empty.
type Durations struct {
	n    int64
	bins []bin
}

// A bin counts the durations d with gamma^(index-1) < d <= gamma^index, in
// microseconds; index 0 those of 1 µs or less.
type bin struct {
	index int32
	n     int64
}

const gamma = (1 + 0.01) / (1 - 0.01)

var logGamma = math.Log(gamma)

func indexOf(d time.Duration) int32 {
	us := d.Microseconds()
	if us <= 1 { // a negative one, of a record that somebody forged, counts as none
		return 0
	}
	return int32(math.Ceil(math.Log(float64(us)) / logGamma))
}

// middle is the duration whose relative error to all of its bin is the same.
func middle(index int32) time.Duration {
	if index == 0 {
		return 0
	}
	return time.Duration(2 * math.Pow(gamma, float64(index)) / (gamma + 1) * float64(time.Microsecond))
}

// Add takes one duration.
func (d *Durations) Add(x time.Duration) { d.put(indexOf(x), 1) }

func (d *Durations) put(index int32, n int64) {
	d.n += n
	lo, hi := 0, len(d.bins)
	for lo < hi {
		if m := int(uint(lo+hi) >> 1); d.bins[m].index < index {
			lo = m + 1
		} else {
			hi = m
		}
	}
	if lo < len(d.bins) && d.bins[lo].index == index {
		d.bins[lo].n += n
		return
	}
	d.bins = slices.Insert(d.bins, lo, bin{index, n})
}

// Sum is all of them together, within the error of the sketch.
func (d *Durations) Sum() (sum time.Duration) {
	for _, b := range d.bins {
		sum += time.Duration(b.n) * middle(b.index)
	}
	return sum
}

// Count is how many durations there are.
func (d *Durations) Count() int64 { return d.n }

// Quantile returns the smallest of them that so many in a hundred, at least, do
// not exceed; 0 when there is none.
func (d *Durations) Quantile(percent int) time.Duration {
	before := int64(0)
	for _, b := range d.bins {
		if before += b.n; 100*before >= int64(percent)*d.n {
			return middle(b.index)
		}
	}
	return 0
}

func (d *Durations) merge(o *Durations) {
	if len(d.bins) == 0 {
		d.n, d.bins = o.n, append(d.bins, o.bins...)
		return
	}
	if len(o.bins) <= 4 {
		for _, b := range o.bins {
			d.put(b.index, b.n)
		}
		return
	}
	all := make([]bin, 0, len(d.bins)+len(o.bins))
	mine, theirs := d.bins, o.bins
	for len(mine) > 0 && len(theirs) > 0 {
		switch x, y := mine[0], theirs[0]; {
		case x.index < y.index:
			all, mine = append(all, x), mine[1:]
		case x.index > y.index:
			all, theirs = append(all, y), theirs[1:]
		default:
			all, mine, theirs = append(all, bin{x.index, x.n + y.n}), mine[1:], theirs[1:]
		}
	}
	d.n, d.bins = d.n+o.n, append(append(all, mine...), theirs...)
}

func (d *Durations) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(d.bins)))
	last := int32(0)
	for _, x := range d.bins {
		b = binary.AppendUvarint(b, uint64(x.index-last))
		b = binary.AppendUvarint(b, uint64(x.n))
		last = x.index
	}
	return b
}

// empty removes all, and keeps the room.
func (d *Durations) empty() { d.n, d.bins = 0, d.bins[:0] }

var errCut = errors.New("a row of the store is damaged")

// largestIndex is of a duration of 2^63 ns, and more than any record holds.
const largestIndex = 2000

func (d *Durations) read(r *reader) {
	n := r.uvarint()
	if n > largestIndex+1 {
		r.err = errCut
		return
	}
	*d = Durations{bins: slices.Grow(d.bins[:0], int(n))}
	index := uint64(0)
	for range n {
		index += r.uvarint()
		b := bin{int32(min(index, largestIndex)), int64(r.uvarint())}
		d.n += b.n
		d.bins = append(d.bins, b)
	}
}

// skip reads one without keeping it.
func (r *reader) skip() {
	n := r.uvarint()
	if n > largestIndex+1 {
		r.err = errCut
		return
	}
	for range 2 * n {
		r.uvarint()
	}
}

// A reader reads what was appended; after an error it gives zeros.
type reader struct {
	b   []byte
	at  int // what is before it was read
	err error
}

func (r *reader) uvarint() uint64 {
	if r.at < len(r.b) && r.b[r.at] < 0x80 { // most are small
		r.at++
		return uint64(r.b[r.at-1])
	}
	return r.longUvarint()
}

func (r *reader) longUvarint() uint64 {
	v, n := binary.Uvarint(r.b[r.at:])
	if n <= 0 {
		r.at, r.err = len(r.b), errCut
		return 0
	}
	r.at += n
	return v
}

// left is how many bytes are still to be read.
func (r *reader) left() int { return len(r.b) - r.at }

// take reads n bytes; nil, and an error, where there are fewer.
func (r *reader) take(n int) []byte {
	if n > r.left() {
		r.at, r.err = len(r.b), errCut
		return nil
	}
	r.at += n
	return r.b[r.at-n : r.at]
}
