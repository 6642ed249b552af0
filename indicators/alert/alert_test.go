package alert

import (
	"context"
	"encoding/json"
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

	"github.com/piano-roc/rpn/indicators/mail"
	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/journal"
)

const look = 15 * time.Second

const (
	bleue = roc.NumeroAMC("0099000003")
	verte = roc.NumeroAMC("0099000011")
	chu   = roc.StructureID("1010003812")
	site  = roc.StructureID("1010003820") // of the CHU
	lac   = roc.StructureID("1020000012")
)

var everyone = []Subscriber{
	{ID: string(chu), Structures: []roc.StructureID{chu, site}, Channels: []Channel{{Mail: "dsi@chu.example"}, {Webhook: "https://chu.example/rpn"}}},
	{ID: string(lac), Structures: []roc.StructureID{lac}, Channels: []Channel{{Mail: "dsi@lac.example", AMCs: []roc.NumeroAMC{verte}}}},
	{ID: "amc-" + string(bleue), Channels: []Channel{{Mail: "astreinte@bleue.example", AMCs: []roc.NumeroAMC{bleue}}}},
	{ID: Operators, Channels: []Channel{{Mail: "astreinte@rpn.example"}}},
}

// A journal of one instance, that grows.
type book struct {
	origin string

	mu  sync.Mutex
	all []*journal.Exchange
}

func (b *book) Bounds() (first, end uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return 0, uint64(len(b.all))
}

func (b *book) Checkpoint() (*journal.Checkpoint, error) {
	_, end := b.Bounds()
	if end == 0 {
		return nil, journal.ErrNotSealed
	}
	return &journal.Checkpoint{Origin: b.origin, Size: end}, nil
}

func (b *book) Entry(i uint64) (journal.Entry, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return journal.Entry{Index: i, Leaf: journal.LeafHash(fmt.Append(nil, b.origin, i)), Exchange: b.all[i]}, nil
}

func (b *book) Entries(from uint64) iter.Seq2[journal.Entry, error] {
	return func(yield func(journal.Entry, error) bool) {
		_, end := b.Bounds()
		for i := from; i < end && yield(b.Entry(i)); i++ {
		}
	}
}

func (b *book) Close() {}

// Find is a naive search.
func (b *book) Find(_ context.Context, q journal.Query) (*journal.Result, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := &journal.Result{}
	for _, x := range b.all {
		if x.To.AMC == q.AMC && !x.RequestIn.Before(q.From) && x.RequestIn.Before(q.To) && x.Outcome == q.Outcome {
			if r.Total++; len(r.Matches) < q.Limit {
				r.Matches = append(r.Matches, journal.Match{Entry: journal.Entry{Exchange: x}})
			}
		}
	}
	return r, nil
}

// A rehearsal is a day of calls to an insurer, by a virtual clock.
type rehearsal struct {
	t     *testing.T
	db    string
	books []*book
	bad   func(at time.Time) bool // whether the insurer is silent

	mu    sync.Mutex
	mails map[string][]*mail.Message // by id
	posts map[string][]Event
	order []string
	deaf  func() bool // whether the webhook does not answer
}

func newRehearsal(t *testing.T, bad func(time.Time) bool) *rehearsal {
	return &rehearsal{t: t, db: filepath.Join(t.TempDir(), "store.db"), bad: bad, books: []*book{{origin: "rpn.example/a"}, {origin: "rpn.example/b"}},
		mails: map[string][]*mail.Message{}, posts: map[string][]Event{}, deaf: func() bool { return false }}
}

