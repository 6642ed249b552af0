// Package mail sends the letters of the outbox by SMTP, once each: the
// weekly files to each establishment and to the national supervision, each Monday
// at six in Paris, and what others put there (the notice of an outage).
package mail

import (
	"context"
	"errors"
	"log/slog"
	"net/mail"
	"slices"
	"sync"
	"time"

	"github.com/piano-roc/rpn/indicators/report"
	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/roc"
)

// A Recipient is an establishment and its addresses.
type Recipient struct {
	Structure roc.StructureID
	Others    []roc.StructureID // that its certificates may carry: their exchanges are its own too
	Name      string
	Addresses []string // may be none: the supervision has the files all the same
}

// Options are what a Mailer needs, all of it but Compose.
type Options struct {
	Open func(context.Context) (*store.Store, error)

	// Reached reports whether the figures have every exchange of before t, of all
	// instances that share the store.
	Reached func(t time.Time) bool

	Recipients  func() []Recipient             // of now
	Name        func(amc roc.NumeroAMC) string // of an insurer; ""
	Supervision []string                       // addresses; may be none
	Host        string                         // of the Message-ID: one for all instances
	Send        Send                           // of NewSMTP

	// Compose writes the letters of other kinds. They wait for no weekly file.
	Compose map[string]Compose

	Log *slog.Logger
	Now func() time.Time
}

// A Compose writes the mail of a letter; nil: there is nobody to write to.
type Compose func(context.Context, *store.Store, *store.Letter) (*Message, error)

// ErrLater is in an error of Compose: the letter waits, and nothing failed.
var ErrLater = errors.New("the letter waits")

// A Message is one mail.
type Message struct {
	ID       string // the same for one letter, whoever sends it
	To, Cc   []string
	Subject  string
	Body     string
	Date     time.Time
	Attached []Attachment
}

func (m *Message) addresses() []string { return slices.Concat(m.To, m.Cc) }

// An Attachment is one file of a Message.
type Attachment struct {
	Name    string
	Content []byte
}

// Send sends a message to those of its addresses that the server accepts. It
// calls begin once some are, and the server is about to be given the message;
// when begin fails nothing is sent. A failure is told by the two errors; any
// other one says that the message was certainly not sent, and may be tried again.
// It gives up when the context ends.
type Send func(ctx context.Context, m *Message, begin func() error) (Outcome, error)

// The errors of Send.
var (
	ErrRefused = errors.New("the message is refused for good")
	ErrUnknown = errors.New("it is not known whether the message was sent")
)

// An Outcome is what became of a message at each of its addresses.
type Outcome struct {
	Taken             []string
	Refused, Deferred []Refusal // for good; for now
}

// A Refusal is what a server has against one address.
type Refusal struct {
	Address string
	Reply   *Reply
}

const (
	look       = time.Minute     // how often the outbox is looked at
	lookSoon   = 5 * time.Second // the same, while letters wait, and for those of other kinds
	firstRetry = 5 * time.Minute // doubled at each attempt
	lastRetry  = 4 * time.Hour
)

// A Mailer sends the letters of the outbox.
type Mailer struct {
	o   Options
	put report.Week // the last week whose letters are in the outbox

	rounds Rounds
	unsent Failures // to send a letter
}

// New makes a Mailer. Call Run; letters that instances that ended have left are
// taken up by whoever calls Sweep.
func New(o Options) *Mailer {
	m := &Mailer{o: o}
	m.rounds.Open = o.Open
	m.rounds.Failed = func(err error) {
		o.Log.Error("the mails cannot be prepared; it is tried again", slog.String("event", "mail_failed"), slog.String("error", err.Error()))
	}
	return m
}

// Run sends what is due until ctx ends. The letters of other kinds are sent
// beside the weekly files, which may be many.
func (m *Mailer) Run(ctx context.Context) {
	defer m.rounds.Close()
	var running sync.WaitGroup
	defer running.Wait()
	if len(m.o.Compose) > 0 {
		var kinds []string
		for k := range m.o.Compose {
			kinds = append(kinds, k)
		}
		running.Go(func() {
			m.rounds.Loop(ctx, 1, look, func(ctx context.Context, s *store.Store) (time.Duration, error) {
				return lookSoon, m.deliverAll(ctx, s, kinds)
			})
		})
	}
	m.rounds.Loop(ctx, 0, look, m.weekly)
}

// weekly puts the letters of the last week into the outbox once they are due, and
// sends all that is due.
func (m *Mailer) weekly(ctx context.Context, s *store.Store) (pause time.Duration, err error) {
	if pause, err = m.putWeek(ctx, s); err != nil {
		return pause, err
	}
	return pause, m.deliverAll(ctx, s, []string{Weekly})
}

