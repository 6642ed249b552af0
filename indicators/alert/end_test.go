package alert

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/journal"
)

// A shelf is a book whose searches are counted, and may miss something.
type shelf struct {
	*book
	asked  int
	unread error
}

func (s *shelf) Find(ctx context.Context, q journal.Query) (*journal.Result, error) {
	s.asked++
	r, err := s.book.Find(ctx, q)
	if s.unread != nil {
		r = &journal.Result{Unread: []error{s.unread}}
	}
	return r, err
}

// An end is an outage from 10:15 to 10:30, and who tells it.
type end struct {
	*rehearsal
	*store.Store
	*Watcher
	shelf  shelf
	outage store.AnnouncedOutage
	now    time.Time
	log    bytes.Buffer
}

func newEnd(t *testing.T) *end {
	t.Helper()
	e := &end{rehearsal: newRehearsal(t, func(time.Time) bool { return true }), now: at(30, 0)}
	s, err := e.rehearsal.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	e.Store, e.shelf.book = s, e.books[0]
	e.Watcher = New(Options{Subscribers: func() []Subscriber { return everyone }, AMC: func(n roc.NumeroAMC) AMC { return AMC{Numeros: []roc.NumeroAMC{n}} },
		Reached: func(time.Time, time.Duration) bool { return true }, Find: func() (Search, error) { return &e.shelf, nil }, Origin: e.shelf.origin, Mails: true, Host: "rpn.example",
		Longest: 90 * time.Second, Post: e.rehearsal.post, Log: slog.New(slog.NewTextHandler(&e.log, nil)), Now: func() time.Time { return e.now }})
	e.outage = store.AnnouncedOutage{AMC: bleue, Began: at(15, 0), Services: []roc.Service{roc.IDB}, Announced: at(18, 0), Over: at(25, 0), Ended: at(30, 0)}
	return e
}

// begin and finish tell both ends.
func (e *end) begin() {
	e.t.Helper()
	o := e.outage
	if err := e.notifyOutage(e.t.Context(), e.Store, &o); err != nil {
		e.t.Fatal(err)
	}
}

func (e *end) finish() {
	e.t.Helper()
	o := e.outage
	if err := e.notifyBack(e.t.Context(), e.Store, &o); err != nil {
		e.t.Fatal(err)
	}
}

func (e *end) claim(kind string) *store.Letter {
	e.t.Helper()
	for {
		l, err := e.ClaimLetter(e.t.Context(), []string{kind}, e.now)
		if err != nil || l == nil {
			e.t.Fatal(l, err)
		}
		if strings.HasPrefix(l.For, string(chu)) {
			return l
		}
	}
}

func (e *end) contributed(want bool, when string) {
	e.t.Helper()
	if got, err := e.Contributed(e.t.Context(), &e.outage, e.shelf.origin); err != nil || got != want {
		e.t.Errorf("%s: contributed %v, %v", when, got, err)
	}
}

// The notice of an outage that could not be sent in time is for nobody once the
// outage is over, by mail and by webhook.
func TestAnOutageThatIsOverIsNotToldAsGoingOn(t *testing.T) {
	t.Parallel()
	e := newEnd(t)
	e.begin()
	mailed, called := e.claim(Outage), e.claim(Outage+webhook)
	if m, err := e.compose(t.Context(), e.Store, mailed); err != nil || m == nil {
		t.Errorf("while it goes on: %v, %v", m, err)
	}
	if c, err := e.event(t.Context(), e.Store, called); err != nil || c == nil {
		t.Errorf("while it goes on: %v, %v", c, err)
	}
	e.finish()
	if m, err := e.compose(t.Context(), e.Store, mailed); err != nil || m != nil {
		t.Errorf("once it is over: %+v, %v", m, err)
	}
	if c, err := e.event(t.Context(), e.Store, called); err != nil || c != nil {
		t.Errorf("once it is over: %+v, %v", c, err)
	}
}