// call writes one exchange at an instance.
func (w *rehearsal) call(b *book, from roc.StructureID, at time.Time) {
	x := &journal.Exchange{}
	x.ID, x.From, x.To.AMC, x.Service, x.Version = roc.NewExchangeID(at), from, bleue, roc.IDB, roc.V2
	x.MessageID = string(roc.NewExchangeID(at))
	x.RequestIn, x.RequestOut, x.AnswerOut = at, at, at
	x.Outcome = roc.Answered
	if w.bad(at) {
		x.Outcome, x.Reason, x.MustAct = roc.Refused, roc.AMCSilent, roc.ByAMC
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = append(b.all, x)
}

// run plays the calls and the instances until an instant.
func (w *rehearsal) run(until time.Time) {
	w.t.Helper()
	ctx, end := context.WithCancel(w.t.Context())
	var running sync.WaitGroup
	s, err := store.Open(ctx, w.db, store.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, b := range w.books {
		watcher := New(Options{
			Open: w.open, Reached: func(time.Time, time.Duration) bool { return true }, Subscribers: func() []Subscriber { return everyone },
			AMC:  func(n roc.NumeroAMC) AMC { return AMC{"Mutuelle Bleue", []roc.NumeroAMC{n}} },
			Find: func() (Search, error) { return b, nil }, Origin: b.origin, Every: look, Down: 2 * time.Minute, Up: 10 * time.Minute, Mails: true, Host: "rpn.example", Post: w.post,
			Log: slog.New(slog.DiscardHandler), Now: time.Now,
		})
		mailer := mail.New(mail.Options{
			Open: w.open, Reached: func(time.Time) bool { return false }, Recipients: func() []mail.Recipient { return nil }, Host: "rpn.example",
			Compose: watcher.Compose(), Send: w.send, Log: slog.New(slog.DiscardHandler), Now: time.Now,
		})
		running.Go(func() { watcher.Run(ctx) })
		running.Go(func() { mailer.Run(ctx) })
	}
	for time.Now().Before(until) {
		for _, b := range w.books {
			for _, from := range []roc.StructureID{chu, site, lac} {
				w.call(b, from, time.Now())
			}
			if err := s.Project(ctx, b, nil); err != nil {
				w.t.Error(err)
			}
		}
		time.Sleep(10 * time.Second) // of the virtual clock: nothing is awaited
	}
	end()
	running.Wait()
	s.Close()
}

func (w *rehearsal) open(ctx context.Context) (*store.Store, error) {
	return store.Open(ctx, w.db, store.Options{})
}

func (w *rehearsal) send(_ context.Context, m *mail.Message, begin func() error) (mail.Outcome, error) {
	if err := begin(); err != nil {
		return mail.Outcome{}, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mails[m.ID] = append(w.mails[m.ID], m)
	w.order = append(w.order, m.ID)
	return mail.Outcome{Taken: m.To}, nil
}

func (w *rehearsal) post(_ context.Context, e Event) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.deaf() {
		return errors.New("no answer")
	}
	w.posts[e.ID] = append(w.posts[e.ID], e)
	return nil
}

// told are the ids of what was sent, without the instants in them.
func (w *rehearsal) told() (list []string) {
	add := func(id string, n int) {
		parts := strings.Split(strings.TrimSuffix(id, "@rpn.example"), ".")
		list = append(list, fmt.Sprintf("%s %s x%d", parts[0], parts[3], n))
	}
	for id, m := range w.mails {
		add(id, len(m))
	}
	for id, e := range w.posts {
		add(id, len(e))
	}
	slices.Sort(list)
	return list
}

var morning = time.Date(2026, 11, 23, 10, 0, 0, 0, store.Paris)

func at(minutes, seconds int) time.Time {
	return morning.Add(time.Duration(minutes)*time.Minute + time.Duration(seconds)*time.Second)
}

// Those who asked are told that an insurer is out, and that it is back with their
// own exchanges to play again: once, by two instances that are restarted
// meanwhile. Who asked for another insurer is not told.
func TestAnOutageAndItsEndAreToldOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bad := func(x time.Time) bool { return !x.Before(at(7, 0)) && x.Before(at(21, 0)) }
		w := newRehearsal(t, bad)
		w.deaf = func() bool { return time.Now().Before(at(12, 0)) } // the webhook has an outage of its own
		time.Sleep(time.Until(at(-15, 0)))
		w.run(at(9, 0)) // it is out, and not for long enough
		if got := w.told(); len(got) != 0 {
			t.Errorf("told too soon: %v", got)
		}
		w.run(at(15, 0))
		outage := []string{"panne 1010003812 x1", "panne amc-0099000003 x1", "panne exploitant x1", "panne-webhook 1010003812 x1"}
		if got := w.told(); !slices.Equal(got, outage) {
			t.Errorf("told: %v, want %v", got, outage)
		}
		w.run(at(33, 0)) // it is back since 10:25, and not for long enough
		if got := w.told(); !slices.Equal(got, outage) {
			t.Errorf("told: %v, want %v", got, outage)
		}
		w.run(at(60, 0))
		w.run(at(80, 0))
		want := append(slices.Clone(outage), "retour 1010003812 x1", "retour amc-0099000003 x1", "retour exploitant x1", "retour-webhook 1010003812 x1")
		if got := w.told(); !slices.Equal(got, want) {
			t.Fatalf("told: %v, want %v", got, want)
		}
		w.sameExchanges(t)
	})
}

