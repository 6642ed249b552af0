package store

import "math/bits"

// An adder adds the counts of rows up, by cell. Rows of one cell mostly come one after
// the other: they are added up in a room that has a place for each bin there may
// be, and what comes of it is kept as short as any other Counts.
type adder struct {
	cells map[Cell]*Counts
	open  map[Cell]*wide
	spare []*wide
}

func newAdder() *adder { return &adder{cells: map[Cell]*Counts{}, open: map[Cell]*wide{}} }

// mostOpen is how many cells are added up at once. A wide is of 80 KB.
const mostOpen = 64

// A wide is the sum of a cell that is being added up.
type wide struct {
	Counts    // the numbers alone
	durations [5]places
}

// places counts durations by the index of their bin. used has a bit for each
// index that counts something: most count nothing.
type places struct {
	total int64
	used  [largestIndex/64 + 1]uint64
	n     [(largestIndex/64 + 1) * 64]int64
}

func (s *adder) add(c Cell, n *Counts) {
	w := s.open[c]
	if w == nil {
		if len(s.open) == mostOpen {
			s.close()
		}
		if last := len(s.spare) - 1; last >= 0 {
			w, s.spare = s.spare[last], s.spare[:last]
		} else {
			w = &wide{}
		}
		s.open[c] = w
	}
	w.addNumbers(n)
	for i, d := range n.all() {
		w.durations[i].add(d)
	}
}

// close keeps what was added up.
func (s *adder) close() {
	for c, w := range s.open {
		n := &Counts{}
		n.addNumbers(&w.Counts)
		w.Counts = Counts{}
		for i, d := range n.all() {
			*d = w.durations[i].take()
		}
		if before := s.cells[c]; before != nil {
			before.Add(n)
		} else {
			s.cells[c] = n
		}
		s.spare = append(s.spare, w)
	}
	clear(s.open)
}

func (p *places) add(d *Durations) {
	p.total += d.n
	for _, b := range d.bins {
		p.used[b.index>>6] |= 1 << (b.index & 63)
		p.n[b.index] += b.n
	}
}

// take returns what was added, and leaves nothing.
func (p *places) take() (d Durations) {
	if p.total == 0 {
		return d
	}
	bins := 0
	for _, u := range p.used {
		bins += bits.OnesCount64(u)
	}
	d = Durations{p.total, make([]bin, 0, bins)}
	for i, u := range p.used {
		for ; u != 0; u &= u - 1 {
			at := i<<6 + bits.TrailingZeros64(u)
			d.bins = append(d.bins, bin{int32(at), p.n[at]})
			p.n[at] = 0
		}
		p.used[i] = 0
	}
	p.total = 0
	return d
}