// A journal that cannot be read now is asked again, and keeps nobody from being
// told; what was found is not said to be all before.
func TestAJournalThatCannotBeReadIsAskedAgain(t *testing.T) {
	t.Parallel()
	e := newEnd(t)
	e.call(e.books[0], chu, at(20, 0))
	if err := e.Project(t.Context(), e.books[0], nil); err != nil {
		t.Fatal(err)
	}
	e.begin()
	e.finish()
	e.shelf.unread = errors.New("a segment is away")
	e.now = at(32, 0)
	asked := false
	e.o.Reached = func(time.Time, time.Duration) bool { asked = true; return true }
	if err := e.round(t.Context(), e.Store); !errors.Is(err, e.shelf.unread) || !asked {
		t.Errorf("%v, the insurers were looked at: %v", err, asked)
	}
	e.contributed(false, "while a segment is away")
	e.shelf.unread = nil
	if err := e.round(t.Context(), e.Store); err != nil {
		t.Error(err)
	}
	e.contributed(true, "once it is back")
	if m, err := e.compose(t.Context(), e.Store, e.claim(Back)); err != nil || !strings.Contains(m.Body, "échouer : 1.") {
		t.Errorf("%+v, %v", m, err)
	}
}

// Nothing is contributed while exchanges of before the end may still be under way,
// and the word waits for longer than that.
func TestExchangesUnderWayAreWaitedFor(t *testing.T) {
	t.Parallel()
	e := newEnd(t)
	e.call(e.books[0], chu, at(20, 0))
	if err := e.Project(t.Context(), e.books[0], nil); err != nil {
		t.Fatal(err)
	}
	e.begin()
	e.finish()
	l := e.claim(Back)
	for _, c := range []struct {
		at   time.Time
		want bool
	}{{at(30, 0), false}, {at(31, 29), false}, {at(31, 30), true}} {
		e.now = c.at
		if _, err := e.compose(t.Context(), e.Store, l); !errors.Is(err, errOthers) {
			t.Errorf("the word does not wait at %s: %v", c.at, err)
		}
		if err := e.round(t.Context(), e.Store); err != nil {
			t.Fatal(err)
		}
		e.contributed(c.want, c.at.String())
	}
}

// One question finds what an outage failed; only where there is more than it may
// return the period is halved, and nothing is lost.
func TestAnOutageIsSearchedWithFewQuestions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ n, most int }{{10, 1}, {2*mostFound + 10, 7}} {
		e := newEnd(t)
		for i := range c.n {
			e.call(e.books[0], chu, at(15, 0).Add(time.Duration(i)*15*time.Minute/time.Duration(c.n)))
		}
		list, err := e.failedIn(t.Context(), &e.outage)
		if err != nil || len(list) != 1 || e.shelf.asked > c.most {
			t.Fatalf("%d exchanges: %d lists with %d questions, %v", c.n, len(list), e.shelf.asked, err)
		}
		rows := strings.Count(list[0].Rows, "\r\n")
		if rows != min(c.n, mostRows) || rows+int(list[0].Missed) != c.n {
			t.Errorf("%d exchanges: %d rows, %d missed", c.n, rows, list[0].Missed)
		}
	}
}

