package top

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// A clock is told the time.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.at }

func (c *clock) advance(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.at = c.at.Add(d) }

func board(c *clock) *Board {
	return New(Options{
		Structure: func(id roc.StructureID) (roc.StructureID, string, bool) {
			return "1990000011", "CHU de Sainte-Fiction", id == "1990000011" || id == "1990000019"
		},
		AMC: func(n roc.NumeroAMC) (roc.NumeroAMC, string, bool) { return n, "Mutuelle Bleue", n == "0099000003" },
		Now: c.now,
	})
}

func exchange(from roc.StructureID, to roc.NumeroAMC, took time.Duration, reason roc.Reason) *roc.Record {
	r := &roc.Record{From: from, To: roc.Key{AMC: to}, RequestIn: noon, AnswerOut: noon.Add(took), AMC: took / 2, RequestBytes: 1000, Outcome: roc.Answered, Target: "roc.bleue.example"}
	if reason != "" {
		r.Outcome, r.Reason = roc.Refused, reason
	}
	return r
}

// Ten exchanges a second for a minute are ten a second; a minute later nothing
// goes on, and the sums stay.
func TestTheBoardShowsWhatGoesOnNow(t *testing.T) {
	t.Parallel()
	c := &clock{at: noon}
	b := board(c)
	for i := range 600 {
		reason := roc.Reason("")
		if i%5 == 0 {
			reason = roc.TooMany
		}
		b.Observe(exchange([]roc.StructureID{"1990000011", "1990000019"}[i%2], "0099000003", 100*time.Millisecond, reason))
		c.advance(100 * time.Millisecond)
	}
	a := b.Activity()
	if len(a.Etablissements) != 1 || len(a.AMC) != 1 {
		t.Fatalf("%+v: a site is its establishment", a)
	}
	es, amc := a.Etablissements[0], a.AMC[0]
	if math.Abs(es.Rate-10) > 0.7 || math.Abs(es.Refused-2) > 0.3 || es.Quota != es.Refused || es.Failed != 0 || math.Abs(es.Bytes-10_000) > 700 {
		t.Errorf("rates: %+v", es)
	}
	if es.P95 < 100 || es.P95 > 111 || amc.P95 < 50 || amc.P95 > 56 {
		t.Errorf("p95 %v and %v, of 100 ms and 50 ms", es.P95, amc.P95)
	}
	if es.Exchanges != 600 || es.Refusals != 120 || es.Last == nil || es.Last.Code != "RPN110" || amc.Host != "roc.bleue.example" || es.Nom != "CHU de Sainte-Fiction" {
		t.Errorf("%+v", es)
	}
	c.advance(2 * time.Minute)
	if es := b.Activity().Etablissements[0]; es.Rate > 0.01 || es.P95 != 0 || es.Exchanges != 600 {
		t.Errorf("two minutes later: %+v", es)
	}
}

// Whoever is not in the register shares one line, whatever it calls itself.
func TestStrangersShareOneLine(t *testing.T) {
	t.Parallel()
	b := board(&clock{at: noon})
	for i := range 50_000 {
		b.Observe(exchange(roc.StructureID(fmt.Sprintf("19%08d", i)), roc.NumeroAMC(fmt.Sprintf("%010d", 10+i)), time.Second, roc.UnknownStructure))
	}
	a := b.Activity()
	if len(a.Etablissements) != 1 || len(a.AMC) != 1 || a.Etablissements[0].ID != Outside || a.Etablissements[0].Exchanges != 50_000 {
		t.Errorf("%d and %d lines", len(a.Etablissements), len(a.AMC))
	}
}

// The p95 is that of the sorted list, to a tenth, whatever the durations.
func TestTheP95IsThatOfTheSortedList(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(8, 8))
	for range 300 {
		var d durations
		var all []time.Duration
		for range 1 + r.IntN(2000) {
			took := time.Duration(math.Exp(r.Float64()*11) * float64(time.Millisecond))
			all = append(all, took)
			d.add(took, noon)
		}
		slices.Sort(all)
		want := all[(len(all)*95+99)/100-1]
		if got := d.p95(noon); got < want-time.Nanosecond || float64(got) > 1.1*float64(max(want, shortest))+1 {
			t.Fatalf("p95 of %d: %s, want %s", len(all), got, want)
		}
	}
}

// Lines are in the order that is asked for, and no more of them than are kept.
func TestLinesAreSortedAndCut(t *testing.T) {
	t.Parallel()
	rests := noon
	a := Activity{
		Etablissements: []Line{{ID: "a", Nom: "Été", Rate: 1, P95: 9}, {ID: "b", Nom: "chêne", Rate: 3, Refused: 1, InFlight: 2}, {ID: "c", Nom: "Buis", Rate: 2, P95: 4}},
		AMC:            []AMC{{Line: Line{ID: "x", Nom: "Aulne", Rate: 9}}, {Line: Line{ID: "z", Nom: "Orme", Rate: 8}}, {Line: Line{ID: "y", Nom: "Pin"}, Rests: &rests}, {Line: Line{ID: "w", Nom: "Saule"}, Rests: &rests}},
	}
	for by, want := range map[Key]string{ByRate: "bc", ByRefusals: "bc", ByP95: "ac", ByInFlight: "bc", ByName: "cb"} {
		s := a
		s.Etablissements, s.AMC = slices.Clone(a.Etablissements), slices.Clone(a.AMC)
		s.Sort(by, 2)
		if got := s.Etablissements[0].ID + s.Etablissements[1].ID; got != want || len(s.Etablissements) != 2 {
			t.Errorf("%s: %s, want %s", by, got, want)
		}
		s.AMC = slices.Clone(a.AMC)
		s.Sort(by, 1)
		var got string
		for _, l := range s.AMC {
			got += l.ID
		}
		if want := map[bool]string{true: "xyw", false: "wyx"}[by == ByName]; got != want {
			t.Errorf("%s: the insurers %s, want %s: those at rest are not cut", by, got, want)
		}
		if s.Lines != [2]int{2, 4} {
			t.Errorf("%s: %v lines before the cut", by, s.Lines)
		}
	}
}

func TestTheBoardIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	b := board(&clock{at: noon})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 500 {
				b.Observe(exchange("1990000011", "0099000003", time.Millisecond, ""))
				b.Activity()
			}
		})
	}
	all.Wait()
	if n := b.Activity().Total.Exchanges; n != 4000 {
		t.Errorf("%d exchanges", n)
	}
}

func BenchmarkObserve(b *testing.B) {
	board := board(&clock{at: noon})
	rec := exchange("1990000011", "0099000003", 20*time.Millisecond, "")
	b.ReportAllocs()
	for b.Loop() {
		board.Observe(rec)
	}
}
