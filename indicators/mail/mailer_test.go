package mail

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/piano-roc/rpn/indicators/report"
	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/journal"
)

// A box is what was sent.
type box struct {
	mu   sync.Mutex
	sent []*Message
}

func (b *box) add(m *Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent = append(b.sent, m)
}

func (b *box) ids() (list []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.sent {
		list = append(list, m.ID)
	}
	slices.Sort(list)
	return list
}

var both = []Recipient{
	{Structure: "1010003812", Name: "CHU", Addresses: []string{"dsi@chu.example"}},
	{Structure: "1020000012", Name: "Clinique"}, // no address: the supervision has it
}

// instance is a Mailer on a store that others may share.
func instance(address string, send func(context.Context, *Message) error) *Mailer {
	return New(Options{
		Open:    func(ctx context.Context) (*store.Store, error) { return store.Open(ctx, address, store.Options{}) },
		Reached: func(time.Time) bool { return true }, Recipients: func() []Recipient { return both }, Name: func(roc.NumeroAMC) string { return "" },
		Supervision: []string{"supervision@ans.example"}, Host: "rpn.example", Send: send, Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
}

// until lets the virtual clock come to an instant.
func until(at time.Time) { time.Sleep(time.Until(at)) }

// runs plays instances from an instant to another one.
func runs(t *testing.T, from, to time.Time, all ...*Mailer) {
	t.Helper()
	until(from)
	ctx, end := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for _, m := range all {
		running.Go(func() { m.Run(ctx) })
	}
	until(to)
	end()
	running.Wait()
}

// On the Mondays after both nights of the changed hour, at six in Paris, each
// establishment has its files of the week, one that did nothing too: once, by
// two instances.
func TestEachMondayAtSixInParisOnce(t *testing.T) {
	t.Parallel()
	for _, monday := range []string{"2026-03-30T06:00:00+02:00", "2026-10-26T06:00:00+01:00"} {
		synctest.Test(t, func(t *testing.T) {
			at, err := time.Parse(time.RFC3339, monday)
			if err != nil {
				t.Fatal(err)
			}
			var sent box
			send := func(_ context.Context, m *Message) error {
				if late := time.Since(at); late < 0 || late > time.Minute {
					t.Errorf("%s was sent at %s", m.ID, time.Now())
				}
				sent.add(m)
				return nil
			}
			db := filepath.Join(t.TempDir(), "store.db")
			// The letters of the week before last were sent in their time.
			until(at.AddDate(0, 0, -2))
			s, err := store.Open(t.Context(), db, store.Options{})
			if err != nil {
				t.Fatal(err)
			}
			before := report.WeekOf(at.AddDate(0, 0, -9))
			for _, r := range both {
				if err := errors.Join(s.PutLetters(t.Context(), before.String(), []roc.StructureID{r.Structure}, time.Now()), func() error {
					l, err := s.ClaimLetter(t.Context(), time.Now())
					if err != nil {
						return err
					}
					return s.SentLetter(t.Context(), l, time.Now())
				}()); err != nil {
					t.Fatal(err)
				}
			}
			s.Close()
			runs(t, at.AddDate(0, 0, -2).Add(time.Hour), at.Add(3*time.Hour), instance(db, send), instance(db, send))
			w := report.WeekOf(at.AddDate(0, 0, -7))
			want := []string{fmt.Sprintf("010003812.%s@rpn.example", w), fmt.Sprintf("020000012.%s@rpn.example", w)}
			if got := sent.ids(); !slices.Equal(got, want) {
				t.Fatalf("sent: %v, want %v", got, want)
			}
			for _, m := range sent.sent {
				if len(m.Attached) != 3 || !strings.HasSuffix(m.Attached[0].Name, w.String()+".csv") {
					t.Errorf("%s has %d files", m.ID, len(m.Attached))
				}
				if chu := strings.HasPrefix(m.ID, "010003812"); chu != (m.To[0] == "dsi@chu.example") || !chu && len(m.Cc) != 0 || chu && m.Cc[0] != "supervision@ans.example" {
					t.Errorf("%s goes to %v and %v", m.ID, m.To, m.Cc)
				}
			}
		})
	}
}

// A failure is tried again, less and less often; what is refused is not; and
// what an instance was sending when it died is in doubt, and not sent again.
func TestFailures(t *testing.T) {
	t.Parallel()
	monday := time.Date(2026, 11, 23, 6, 0, 0, 0, store.Paris)
	for name, c := range map[string]struct {
		errs []error // of the attempts in turn
		want string  // state of the letters in the end
		n    int     // attempts for each letter
	}{
		"the server is away for a while": {[]error{errors.New("connection refused"), errors.New("connection refused")}, "sent", 3},
		"an address is refused":          {[]error{ErrRefused}, "dropped", 1},
		"nobody knows":                   {[]error{ErrUnknown}, "doubted", 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			attempts := map[string]int{}
			send := func(_ context.Context, m *Message) error {
				n := attempts[m.ID]
				attempts[m.ID]++
				if n < len(c.errs) {
					return c.errs[n]
				}
				return nil
			}
			db := filepath.Join(t.TempDir(), "store.db")
			m := instance(db, send)
			runs(t, monday.Add(time.Second), monday.Add(time.Hour), m)
			for id, n := range attempts {
				if n != c.n {
					t.Errorf("%s: %s was tried %d times, want %d", name, id, n, c.n)
				}
			}
			wantOutbox(t, db, monday, c.want)
		})
	}
}

func wantOutbox(t *testing.T, db string, monday time.Time, state string) {
	t.Helper()
	s, err := store.Open(t.Context(), db, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got, err := s.Outbox(t.Context(), report.WeekOf(monday.AddDate(0, 0, -7)).String())
	if err != nil || len(got) != 1 || got[state] != len(both) {
		t.Errorf("the outbox is %v, %v; want all %s", got, err, state)
	}
}

// An instance that dies while it sends leaves a letter that no other one sends.
func TestAnInstanceThatDiesWhileItSends(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		monday := time.Date(2026, 11, 23, 6, 0, 0, 0, store.Paris)
		until(monday)
		db := filepath.Join(t.TempDir(), "store.db")
		s, err := store.Open(t.Context(), db, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		week := report.WeekOf(monday.AddDate(0, 0, -7)).String()
		for _, r := range both {
			if err := s.PutLetters(t.Context(), week, []roc.StructureID{r.Structure}, time.Now()); err != nil {
				t.Fatal(err)
			}
			if l, err := s.ClaimLetter(t.Context(), time.Now()); err != nil || l == nil {
				t.Fatal(l, err)
			}
		}
		s.Close()
		var sent box
		runs(t, monday.Add(time.Minute), monday.Add(time.Hour), instance(db, func(_ context.Context, m *Message) error { sent.add(m); return nil }))
		if len(sent.sent) != 0 {
			t.Errorf("sent: %v", sent.ids())
		}
		wantOutbox(t, db, monday, "doubted")
	})
}

// Files are not sent before the figures have the whole week.
func TestFilesWaitForTheFigures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		monday := time.Date(2026, 11, 23, 6, 0, 0, 0, store.Paris)
		caughtUp := monday.Add(30 * time.Minute)
		m := instance(filepath.Join(t.TempDir(), "store.db"), func(_ context.Context, m *Message) error {
			if time.Now().Before(caughtUp) {
				t.Errorf("sent at %s", time.Now())
			}
			return nil
		})
		m.o.Reached = func(week time.Time) bool {
			if !week.Equal(time.Date(2026, 11, 23, 0, 0, 0, 0, store.Paris)) {
				t.Errorf("asked about %s", week)
			}
			return !time.Now().Before(caughtUp)
		}
		runs(t, monday.Add(-time.Hour).Add(time.Second), monday.Add(time.Hour), m)
		m.store = nil
	})
}

