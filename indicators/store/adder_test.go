package store

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// What an adder keeps is what Counts.Add makes of the same cells, in whatever order
// they come and however often their room is used again.
func TestAnAdderAddsAsCountsDo(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(11, 12))
	a, want := newAdder(), map[Cell]*Counts{}
	for range 20_000 {
		n := &Counts{Exchanges: int64(r.IntN(3)), AnswerBytes: int64(r.IntN(1000)), unanswered: int64(r.IntN(2))}
		for i, d := range n.all() {
			for range r.IntN(4) * (i % 4) { // one of them is never there
				d.Add(time.Duration(r.ExpFloat64() * float64(time.Second)))
			}
		}
		c := Cell{Begin: int64(r.IntN(5)), Service: roc.AMCServices[r.IntN(4)], AMC: roc.NumeroAMC(rune('a' + r.IntN(20)))}
		a.add(c, n)
		if want[c] == nil {
			want[c] = &Counts{}
		}
		want[c].Add(n)
	}
	a.close()
	if len(want) <= 4*mostOpen || len(a.spare) > mostOpen {
		t.Fatalf("%d cells, %d rooms", len(want), len(a.spare))
	}
	if len(a.cells) != len(want) {
		t.Errorf("%d cells, want %d", len(a.cells), len(want))
	}
	for c, w := range want {
		if got := a.cells[c]; got == nil || !reflect.DeepEqual(got, w) {
			t.Fatalf("%+v:\n%+v, want\n%+v", c, got, w)
		}
	}
}

// A holder hands every row on once, and those of a pair together as far as it may
// hold them.
func TestAHolderHandsEveryRowOn(t *testing.T) {
	t.Parallel()
	for _, most := range []int{1, 60, 1 << 20} {
		given, turns, last := map[packKey]int{}, 0, packKey{}
		h := holder{most: most, scan: func(k packKey, data []byte) error {
			if len(data) != 10 {
				t.Errorf("%v came with %d bytes", k, len(data))
			}
			given[k]++
			if k.structure != last.structure || k.amc != last.amc {
				turns++
			}
			last = k
			return nil
		}}
		for i := range 100 {
			if err := h.add(packKey{pairs, "1010003812", int64(i / 10), roc.NumeroAMC(rune('a' + i%10))}, make([]byte, 10)); err != nil {
				t.Fatal(err)
			}
		}
		if err := h.end(); err != nil {
			t.Fatal(err)
		}
		if len(given) != 100 || len(h.held) != 0 || most > 1000 && turns != 10 {
			t.Errorf("holding %d bytes: %d rows, %d turns, %d left", most, len(given), turns, len(h.held))
		}
		for k, n := range given {
			if n != 1 {
				t.Errorf("%v came %d times", k, n)
			}
		}
	}
}