// sameExchanges compares what is to be played again with a naive recount.
func (w *rehearsal) sameExchanges(t *testing.T) {
	t.Helper()
	want := map[string]bool{}
	for _, b := range w.books {
		for _, x := range b.all {
			if (x.From == chu || x.From == site) && x.Outcome == roc.Refused {
				want[string(x.ID)+";"+x.MessageID] = true
			}
		}
	}
	for id, m := range w.mails {
		if !strings.HasPrefix(id, "retour.") {
			continue
		}
		if m[0].To[0] != "dsi@chu.example" {
			if len(m[0].Attached) != 0 {
				t.Errorf("%s has exchanges", m[0].To)
			}
			continue
		}
		lines := strings.Split(strings.TrimSpace(string(m[0].Attached[0].Content)), "\r\n")
		if lines[0] != "\uFEFF"+replayHead || !slices.IsSorted(lines[1:]) || !strings.Contains(m[0].Body, fmt.Sprintf("échouer : %d.", len(want))) {
			t.Errorf("the file begins with %q; the mail:\n%s", lines[0], m[0].Body)
		}
		got := map[string]bool{}
		for _, l := range lines[1:] {
			c := strings.Split(l, ";")
			got[c[1]+";"+c[2]] = true
			if c[3] != "IDB" || c[5] != roc.AMCSilent.Meaning().Code {
				t.Errorf("line %q", l)
			}
		}
		sameSet(t, "the mail", got, want)
	}
	for id, e := range w.posts {
		if !strings.HasPrefix(id, "retour-webhook.") {
			continue
		}
		var body jsonEvent
		if err := json.Unmarshal(e[0].Body, &body); err != nil {
			t.Fatal(err)
		}
		got := map[string]bool{}
		for _, x := range body.Echanges {
			got[x.Echange+";"+x.MessageID] = true
		}
		sameSet(t, "the webhook", got, want)
		if body.Depuis != at(5, 0).UTC().Format(time.RFC3339) || body.Jusque != at(25, 0).UTC().Format(time.RFC3339) || body.Incomplete {
			t.Errorf("it is about %s to %s, incomplete: %v", body.Depuis, body.Jusque, body.Incomplete)
		}
	}
}

func sameSet(t *testing.T, who string, got, want map[string]bool) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s has %d exchanges, want %d", who, len(got), len(want))
	}
	for id := range want {
		if !got[id] {
			t.Fatalf("%s lacks %s", who, id)
		}
	}
}