func (m *Mailer) deliverAll(ctx context.Context, s *store.Store, kinds []string) error {
	for ctx.Err() == nil {
		l, err := s.ClaimLetter(ctx, kinds, m.o.Now())
		if err != nil || l == nil {
			return err
		}
		if err := m.deliver(ctx, s, l); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// deliver sends one letter and writes down what became of it.
func (m *Mailer) deliver(ctx context.Context, s *store.Store, l *store.Letter) error {
	compose := m.o.Compose[l.Kind]
	if l.Kind == Weekly {
		compose = m.compose
	}
	msg, err := compose(ctx, s, l)
	var out Outcome
	switch {
	case errors.Is(err, ErrLater):
		l.State, l.Next, l.Error, l.Attempts = store.Due, m.o.Now().Add(lookSoon), err.Error(), l.Attempts-1
	case err != nil && ctx.Err() != nil:
		m.leave(l, err)
	case err != nil:
		m.again(l, err)
	case msg == nil:
		l.State, l.Next, l.Error = store.Undelivered, m.o.Now(), "nobody to write to"
	default:
		id := slog.String("message_id", msg.ID)
		if msg = m.addressed(msg, l, id); msg == nil {
			m.close(l, id)
			break
		}
		out, err = m.o.Send(ctx, msg, func() error { return s.BeginSending(ctx, l, m.o.Now()) })
		m.settle(l, out, err, id, ctx.Err() != nil)
	}
	// What became of it is written down even when the RPN stops meanwhile.
	return s.SettleLetter(context.WithoutCancel(ctx), l)
}

// addressed leaves the message to those that do not have it; nil: to nobody. An
// address that is none is skipped, and kept as refused.
func (m *Mailer) addressed(msg *Message, l *store.Letter, id slog.Attr) *Message {
	seen := map[string]bool{}
	for _, d := range l.Done {
		seen[d.Address] = true
	}
	skipped := 0
	left := func(list []string) (keep []string) {
		for _, a := range list {
			if seen[a] {
				continue
			}
			seen[a] = true
			if p, err := mail.ParseAddress(a); err != nil || p.Address != a {
				skipped++
				l.Done = append(l.Done, store.Delivery{Address: a, Refused: "it is not an address"})
				continue
			}
			keep = append(keep, a)
		}
		return keep
	}
	n := *msg
	n.To, n.Cc = left(msg.To), left(msg.Cc)
	if skipped > 0 {
		m.o.Log.Error("addresses of a letter are none, and are skipped", slog.String("event", "mail_skipped"), id, slog.Int("addresses", skipped))
	}
	if len(n.To) == 0 {
		n.To, n.Cc = n.Cc, nil
	}
	if len(n.To) == 0 {
		return nil
	}
	return &n
}

// settle says what became of a letter that was sent, or not.
func (m *Mailer) settle(l *store.Letter, out Outcome, err error, id slog.Attr, stopped bool) {
	switch {
	case err == nil:
		for _, a := range out.Taken {
			l.Done = append(l.Done, store.Delivery{Address: a})
		}
		for _, r := range out.Refused {
			l.Done = append(l.Done, store.Delivery{Address: r.Address, Refused: detail(r.Reply)})
		}
		if len(out.Deferred) > 0 {
			m.again(l, out.Deferred[0].Reply)
			return
		}
		m.close(l, id)
	case errors.Is(err, ErrUnknown):
		m.o.Log.Error("it is not known whether a letter was sent: it is not sent again", slog.String("event", "mail_doubted"), id, slog.String("error", err.Error()))
		l.State, l.Next, l.Error = store.Doubted, m.o.Now(), detail(err)
	case errors.Is(err, ErrRefused):
		m.o.Log.Error("the server refuses a letter", slog.String("event", "mail_refused"), id, slog.String("error", err.Error()))
		l.State, l.Next, l.Error = store.Undelivered, m.o.Now(), detail(err)
	case stopped:
		m.leave(l, err)
	default:
		m.again(l, err)
	}
}

// close is of a letter for whose addresses there is nothing left to do.
func (m *Mailer) close(l *store.Letter, id slog.Attr) {
	refused, why := 0, ""
	for _, d := range l.Done {
		if d.Refused != "" {
			refused++
			why = d.Refused
		}
	}
	l.Next, l.Error = m.o.Now(), why
	n := slog.Int("refused", refused)
	switch {
	case refused == 0:
		l.State = store.Sent
		m.unsent.First(0, nil)
		m.o.Log.Info("a letter was sent", slog.String("event", "mail_sent"), id)
	case refused < len(l.Done):
		l.State = store.Partly
		m.o.Log.Error("a letter was sent, and refused for some of its addresses", slog.String("event", "mail_partly"), id, n)
	default:
		l.State = store.Undelivered
		m.o.Log.Error("a letter was refused for all of its addresses", slog.String("event", "mail_refused"), id, n)
	}
}

// again gives a letter back that was certainly not sent, or not to all.
func (m *Mailer) again(l *store.Letter, err error) {
	if m.unsent.First(0, err) {
		m.o.Log.Error("a letter could not be sent; it is tried again", slog.String("event", "mail_retried"), slog.String("error", err.Error()))
	}
	l.State, l.Error = store.Due, detail(err)
	l.Next = m.o.Now().Add(min(lastRetry, firstRetry<<min(l.Attempts-1, 10)))
}

// leave gives a letter back that a stop cut short: the next process does it.
func (m *Mailer) leave(l *store.Letter, err error) {
	l.State, l.Next, l.Error, l.Attempts = store.Due, m.o.Now(), detail(err), l.Attempts-1
}

// detail is an error with what the server wrote: for the outbox, and no log.
func detail(err error) string {
	var r *Reply
	if errors.As(err, &r) {
		return err.Error() + ": " + r.Text
	}
	return err.Error()
}