// A calculation and a cancellation that the insurer may have done are told as such,
// in the file, the mail and the webhook; nothing else is.
func TestWhatMayHaveBeenDoneIsToBeVerified(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		service roc.Service
		reason  roc.Reason
		cause   roc.CauseCode
		want    string
	}{
		{roc.CLC, roc.AMCSilent, "", "oui"}, {roc.ANL, roc.AMCSilent, "", "oui"}, {roc.IDB, roc.AMCSilent, "", "non"}, {roc.SIM, roc.AMCBadAnswer, "", "non"},
		{roc.CLC, roc.AMCBadAnswer, roc.AnswerCut, "oui"}, {roc.ANL, roc.AMCNotSOAP, "", "oui"}, {roc.CLC, roc.AMCUnreachable, "", "non"}, {roc.CLC, roc.AMCResting, "", "non"},
	} {
		e := newEnd(t)
		e.call(e.books[0], chu, at(20, 0))
		x := e.books[0].all[0]
		x.Service, x.Reason, x.CauseCode = c.service, c.reason, c.cause
		if err := e.Project(t.Context(), e.books[0], nil); err != nil {
			t.Fatal(err)
		}
		e.begin()
		e.finish()
		e.now = at(32, 0)
		if err := e.round(t.Context(), e.Store); err != nil {
			t.Fatal(err)
		}
		m, err := e.compose(t.Context(), e.Store, e.claim(Back))
		if err != nil || len(m.Attached) != 1 {
			t.Fatal(m, err)
		}
		if file := string(m.Attached[0].Content); !strings.Contains(file, ";issue;verifier\r\n") || !strings.HasSuffix(file, ";"+c.want+"\r\n") {
			t.Errorf("%v %s: %q", c.service, c.reason, file)
		}
		if strings.Contains(m.Body, roc.VerifyBefore) != (c.want == "oui") {
			t.Errorf("%v %s: %s", c.service, c.reason, m.Body)
		}
		call, err := e.event(t.Context(), e.Store, e.claim(Back+webhook))
		if err != nil || !strings.Contains(string(call.Body), `"verifier":"`+c.want+`"`) {
			t.Errorf("%v %s: %v %v", c.service, c.reason, call, err)
		}
	}
}

// Alerts that wait for figures say so, once each time.
func TestAlertsThatWaitAreLogged(t *testing.T) {
	t.Parallel()
	e := newEnd(t)
	late := false
	e.o.Reached = func(time.Time, time.Duration) bool { return !late }
	for i := range 100 {
		late = i%50 > 10
		if err := e.round(t.Context(), e.Store); err != nil {
			t.Fatal(err)
		}
		e.now = e.now.Add(look)
	}
	if n := strings.Count(e.log.String(), "event=alert_waits"); n != 2 {
		t.Errorf("it is logged %d times:\n%s", n, &e.log)
	}
}

// The watcher counts what waits in the outbox, and logs what it gives up: there may
// be no mailer.
func TestTheWatcherTellsOfTheOutbox(t *testing.T) {
	t.Parallel()
	e := newEnd(t)
	if _, read := e.Watcher.OutboxState(); read {
		t.Error("it knows the outbox before it looked")
	}
	e.begin()
	began := e.now
	if err := e.round(t.Context(), e.Store); err != nil {
		t.Fatal(err)
	}
	if got, _ := e.Watcher.OutboxState(); got.Waiting != 4 || got.Oldest.Sub(began).Abs() > 15*time.Minute {
		t.Errorf("%+v, want 4 since %s", got, began)
	}
	e.now = e.now.Add(outageExpires)
	if err := e.round(t.Context(), e.Store); err != nil {
		t.Fatal(err)
	}
	if got, _ := e.Watcher.OutboxState(); got.Waiting != 0 || got.Undelivered != 4 {
		t.Errorf("once it is too late: %+v", got)
	}
	if !strings.Contains(e.log.String(), "event=mail_late letters=4") {
		t.Errorf("the log:\n%s", &e.log)
	}
}

// A call that a stop cut short is made by the next process at once, with the same
// webhook-id, and was no attempt.
func TestAStopLeavesTheCallToTheNextOne(t *testing.T) {
	t.Parallel()
	e := newEnd(t)
	e.begin()
	ctx, stop := context.WithCancel(t.Context())
	e.o.Post = func(ctx context.Context, _ Event) error {
		stop()
		return ctx.Err()
	}
	if err := e.Watcher.post(ctx, e.Store); err != nil {
		t.Fatal(err)
	}
	l, err := e.ClaimLetter(t.Context(), []string{Outage + webhook}, e.now)
	if err != nil || l == nil || l.Attempts != 1 {
		t.Errorf("the next process has %+v, %v", l, err)
	}
	if strings.Contains(e.log.String(), "event=webhook_retried") {
		t.Errorf("the log:\n%s", &e.log)
	}
}
