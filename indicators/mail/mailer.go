// Package mail sends each establishment, and the national supervision, the three
// weekly files of the week that ended: each Monday at six in Paris, once.
package mail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
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

// Options are what a Mailer needs, all of it.
type Options struct {
	Open func(context.Context) (*store.Store, error)

	// Reached reports whether the figures have every exchange of before t, of all
	// instances that share the store.
	Reached func(t time.Time) bool

	Recipients  func() []Recipient                    // of now
	Name        func(amc roc.NumeroAMC) string        // of an insurer; ""
	Supervision []string                              // addresses; may be none
	Host        string                                // of the Message-ID: one for all instances
	Send        func(context.Context, *Message) error // of NewSMTP

	Log *slog.Logger
	Now func() time.Time
}

// A Message is one mail.
type Message struct {
	ID       string // the same for a week of an establishment, whoever sends it
	To, Cc   []string
	Subject  string
	Body     string
	Date     time.Time
	Attached []Attachment
}

// An Attachment is one file of a Message.
type Attachment struct {
	Name    string
	Content []byte
}

// Send tells a failure by these errors; any other one says that the message was
// certainly not sent, and may be tried again.
var (
	ErrRefused = errors.New("the message is refused for good")
	ErrUnknown = errors.New("it is not known whether the message was sent")
)

const (
	hour       = 6               // of Monday, in Paris
	look       = time.Minute     // how often the outbox is looked at
	lookSoon   = 5 * time.Second // the same, while letters wait for the figures
	firstRetry = 5 * time.Minute // doubled at each attempt
	lastRetry  = 4 * time.Hour
	forgetting = 6 * 24 * time.Hour // a letter that cannot be sent for so long is dropped: the next week is near
)

// A Mailer sends the weekly files.
type Mailer struct {
	o      Options
	store  *store.Store  // nil: not open
	put    report.Week   // the last week whose letters are in the outbox
	pause  time.Duration // until the next round
	logged string        // the failure that was logged last
}

// New makes a Mailer. Call Run.
func New(o Options) *Mailer { return &Mailer{o: o} }

// Due is when the files of a week are sent: the Monday after it, in Paris,
// whatever the hours of the nights before.
func Due(w report.Week) time.Time {
	y, m, d := w.End().Date()
	return time.Date(y, m, d, hour, 0, 0, 0, store.Paris)
}

// Run sends what is due until ctx ends.
func (m *Mailer) Run(ctx context.Context) {
	defer func() {
		if m.store != nil {
			m.store.Close()
		}
	}()
	for {
		if err := m.round(ctx); err != nil && ctx.Err() == nil && m.isNew(err) {
			m.o.Log.Error("the weekly mails cannot be prepared; it is tried again", slog.String("event", "mail_failed"), slog.String("error", err.Error()))
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(m.pause):
		}
	}
}

// isNew reports whether a failure is not the one before it: of a series the
// first is logged.
func (m *Mailer) isNew(err error) bool {
	last := m.logged
	m.logged = err.Error()
	return m.logged != last
}

