package store

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/journal"
)

// What is older than what is kept goes, and the rest stays.
func oldFiguresAreDeleted(t *testing.T, fresh func(*testing.T) *Store) {
	s := fresh(t)
	r := rand.New(rand.NewPCG(5, 5))
	b := &book{origin: "rpn.example/a"}
	for n := range 40 {
		old := exchange(r)
		old.AnswerOut = old.AnswerOut.AddDate(0, -3, -n)
		old.RequestIn = old.RequestIn.AddDate(0, -3, -n)
		b.add(journal.Entry{Exchange: old})
	}
	b.fill(r, 60)
	s.must(t, b)
	if err := s.Prune(t.Context(), monday.AddDate(0, -1, 0)); err != nil {
		t.Fatal(err)
	}
	rows, err := s.Figures(t.Context(), Query{Grain: Day, To: monday})
	if err != nil || len(rows) != 0 {
		t.Errorf("%v, %v", rows, err)
	}
	s.holds(t, r, b)
}

// Old figures go some at a time, each time in a transaction of its own, and along
// the key: what is kept is not read.
func TestOldFiguresGoInBoundedSteps(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "store.db"))
	const perDay, days = 400, 30
	b := &book{origin: "rpn.example/a"}
	for day := range days {
		for n := range perDay {
			x := &journal.Exchange{Record: roc.Record{From: roc.StructureID(fmt.Sprintf("1990%06d", n)), To: roc.Key{AMC: bleue}, Service: roc.IDB, Outcome: roc.Answered}}
			x.RequestIn = monday.AddDate(0, 0, day)
			b.add(journal.Entry{Exchange: x})
		}
	}
	s.must(t, b)
	before := monday.AddDate(0, 0, 25)
	count := func(where string) (n int64) {
		if err := s.db.QueryRow(`SELECT COUNT(*) FROM cells WHERE `+where, before.Unix()).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	old, kept := count("begins < $1"), count("begins >= $1")
	tx, err := s.db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	next, more, err := pruneSome(t.Context(), tx, pairs, "", before.Unix())
	if err != nil || !more || next == "" {
		t.Fatalf("it goes on at %q: %v, %v", next, more, err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if gone := old - count("begins < $1"); gone < pruneAtOnce || gone > pruneAtOnce+perDay {
		t.Errorf("one step deletes %d rows", gone)
	}
	if err := s.Prune(t.Context(), before); err != nil {
		t.Fatal(err)
	}
	if left, still := count("begins < $1"), count("begins >= $1"); left != 0 || still != kept {
		t.Errorf("%d old rows are left, and %d of %d of those that are kept", left, still, kept)
	}
	for _, q := range []string{`SELECT MIN(begins) FROM cells WHERE kind = 'p' AND structure = '1990000011'`, `SELECT MIN(structure) FROM cells WHERE kind = 'p' AND structure > '1990000011'`,
		`DELETE FROM cells WHERE kind = 'p' AND structure = '1990000011' AND begins < 1`} {
		var id, parent, unused int
		var plan string
		if err := s.db.QueryRow("EXPLAIN QUERY PLAN "+q).Scan(&id, &parent, &unused, &plan); err != nil || !strings.HasPrefix(plan, "SEARCH") {
			t.Errorf("%s: %s, %v", q, plan, err)
		}
	}
}
