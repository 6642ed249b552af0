package access

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/indicators/report"
	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/journal"
	"github.com/piano-roc/rpn/register"
)

// A page is a journal of exchanges.
type page []*journal.Exchange

func (p page) Bounds() (first, end uint64) { return 0, uint64(len(p)) }
func (p page) Checkpoint() (*journal.Checkpoint, error) {
	return &journal.Checkpoint{Origin: "rpn.example/a", Size: uint64(len(p))}, nil
}
func (p page) Entry(i uint64) (journal.Entry, error) {
	return journal.Entry{Index: i, Exchange: p[i]}, nil
}
func (p page) Entries(from uint64) iter.Seq2[journal.Entry, error] {
	return func(yield func(journal.Entry, error) bool) {
		for i := from; i < uint64(len(p)); i++ {
			if !yield(p.Entry(i)) {
				return
			}
		}
	}
}

// The pairs that changed most are those of a naive recount: with all structure ids
// of an establishment, in whole days of Paris, and over nobody outside the register.
func TestThePairsThatChangedMostAreARecount(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	now := time.Date(2026, 10, 29, 11, 0, 0, 0, time.UTC) // the night of 25 hours is in the last week
	const establishments, insurers = 14, 5
	var es strings.Builder
	es.WriteString("etablissements:\n")
	for i := range establishments {
		fmt.Fprintf(&es, "  - {finess_ej: \"99%06d1\", nom: \"Clinique %d\", etat: cercle, finess_eg: [\"99%06d3\"]}\n", i, i, i)
	}
	var amcs strings.Builder
	amcs.WriteString("amcs:\n")
	for i := range insurers {
		fmt.Fprintf(&amcs, "  - {nom: \"Mutuelle %d\", numeros: [\"%010d\"], etat: cercle}\n", i, 99000000+i)
	}
	esFile, amcFile := filepath.Join(dir, "es.yaml"), filepath.Join(dir, "amc.yaml")
	for file, text := range map[string]string{esFile: es.String(), amcFile: amcs.String()} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	list, err := register.Load(esFile, amcFile, now)
	if err != nil {
		t.Fatal(err)
	}

	weeks := ShiftedWeeks(now)
	type pair struct {
		from string
		to   roc.NumeroAMC
	}
	counted := map[pair]*[2][2]float64{} // by week: all, lost
	r := rand.New(rand.NewPCG(3, 5))
	var records page
	for range 6000 {
		i, k := r.IntN(establishments+1), roc.NumeroAMC(fmt.Sprintf("%010d", 99000000+r.IntN(insurers)))
		kind := "1"
		if r.IntN(3) == 0 {
			kind = "3"
		}
		x := &journal.Exchange{}
		x.From, x.To.AMC, x.Service, x.Version = roc.StructureOf(roc.FINESS(fmt.Sprintf("99%06d", i)+kind)), k, roc.IDB, roc.V2
		x.RequestIn = weeks[0].Add(-24*time.Hour + time.Duration(r.Int64N(int64(16*24*time.Hour))))
		x.Outcome = roc.Answered
		if r.IntN(100) < (7*i+int(k[9]))%40 && x.RequestIn.Weekday() != time.Sunday {
			x.Outcome, x.Reason = roc.Refused, roc.AMCSilent
		}
		x.RequestOut, x.AnswerOut = x.RequestIn, x.RequestIn.Add(time.Second)
		records = append(records, x)
		for w := range 2 {
			if i < establishments && !x.RequestIn.Before(weeks[w]) && x.RequestIn.Before(weeks[w+1]) {
				p := pair{fmt.Sprintf("199%06d1", i), k}
				if counted[p] == nil {
					counted[p] = &[2][2]float64{}
				}
				counted[p][w][0]++
				if x.Reason != "" {
					counted[p][w][1]++
				}
			}
		}
	}
	type line struct {
		pair
		more float64
	}
	var want []line
	for p, n := range counted {
		if more := n[1][1] - n[0][1]*n[1][0]/n[0][0]; n[0][0] >= 20 && n[1][0] >= 20 && n[0][1]/n[0][0] != n[1][1]/n[1][0] {
			want = append(want, line{p, more})
		}
	}
	slices.SortFunc(want, func(x, y line) int {
		if a, b := max(x.more, -x.more), max(y.more, -y.more); a != b {
			if a > b {
				return -1
			}
			return 1
		}
		return strings.Compare(x.from+string(x.to), y.from+string(y.to))
	})
	if len(want) <= keptShifts {
		t.Fatalf("only %d pairs changed: nothing is left out", len(want))
	}
	want = want[:keptShifts]

	open := func(ctx context.Context) (*store.Store, error) {
		return store.Open(ctx, filepath.Join(dir, "figures.db"), store.Options{})
	}
	s, err := open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Project(t.Context(), records, nil); err != nil {
		t.Fatal(err)
	}
	d := New(Options{Open: open, Register: func() *register.List { return list }, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return now }})
	defer d.Close()
	nation, err := d.As(Console()).Nation()
	if err != nil {
		t.Fatal(err)
	}
	if _, ready := nation.Shifts(); ready {
		t.Error("there is a list before it was made")
	}
	if err := d.renewShifts(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, ready := nation.Shifts()
	if !ready || len(got) != len(want) {
		t.Fatalf("%d pairs, want %d", len(got), len(want))
	}
	for i, w := range want {
		if g := got[i]; string(g.Etablissement) != w.from || g.AMC != w.to || g.More() != w.more || [2][2]float64{tally(g.Before), tally(g.After)} != *counted[w.pair] {
			t.Errorf("%d: %+v (%g), want %v %v", i, g, g.More(), w, counted[w.pair])
		}
	}
	one, err := d.As(Console()).Etablissement("1990000001")
	if err != nil {
		t.Fatal(err)
	}
	if list, ready := one.Shifts(); ready || list != nil {
		t.Error("they are told about something else than the nation")
	}
}

func tally(t report.Tally) [2]float64 { return [2]float64{float64(t.All), float64(t.Lost)} }
