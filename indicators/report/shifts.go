package report

import (
	"cmp"
	"slices"

	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/roc"
)

// A Tally is how many exchanges there were, and how many of them did not come
// to an answer that can be used, whoever must act.
type Tally struct{ All, Lost int64 }

// A Shift is how exchanges went in two periods that follow each other, between an
// establishment and an insurer, or with either of them.
type Shift struct {
	Etablissement roc.StructureID
	AMC           roc.NumeroAMC
	Before, After Tally
}

// FewestShifted is how many exchanges of each period a shift is told from.
const FewestShifted = 20

// More is how many exchanges of After were lost beyond the share of Before:
// negative, where it goes better.
func (s *Shift) More() float64 {
	return float64(s.After.Lost) - float64(s.After.All)*float64(s.Before.Lost)/float64(s.Before.All)
}

// Points is the share that was lost After, less that of Before.
func (s *Shift) Points() float64 {
	return float64(s.After.Lost)/float64(s.After.All) - float64(s.Before.Lost)/float64(s.Before.All)
}

// Shifts compares two periods, by the establishment and the insurer of their rows.
// Those with fewer than FewestShifted exchanges in either, and those of which
// nothing changed, are left out, and so is who was never identified.
func Shifts(before, after []store.Row) []Shift {
	type pair struct {
		from roc.StructureID
		to   roc.NumeroAMC
	}
	sums := map[pair]*Shift{}
	add := func(rows []store.Row, of func(*Shift) *Tally) {
		for i := range rows {
			r := &rows[i]
			p := pair{r.Structure, r.AMC}
			if p.from == "-" || p.to == "-" {
				continue
			}
			s := sums[p]
			if s == nil {
				s = &Shift{Etablissement: p.from, AMC: p.to}
				sums[p] = s
			}
			t := of(s)
			if t.All += r.Exchanges; r.Code != store.Answered {
				t.Lost += r.Exchanges
			}
		}
	}
	add(before, func(s *Shift) *Tally { return &s.Before })
	add(after, func(s *Shift) *Tally { return &s.After })
	var list []Shift
	for _, s := range sums {
		if s.Before.All >= FewestShifted && s.After.All >= FewestShifted && s.Points() != 0 {
			list = append(list, *s)
		}
	}
	return list
}

// Largest keeps the n shifts of the most exchanges, the largest first.
func Largest(list []Shift, n int) []Shift {
	slices.SortFunc(list, func(x, y Shift) int {
		a, b := x.More(), y.More()
		return cmp.Or(cmp.Compare(max(b, -b), max(a, -a)), cmp.Compare(x.Etablissement, y.Etablissement), cmp.Compare(x.AMC, y.AMC))
	})
	return list[:min(n, len(list))]
}