// round puts the letters of the last week into the outbox once they are due,
// and sends all that is due.
func (m *Mailer) round(ctx context.Context) (err error) {
	m.pause = look
	if m.store == nil {
		if m.store, err = m.o.Open(ctx); err != nil {
			m.store = nil
			return err
		}
	}
	now := m.o.Now()
	switch w := report.WeekOf(now.AddDate(0, 0, -7)); {
	case w == m.put || now.Before(Due(w)):
	case !m.o.Reached(w.End()):
		m.pause = lookSoon
	default:
		var all []roc.StructureID
		for _, r := range m.o.Recipients() {
			if len(r.Addresses)+len(m.o.Supervision) > 0 {
				all = append(all, r.Structure)
			}
		}
		if err := m.store.PutLetters(ctx, w.String(), all, now); err != nil {
			return err
		}
		m.put = w
	}
	if n, err := m.store.DoubtAbandoned(ctx, now); err != nil {
		return err
	} else if n > 0 {
		m.o.Log.Error("weekly mails were being sent when an instance ended: nobody knows whether they were, and they are not sent again", slog.String("event", "mail_doubted"), slog.Int64("letters", n))
	}
	for ctx.Err() == nil {
		l, err := m.store.ClaimLetter(ctx, m.o.Now())
		if err != nil || l == nil {
			return err
		}
		if err := m.deliver(ctx, l); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// deliver sends one letter and writes down what became of it.
func (m *Mailer) deliver(ctx context.Context, l *store.Letter) error {
	// What became of it is written down even when the RPN stops meanwhile.
	note := context.WithoutCancel(ctx)
	msg, err := m.compose(ctx, l)
	now := m.o.Now()
	// After the figures were read: they may have been counted again meanwhile.
	if w, bad := report.ParseWeek(l.Week); bad == nil && !m.o.Reached(w.End()) {
		l.Attempts--
		return m.store.RetryLetter(note, l, now.Add(look), "the figures are being counted again")
	}
	if err != nil {
		return errors.Join(err, m.store.RetryLetter(note, l, now.Add(firstRetry), err.Error()))
	}
	if msg == nil {
		return m.store.DropLetter(note, l, now, "nobody to write to")
	}
	err = m.o.Send(ctx, msg)
	now = m.o.Now()
	id := slog.String("message_id", msg.ID)
	switch {
	case err == nil:
		m.logged = ""
		m.o.Log.Info("the weekly files were sent", slog.String("event", "mail_sent"), id)
		return m.store.SentLetter(note, l, now)
	case errors.Is(err, ErrUnknown):
		m.o.Log.Error("it is not known whether the weekly files were sent: they are not sent again", slog.String("event", "mail_doubted"), id, slog.String("error", err.Error()))
		return m.store.DoubtLetter(note, l, now, err.Error())
	case errors.Is(err, ErrRefused) || now.Sub(m.due(l)) > forgetting:
		m.o.Log.Error("the weekly files cannot be sent", slog.String("event", "mail_refused"), id, slog.String("error", err.Error()))
		return m.store.DropLetter(note, l, now, err.Error())
	}
	if m.isNew(err) {
		m.o.Log.Error("the weekly files could not be sent; it is tried again", slog.String("event", "mail_retried"), slog.String("error", err.Error()))
	}
	return m.store.RetryLetter(note, l, now.Add(min(lastRetry, firstRetry<<min(l.Attempts-1, 10))), err.Error())
}

func (m *Mailer) due(l *store.Letter) time.Time {
	w, err := report.ParseWeek(l.Week)
	if err != nil {
		return time.Time{}
	}
	return Due(w)
}

// compose writes the mail of a letter; nil: there is nobody to write to.
func (m *Mailer) compose(ctx context.Context, l *store.Letter) (*Message, error) {
	w, err := report.ParseWeek(l.Week)
	if err != nil {
		return nil, err
	}
	r := Recipient{Structure: l.Structure}
	for _, x := range m.o.Recipients() {
		if x.Structure == l.Structure {
			r = x
		}
	}
	to, cc := r.Addresses, m.o.Supervision
	if len(to) == 0 {
		to, cc = cc, nil
	}
	if len(to) == 0 {
		return nil, nil
	}
	who := report.FINESS(l.Structure)
	msg := &Message{
		ID: fmt.Sprintf("%s.%s@%s", who, w, m.o.Host), To: to, Cc: cc, Date: m.o.Now(),
		Subject: fmt.Sprintf("RPN ROC : activité de la semaine %s, %s", w, who),
		Body: fmt.Sprintf("Bonjour,\n\nVoici les trois fichiers de la semaine %s (du %s au %s) de l'établissement %s %s :\n"+
			"activité, anomalies et temps de réponse. Ils sont calculés du journal scellé du RPN ROC ; une semaine sans activité\n"+
			"donne des fichiers avec leurs seuls titres. Ils s'ouvrent dans un tableur.\n\nCe message est automatique : il n'y est pas répondu.\n",
			w, frenchDay(w.Begin()), frenchDay(w.End().AddDate(0, 0, -1)), who, r.Name),
	}
	for _, f := range report.Files() {
		var b bytes.Buffer
		if err := f.Write(ctx, &b, m.store, append([]roc.StructureID{l.Structure}, r.Others...), w, m.o.Name); err != nil {
			return nil, err
		}
		msg.Attached = append(msg.Attached, Attachment{f.Name(l.Structure, w), b.Bytes()})
	}
	return msg, nil
}

func frenchDay(t time.Time) string { return t.Format("02/01/2006") }
