package nation

import (
	"encoding/csv"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/piano-roc/rpn/indicators/report"
	"github.com/piano-roc/rpn/internal/roc"
)

// The evidence of a day is what was played: each exchange once in the journal,
// and as many in the file of activity as the establishment counts itself.
func TestTheEvidenceOfADayIsWhatWasPlayed(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	played := map[roc.StructureID]int{} // as the RPN closed them, the background traffic of a scene too
	n := start(t, Options{Observers: []func(*roc.Record){func(r *roc.Record) {
		mu.Lock()
		defer mu.Unlock()
		played[r.From]++
	}}})
	var day []Scened
	for _, s := range Day() {
		p, err := n.Play(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		day = append(day, p)
	}
	e, err := n.Prove(t.Context(), day)
	if err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	first, all := e.Proof.Entry.Exchange, 0
	for _, n := range played {
		all += n
	}
	own := played[first.From]
	if e.Journal.Exchanges != uint64(all) || e.Exchanges < len(day)/2 || e.Exchanges > all || e.Journal.Sealed != e.Journal.End {
		t.Errorf("%d exchanges were seen and %d played, the journal has %d, and %d of %d records are sealed", e.Exchanges, all, e.Journal.Exchanges, e.Journal.Sealed, e.Journal.End)
	}
	if len(e.CSV) != len(report.Files()) || len(e.Files) != 3 {
		t.Fatalf("%q, %q", e.CSV, e.Files)
	}
	b, err := os.ReadFile(e.CSV[0])
	if err != nil {
		t.Fatal(err)
	}
	r := csv.NewReader(strings.NewReader(string(b)))
	r.Comma = ';'
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	counted := 0
	for _, row := range rows[1:] {
		i, err := strconv.Atoi(row[6])
		if err != nil {
			t.Fatalf("%q is no number of exchanges: %q", row[6], rows[0])
		}
		counted += i
	}
	// A day that crosses into another week is in two files.
	if counted != own && report.WeekOf(first.RequestIn) == report.WeekOf(n.now()) {
		t.Errorf("the file counts %d exchanges of %s, which sent %d:\n%s", counted, e.Scene.Nom, own, b)
	}

	// One who was not played is missed.
	if _, err := n.Prove(t.Context(), append(day, Scened{Outcome: Outcome{Header: map[string][]string{"Rpn-Echange": {"00000000-0000-7000-8000-000000000000"}}}})); err == nil {
		t.Error("an exchange that is not in the journal is not missed")
	}
}
