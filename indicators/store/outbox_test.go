package store

import (
	"errors"
	"testing"
	"time"

	"github.com/piano-roc/rpn/journal"
)

var week43 = Letter{ID: "semaine/2026-S43/1990000001", Kind: "semaine", For: "1990000001", About: "2026-S43", Next: monday, Expires: monday.AddDate(0, 0, 7)}

// claim takes the next letter.
func (s *Store) claim(t *testing.T, now time.Time) *Letter {
	t.Helper()
	l, err := s.ClaimLetter(t.Context(), []string{"semaine"}, now)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// in fails unless the only letter is in a state.
func (s *Store) in(t *testing.T, when string, want LetterState) Letter {
	t.Helper()
	list, err := s.Letters(t.Context())
	if err != nil || len(list) != 1 || list[0].State != want {
		t.Fatalf("%s: %+v, %v; want %s", when, list, err, want)
	}
	return list[0]
}

// A letter is put once and claimed by one; who claimed it too long ago can
// neither send it nor say what became of it.
func aLetterHasOneOutcome(t *testing.T, fresh func(*testing.T) *Store) {
	s := fresh(t)
	for range 2 {
		if err := s.PutLetters(t.Context(), []Letter{week43}, monday); err != nil {
			t.Fatal(err)
		}
	}
	first := s.claim(t, monday)
	if first == nil || s.claim(t, monday) != nil {
		t.Fatalf("claimed: %+v", first)
	}
	later := monday.Add(ClaimEnds + time.Second)
	if _, err := s.SweepLetters(t.Context(), later); err != nil {
		t.Fatal(err)
	}
	second := s.claim(t, later)
	if second == nil || second.Attempts != 2 {
		t.Fatalf("claimed again: %+v", second)
	}
	if err := s.BeginSending(t.Context(), first, later); !errors.Is(err, ErrClaimLost) {
		t.Errorf("the first sends too: %v", err)
	}
	first.State = Undelivered
	if err := errors.Join(s.BeginSending(t.Context(), second, later), s.SettleLetter(t.Context(), first)); err != nil {
		t.Fatal(err)
	}
	s.in(t, "settled by the first", Sending)
	second.State, second.Next = Partly, later
	second.Done = []Delivery{{Address: "dsi@chu.example"}, {Address: "nobody@chu.example", Refused: "550"}}
	if err := s.SettleLetter(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	s.in(t, "settled", Partly)
	// An operator puts it back: for the address that refused it alone.
	if was, err := s.RetryLetter(t.Context(), week43.ID, later, later.Add(time.Hour)); !was || err != nil {
		t.Fatal(was, err)
	}
	if l := s.in(t, "put back", Due); len(l.Done) != 1 || l.Done[0].Address != "dsi@chu.example" || l.Attempts != 0 {
		t.Errorf("it is %+v", l)
	}
	if was, err := s.RetryLetter(t.Context(), week43.ID, later, later); was || err != nil {
		t.Error("put back twice", was, err)
	}
	if was, err := s.RetryLetter(t.Context(), "semaine/2026-S43/1990000002", later, later); was || err != nil {
		t.Error("an unknown one", was, err)
	}
}

// A letter that was only claimed when its instance ended is due again; one that
// was being sent is in doubt; one that is too late is given up.
func whatEndedInstancesHaveLeft(t *testing.T, fresh func(*testing.T) *Store) {
	s := fresh(t)
	if err := s.PutLetters(t.Context(), []Letter{week43}, monday); err != nil {
		t.Fatal(err)
	}
	sweep := func(at time.Time, want Swept) {
		t.Helper()
		if n, err := s.SweepLetters(t.Context(), at); err != nil || n != want {
			t.Errorf("swept %+v, %v; want %+v", n, err, want)
		}
	}
	s.claim(t, monday)
	sweep(monday.Add(ClaimEnds), Swept{})
	s.in(t, "not so long ago", Claimed)
	at := monday.Add(ClaimEnds + time.Second)
	sweep(at, Swept{})
	s.in(t, "only claimed", Due)
	if err := s.BeginSending(t.Context(), s.claim(t, at), at); err != nil {
		t.Fatal(err)
	}
	sweep(at.Add(SendingEnds), Swept{})
	s.in(t, "being sent", Sending)
	sweep(at.Add(SendingEnds+time.Second), Swept{Doubted: 1})
	s.in(t, "nobody sends it", Doubted)
	if _, err := s.RetryLetter(t.Context(), week43.ID, at, at); err != nil {
		t.Fatal(err)
	}
	if l := s.claim(t, week43.Expires); l != nil {
		t.Errorf("%+v is sent too late", l)
	}
	sweep(week43.Expires, Swept{Late: 1})
	s.in(t, "too late", Undelivered)
}

// What can no longer be sent since before what is kept goes, with the gaps of
// before; the rest stays.
func lettersAndGapsArePrunedByAge(t *testing.T, fresh func(*testing.T) *Store) {
	s := fresh(t)
	next := week43
	next.ID, next.Expires = "semaine/2026-S44/1990000001", week43.Expires.AddDate(0, 0, 7)
	if err := s.PutLetters(t.Context(), []Letter{week43, next}, monday); err != nil {
		t.Fatal(err)
	}
	b := &book{origin: "rpn.example/a"}
	for _, to := range []time.Time{week43.Expires.Add(-time.Hour), week43.Expires.Add(time.Hour)} {
		b.add(journal.Entry{Mark: &journal.Mark{Event: journal.NotRecorded, Count: 3, From: to.Add(-time.Minute), To: to}})
	}
	s.must(t, b)
	if err := s.Prune(t.Context(), week43.Expires.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if l := s.in(t, "pruned", Due); l.ID != next.ID {
		t.Errorf("%s is left", l.ID)
	}
	if g, err := s.Gaps(t.Context(), b.origin); err != nil || g.NotRecorded != 3 {
		t.Errorf("the gaps are %+v, %v", g, err)
	}
}
