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
	"sync/atomic"
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
	return answering(address, func(ctx context.Context, m *Message, begin func() error) (Outcome, error) {
		if err := begin(); err != nil {
			return Outcome{}, err
		}
		return Outcome{Taken: m.addresses()}, send(ctx, m)
	})
}

// answering is an instance whose server answers so.
func answering(address string, send Send) *Mailer {
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
		running.Go(func() { sweeps(ctx, m) })
	}
	until(to)
	end()
	running.Wait()
}

// sweeps does what the watcher of outages does beside a Mailer.
func sweeps(ctx context.Context, m *Mailer) {
	r := Rounds{Lazy: store.Lazy{Open: m.o.Open}, Failed: func(error) {}}
	defer r.Close()
	const every = 15 * time.Second
	r.Loop(ctx, 0, every, func(ctx context.Context, s *store.Store) (time.Duration, error) {
		return every, Sweep(ctx, s, time.Now(), m.o.Log)
	})
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
				if err := errors.Join(s.PutLetters(t.Context(), []store.Letter{weeklyLetter(before, r.Structure, time.Now())}, time.Now()), func() error {
					l, err := s.ClaimLetter(t.Context(), []string{Weekly}, time.Now())
					if err != nil {
						return err
					}
					l.State = store.Sent
					return s.SettleLetter(t.Context(), l)
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
				if len(m.Attached) != len(report.Files()) || !strings.HasSuffix(m.Attached[0].Name, w.String()+".csv") {
					t.Errorf("%s has %d files", m.ID, len(m.Attached))
				}
				if chu := strings.HasPrefix(m.ID, "010003812"); chu != (m.To[0] == "dsi@chu.example") || !chu && len(m.Cc) != 0 || chu && m.Cc[0] != "supervision@ans.example" {
					t.Errorf("%s goes to %v and %v", m.ID, m.To, m.Cc)
				}
			}
		})
	}
}

// A failure is tried again, less and less often; a message that is refused is
// not, nor one that may have been sent.
func TestFailures(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		errs []error // of the attempts in turn
		want store.LetterState
		n    int // attempts for each letter
	}{
		"the server is away for a while": {[]error{errors.New("connection refused"), errors.New("connection refused")}, store.Sent, 3},
		"a message is refused":           {[]error{ErrRefused}, store.Undelivered, 1},
		"nobody knows":                   {[]error{ErrUnknown}, store.Doubted, 1},
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
			wantOutbox(t, db, c.want)
		})
	}
}

var monday = time.Date(2026, 11, 23, 6, 0, 0, 0, store.Paris)

// wantOutbox fails unless all letters are in a state; it returns them.
func wantOutbox(t *testing.T, db string, state store.LetterState) []store.Letter {
	t.Helper()
	s, err := store.Open(t.Context(), db, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got, err := s.Letters(t.Context())
	if err != nil || len(got) != len(both) {
		t.Errorf("the outbox has %d letters, %v", len(got), err)
	}
	for _, l := range got {
		if l.State != state {
			t.Errorf("%s is %s (%s), want %s", l.ID, l.State, l.Error, state)
		}
	}
	return got
}

// One refused address takes the letter from nobody else, in the whole country
// neither; who was refused is kept, and no log names an address. An address that
// has the letter does not get it again with those that were deferred.
func TestARefusedAddressTakesTheLetterFromNobodyElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		given := map[string]int{}
		var recovered atomic.Bool
		send := func(_ context.Context, m *Message, begin func() error) (out Outcome, err error) {
			for _, a := range m.addresses() {
				switch {
				case strings.HasPrefix(a, "nobody@"):
					out.Refused = append(out.Refused, Refusal{a, &Reply{"RCPT", 550, "5.1.1 <" + a + "> nobody"}})
				case strings.HasPrefix(a, "later@") && !recovered.Load():
					out.Deferred = append(out.Deferred, Refusal{a, &Reply{"RCPT", 451, "4.2.0 <" + a + "> later"}})
				default:
					out.Taken = append(out.Taken, a)
					given[m.ID+" "+a]++
				}
			}
			return out, begin()
		}
		var log strings.Builder
		db := filepath.Join(t.TempDir(), "store.db")
		m := answering(db, send)
		m.o.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		m.o.Supervision = []string{"nobody@ans.example"}
		m.o.Recipients = func() []Recipient {
			return []Recipient{{Structure: both[0].Structure, Addresses: []string{"nobody@chu.example", "a..b@chu.example", "dsi@chu.example", "later@chu.example"}},
				{Structure: both[1].Structure, Addresses: []string{"dsi@clinique.example"}}}
		}
		time.AfterFunc(time.Until(monday)+7*time.Minute, func() { recovered.Store(true) })
		runs(t, monday.Add(time.Second), monday.Add(time.Hour), m)
		for _, a := range []string{"010003812.2026-S47@rpn.example dsi@chu.example", "010003812.2026-S47@rpn.example later@chu.example", "020000012.2026-S47@rpn.example dsi@clinique.example"} {
			if given[a] != 1 {
				t.Errorf("%s: %d times", a, given[a])
			}
		}
		refused := 0
		for _, l := range wantOutbox(t, db, store.Partly) {
			for _, d := range l.Done {
				if d.Refused != "" {
					refused++
				}
			}
		}
		if refused != 4 {
			t.Errorf("%d refused addresses are kept, want 4", refused)
		}
		if text := strings.ReplaceAll(log.String(), "@rpn.example", ""); strings.Contains(text, "@") || !strings.Contains(text, "mail_skipped") || !strings.Contains(text, "mail_partly") {
			t.Errorf("the log:\n%s", &log)
		}
	})
}

