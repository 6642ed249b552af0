package mail

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/piano-roc/rpn/indicators/report"
	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/roc"
)

// Weekly is the kind of the letters of a week. They are for a structure, about a
// week.
const Weekly = "semaine"

// errNotWhole is why the files of a week are not made yet, though they were about
// to be.
var errNotWhole = fmt.Errorf("%w: the figures are being counted again", ErrLater)

const hour = 6 // of Monday, in Paris

// Due is when the files of a week are sent: the Monday after it, in Paris,
// whatever the hours of the nights before.
func Due(w report.Week) time.Time {
	y, m, d := w.End().Date()
	return time.Date(y, m, d, hour, 0, 0, 0, store.Paris)
}

// weeklyLetter is the letter of a week of an establishment. It is sent until
// those of the next week are due: from then on `rpn indicators export` has it.
func weeklyLetter(w report.Week, s roc.StructureID, now time.Time) store.Letter {
	return store.Letter{ID: Weekly + "/" + w.String() + "/" + string(s), Kind: Weekly, For: string(s), About: w.String(), Next: now, Expires: Due(report.WeekOf(w.End()))}
}

// putWeek puts the letters of the last week that is over, once they are due. The
// weeks before that one are not sent late.
func (m *Mailer) putWeek(ctx context.Context, s *store.Store) (pause time.Duration, err error) {
	now := m.o.Now()
	w := report.WeekOf(now.AddDate(0, 0, -7))
	switch {
	case w == m.put || now.Before(Due(w)):
		return look, nil
	case !m.o.Reached(w.End()):
		return lookSoon, nil
	}
	var all []store.Letter
	for _, r := range m.o.Recipients() {
		if len(r.Addresses)+len(m.o.Supervision) > 0 {
			all = append(all, weeklyLetter(w, r.Structure, now))
		}
	}
	if err := s.PutLetters(ctx, all, now); err != nil {
		return look, err
	}
	m.put = w
	return look, nil
}

// compose writes the mail of a weekly letter.
func (m *Mailer) compose(ctx context.Context, s *store.Store, l *store.Letter) (*Message, error) {
	w, err := report.ParseWeek(l.About)
	if err != nil {
		return nil, err
	}
	r := Recipient{Structure: roc.StructureID(l.For)}
	for _, x := range m.o.Recipients() {
		if x.Structure == r.Structure {
			r = x
		}
	}
	if len(r.Addresses)+len(m.o.Supervision) == 0 {
		return nil, nil
	}
	who := report.FINESS(r.Structure)
	msg := &Message{
		ID: fmt.Sprintf("%s.%s@%s", who, w, m.o.Host), To: r.Addresses, Cc: m.o.Supervision, Date: m.o.Now(),
		Subject: fmt.Sprintf("RPN ROC : activité de la semaine %s, %s", w, who),
		Body: fmt.Sprintf("Bonjour,\n\nVoici les fichiers de la semaine %s (du %s au %s) de l'établissement %s %s :\n"+
			"activité, anomalies, temps de réponse et dossiers. Ils sont calculés du journal scellé du RPN ROC ; une semaine sans activité\n"+
			"donne des fichiers avec leurs seuls titres. Ils s'ouvrent dans un tableur.\n\nCe message est automatique : il n'y est pas répondu.\n",
			w, frenchDay(w.Begin()), frenchDay(w.End().AddDate(0, 0, -1)), who, r.Name),
	}
	for _, f := range report.Files() {
		var b bytes.Buffer
		if err := f.Write(ctx, &b, s, append([]roc.StructureID{r.Structure}, r.Others...), w, m.o.Name); err != nil {
			return nil, err
		}
		msg.Attached = append(msg.Attached, Attachment{f.Name(r.Structure, w), b.Bytes()})
	}
	if !m.o.Reached(w.End()) { // after the figures were read
		return nil, errNotWhole
	}
	return msg, nil
}

func frenchDay(t time.Time) string { return t.Format("02/01/2006") }