// Figures that are counted again while a letter is being written make it wait:
// it goes once they are whole, and none with half of them.
func TestALetterIsNotMadeOfFiguresThatAreCountedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		monday := time.Date(2026, 11, 23, 6, 0, 0, 0, store.Paris)
		whole := monday.Add(20 * time.Minute)
		var sent box
		db := filepath.Join(t.TempDir(), "store.db")
		m := instance(db, func(_ context.Context, m *Message) error {
			if time.Now().Before(whole) {
				t.Errorf("%s was sent at %s", m.ID, time.Now())
			}
			sent.add(m)
			return nil
		})
		asked := 0
		m.o.Reached = func(time.Time) bool { // whole when the letters are put, and no longer when they are written
			asked++
			return asked == 1 || !time.Now().Before(whole)
		}
		runs(t, monday.Add(time.Second), monday.Add(time.Hour), m)
		if len(sent.sent) != len(both) {
			t.Errorf("sent: %v", sent.ids())
		}
		wantOutbox(t, db, monday, "sent")
	})
}

// A week is a journal of exchanges.
type week []*journal.Exchange

func (w week) Bounds() (first, end uint64) { return 0, uint64(len(w)) }

func (w week) Checkpoint() (*journal.Checkpoint, error) {
	return &journal.Checkpoint{Origin: "rpn.example/week", Size: uint64(len(w))}, nil
}

func (w week) Entry(i uint64) (journal.Entry, error) {
	return journal.Entry{Index: i, Exchange: w[i]}, nil
}

func (w week) Entries(from uint64) iter.Seq2[journal.Entry, error] {
	return func(yield func(journal.Entry, error) bool) {
		for i := from; i < uint64(len(w)) && yield(w.Entry(i)); i++ {
		}
	}
}

// The files of an establishment have the exchanges of all its certificates.
func TestTheFilesAreOfAllCertificates(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		monday := time.Date(2026, 11, 23, 6, 0, 0, 0, store.Paris)
		db := filepath.Join(t.TempDir(), "store.db")
		s, err := store.Open(t.Context(), db, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var w week
		for _, from := range []roc.StructureID{"1010003812", "1010003820"} { // the EJ, and a site
			x := &journal.Exchange{}
			x.From, x.To.AMC, x.Service, x.Version, x.Outcome = from, "0099000003", roc.IDB, roc.V2, roc.Answered
			x.RequestIn = monday.AddDate(0, 0, -3)
			x.RequestOut, x.AnswerOut = x.RequestIn, x.RequestIn
			w = append(w, x)
		}
		if err := errors.Join(s.Project(t.Context(), w, nil), s.Close()); err != nil {
			t.Fatal(err)
		}
		var sent box
		m := instance(db, func(_ context.Context, m *Message) error { sent.add(m); return nil })
		m.o.Recipients = func() []Recipient {
			return []Recipient{{Structure: "1010003812", Others: []roc.StructureID{"1010003820"}, Addresses: []string{"dsi@chu.example"}}}
		}
		runs(t, monday.Add(time.Second), monday.Add(time.Hour), m)
		if len(sent.sent) != 1 || !strings.Contains(string(sent.sent[0].Attached[0].Content), ";IDB;V2;2;2;") {
			t.Fatalf("sent: %v", sent.ids())
		}
	})
}