// An insurer that fails for a moment is not told; one that comes and goes is told
// once, and its end once it stays.
func TestAnOutageIsDamped(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		bad  func(time.Time) bool
		want int // letters of each kind to the operators
	}{
		"a moment": {func(x time.Time) bool { return !x.Before(at(7, 0)) && x.Before(at(7, 50)) }, 0},
		"it comes and goes": {func(x time.Time) bool {
			return !x.Before(at(0, 0)) && x.Before(at(40, 0)) && x.Minute()%8 < 4
		}, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newRehearsal(t, c.bad)
			time.Sleep(time.Until(at(-5, 0)))
			w.run(at(75, 0))
			n := map[string]int{}
			for id, m := range w.mails {
				if strings.Contains(id, Operators) {
					n[strings.Split(id, ".")[0]] += len(m)
				}
			}
			if n[Outage] != c.want || n[Back] != c.want {
				t.Errorf("%s: told %v, want %d of each", name, n, c.want)
			}
		})
	}
}

// Nothing is told of figures that are late.
func TestNothingIsToldOfWhatIsNotKnown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newRehearsal(t, func(time.Time) bool { return true })
		time.Sleep(time.Until(morning))
		s, err := w.open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		asked := 0
		watcher := New(Options{Reached: func(x time.Time, quiet time.Duration) bool {
			asked++
			if !x.Equal(time.Now().Add(-late)) || quiet != silent {
				t.Errorf("asked about %s at %s", x, time.Now())
			}
			return asked < 20 // before it was out for long enough
		}, Subscribers: func() []Subscriber { return everyone }, AMC: func(n roc.NumeroAMC) AMC { return AMC{Numeros: []roc.NumeroAMC{n}} },
			Origin: "rpn.example/a", Every: look, Down: 10 * time.Minute, Up: 10 * time.Minute, Mails: true, Log: slog.New(slog.DiscardHandler), Now: time.Now})
		for range 200 {
			for range 3 {
				w.call(w.books[0], chu, time.Now())
			}
			if err := errors.Join(s.Project(t.Context(), w.books[0], nil), watcher.round(t.Context(), s)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(look) // of the virtual clock: nothing is awaited
		}
		if list, err := s.Letters(t.Context()); err != nil || len(list) != 0 {
			t.Errorf("told: %v, %v", list, err)
		}
	})
}

// A letter waits for the exchanges of the other instances, and says so when they
// do not come.
func TestALetterWaitsForTheOtherInstances(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newRehearsal(t, func(time.Time) bool { return true })
		s, err := w.open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		time.Sleep(time.Until(at(30, 0)))
		for _, b := range w.books {
			w.call(b, chu, at(20, 0))
			if err := s.Project(t.Context(), b, nil); err != nil {
				t.Fatal(err)
			}
		}
		o := &store.AnnouncedOutage{AMC: bleue, Began: at(15, 0), Services: []roc.Service{roc.IDB}, Announced: at(18, 0), Over: at(25, 0), Ended: at(30, 0)}
		if _, err := s.BeginOutage(t.Context(), o, nil); err != nil {
			t.Fatal(err)
		}
		watcher := New(Options{Subscribers: func() []Subscriber { return everyone }, AMC: func(n roc.NumeroAMC) AMC { return AMC{Numeros: []roc.NumeroAMC{n}} },
			Find: func() (Search, error) { return w.books[0], nil }, Origin: w.books[0].origin, Mails: true, Host: "rpn.example", Log: slog.New(slog.DiscardHandler), Now: time.Now})
		if err := watcher.notifyBack(t.Context(), s, o); err != nil {
			t.Fatal(err)
		}
		if err := watcher.contribute(t.Context(), s, []store.AnnouncedOutage{*o}, time.Now()); err != nil {
			t.Fatal(err)
		}
		l, err := s.ClaimLetter(t.Context(), []string{Back}, time.Now())
		if err != nil || l == nil || l.For != string(chu) {
			t.Fatal(l, err)
		}
		if _, err := watcher.compose(t.Context(), s, l); !errors.Is(err, errOthers) {
			t.Errorf("it does not wait: %v", err)
		}
		time.Sleep(waitForOthers)
		m, err := watcher.compose(t.Context(), s, l)
		if err != nil || !strings.Contains(m.Body, "La liste n'est pas complète") || len(m.Attached) != 1 {
			t.Errorf("%+v, %v", m, err)
		}
	})
}