// An instance that dies while it sends leaves a letter that no other one sends;
// one that dies before leaves one that another sends.
func TestAnInstanceThatDies(t *testing.T) {
	t.Parallel()
	for _, began := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			until(monday)
			db := filepath.Join(t.TempDir(), "store.db")
			s, err := store.Open(t.Context(), db, store.Options{})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range both {
				if err := s.PutLetters(t.Context(), []store.Letter{weeklyLetter(report.Week{Year: 2026, Number: 47}, r.Structure, time.Now())}, time.Now()); err != nil {
					t.Fatal(err)
				}
				l, err := s.ClaimLetter(t.Context(), []string{Weekly}, time.Now())
				if err == nil && began {
					err = s.BeginSending(t.Context(), l, time.Now())
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			s.Close()
			var sent box
			runs(t, monday.Add(time.Minute), monday.Add(time.Hour), instance(db, func(_ context.Context, m *Message) error { sent.add(m); return nil }))
			if began {
				wantOutbox(t, db, store.Doubted)
			} else {
				wantOutbox(t, db, store.Sent)
			}
			if n := len(sent.sent); n != 0 && began || n != len(both) && !began {
				t.Errorf("began: %v; sent: %v", began, sent.ids())
			}
		})
	}
}

// A process that stops while it sends leaves a letter that the next one sends at
// once.
func TestAStopLeavesTheLetterToTheNextOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := filepath.Join(t.TempDir(), "store.db")
		waits := answering(db, func(ctx context.Context, _ *Message, _ func() error) (Outcome, error) {
			<-ctx.Done()
			return Outcome{}, ctx.Err()
		})
		runs(t, monday.Add(time.Second), monday.Add(time.Minute), waits)
		var sent box
		runs(t, monday.Add(time.Minute), monday.Add(time.Minute+time.Second), instance(db, func(_ context.Context, m *Message) error { sent.add(m); return nil }))
		if len(sent.sent) != len(both) {
			t.Errorf("sent: %v", sent.ids())
		}
	})
}

// A process that stops while it writes a letter leaves it to the next one, too.
func TestAStopWhileALetterIsWrittenLeavesItToTheNextOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		until(monday)
		db := filepath.Join(t.TempDir(), "store.db")
		s, err := store.Open(t.Context(), db, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := s.PutLetters(t.Context(), []store.Letter{{ID: "x", Kind: "x", For: "x", Next: time.Now(), Expires: time.Now().Add(time.Hour)}}, time.Now()); err != nil {
			t.Fatal(err)
		}
		var sent box
		composing := func(c Compose) *Mailer {
			m := instance(db, func(_ context.Context, m *Message) error { sent.add(m); return nil })
			m.o.Compose, m.o.Recipients = map[string]Compose{"x": c}, func() []Recipient { return nil }
			return m
		}
		runs(t, monday.Add(time.Second), monday.Add(time.Minute), composing(func(ctx context.Context, _ *store.Store, _ *store.Letter) (*Message, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}))
		runs(t, monday.Add(time.Minute), monday.Add(time.Minute+time.Second), composing(func(_ context.Context, _ *store.Store, l *store.Letter) (*Message, error) {
			if l.Attempts != 1 {
				t.Errorf("it is attempt %d", l.Attempts)
			}
			return &Message{ID: l.ID, To: []string{"dsi@chu.example"}}, nil
		}))
		if len(sent.sent) != 1 {
			t.Errorf("sent: %v", sent.ids())
		}
	})
}

// After a long stop the files of the last week go, those of the weeks before do
// not: they are exported on demand.
func TestOldWeeksAreNotSentLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := filepath.Join(t.TempDir(), "store.db")
		away := func(context.Context, *Message) error { return errors.New("connection refused") }
		runs(t, monday.Add(time.Second), monday.Add(time.Hour), instance(db, away))
		back := monday.AddDate(0, 0, 24) // the Thursday of the week 51
		var sent box
		runs(t, back, back.Add(time.Hour), instance(db, func(_ context.Context, m *Message) error { sent.add(m); return nil }))
		if want := []string{"010003812.2026-S50@rpn.example", "020000012.2026-S50@rpn.example"}; !slices.Equal(sent.ids(), want) {
			t.Errorf("sent: %v, want %v", sent.ids(), want)
		}
		s, err := store.Open(t.Context(), db, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		late, err := s.Letters(t.Context(), store.Undelivered)
		if err != nil || len(late) != 2 || late[0].About != "2026-S47" {
			t.Errorf("given up: %+v, %v", late, err)
		}
	})
}

// Files are not sent before the figures have the whole week.
func TestFilesWaitForTheFigures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
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
		wantOutbox(t, db, store.Sent)
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
