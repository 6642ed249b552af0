package alert

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/piano-roc/rpn/indicators/mail"
	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/roc"
)

// The kinds of the letters; those of webhooks end in "-webhook".
const (
	Outage  = "panne"
	Back    = "retour"
	webhook = "-webhook"
)

// Compose writes the mails, for the Mailer.
func (w *Watcher) Compose() map[string]mail.Compose {
	return map[string]mail.Compose{Outage: w.compose, Back: w.compose}
}

// waitForOthers is how long the end of an outage waits for what the instances have
// of it, from when they can say so.
const waitForOthers = 2 * time.Minute

// errOthers is why a letter waits.
var errOthers = fmt.Errorf("%w: an instance has not said yet which exchanges failed there", mail.ErrLater)

// A notice is what there is to say of an outage to one subscriber.
type notice struct {
	sub    Subscriber
	amc    AMC
	outage store.AnnouncedOutage

	rows   []row // of the exchanges to play again, in the order of time
	verify int   // of them, those that the insurer may have processed
	missed int64 // those that are in none
	waited int   // instances of which it is not known
}

// notice finds what a letter says; false: it is for nobody any more. An outage that
// is over is not told as one that goes on: the notice of its end tells all.
func (w *Watcher) notice(ctx context.Context, s *store.Store, l *store.Letter) (*notice, bool, error) {
	number, instant, _ := strings.Cut(l.About, "/")
	began, err := strconv.ParseInt(instant, 10, 64)
	if err != nil {
		return nil, false, fmt.Errorf("letter %s: %w", l.ID, err)
	}
	o, known, err := s.Outage(ctx, roc.NumeroAMC(number), time.Unix(began, 0))
	if err != nil || !known || strings.TrimSuffix(l.Kind, webhook) == Outage && !o.Ended.IsZero() {
		return nil, false, err
	}
	id, _, _ := strings.Cut(l.For, " ")
	sub, there := w.subscriber(id)
	if !there {
		return nil, false, nil
	}
	n := &notice{sub: sub, amc: w.o.AMC(o.AMC), outage: o}
	if o.Ended.IsZero() || len(sub.Structures) == 0 {
		return n, true, nil
	}
	list, waited, err := s.Replays(ctx, &o, sub.ID)
	if err != nil {
		return nil, false, err
	}
	if waited > 0 && w.o.Now().Before(o.Ended.Add(w.o.Longest+waitForOthers)) {
		return nil, false, errOthers
	}
	n.waited = waited
	for _, r := range list {
		n.missed += r.Missed
		for line := range strings.Lines(r.Rows) {
			one, err := parseRow(line)
			if err != nil {
				return nil, false, fmt.Errorf("letter %s: %w", l.ID, err)
			}
			if one[verifier] == toVerify {
				n.verify++
			}
			n.rows = append(n.rows, one)
		}
	}
	slices.SortFunc(n.rows, func(x, y row) int { return slices.Compare(x[:], y[:]) }) // each begins with its instant
	return n, true, nil
}

// compose writes the mail of a letter.
func (w *Watcher) compose(ctx context.Context, s *store.Store, l *store.Letter) (*mail.Message, error) {
	n, there, err := w.notice(ctx, s, l)
	if err != nil || !there {
		return nil, err
	}
	to, _ := n.sub.channels(n.amc)
	if len(to) == 0 {
		return nil, nil
	}
	m := &mail.Message{ID: strings.ReplaceAll(l.ID, "/", ".") + "@" + w.o.Host, To: to, Date: w.o.Now()}
	if l.Kind == Outage {
		m.Subject, m.Body = n.outageText()
		return m, nil
	}
	m.Subject, m.Body = n.backText()
	if len(n.rows) > 0 {
		m.Attached = []mail.Attachment{{Name: fmt.Sprintf("a_rejouer_%s_%s.csv", n.outage.AMC, n.outage.Began.In(store.Paris).Format("2006-01-02_1504")), Content: n.csv()}}
	}
	return m, nil
}

// csv is the exchanges to play again, as a French spreadsheet opens it.
func (n *notice) csv() []byte {
	var b strings.Builder
	b.WriteString("\uFEFF" + replayHead + "\r\n")
	for _, r := range n.rows {
		b.WriteString(r.line())
	}
	return []byte(b.String())
}

func (n *notice) insurer() string { return strings.TrimSpace(n.amc.Nom + " " + string(n.outage.AMC)) }

const automatic = "\nCe message est automatique : il n'y est pas répondu.\n"

func (n *notice) outageText() (subject, body string) {
	subject = fmt.Sprintf("RPN ROC : panne de %s", n.insurer())
	body = fmt.Sprintf("Bonjour,\n\nL'organisme %s est en panne depuis le %s.\nServices touchés : %s.\n\n", n.insurer(), frenchTime(n.outage.Began), n.services())
	if len(n.sub.Structures) == 0 {
		return subject, body + "La fin de la panne sera annoncée de même.\n" + automatic
	}
	return subject, body + "La panne est celle de l'organisme : il n'y a rien à corriger chez vous, et vos échanges avec les autres organismes continuent.\n" +
		"Sa fin sera annoncée de même, avec la liste de vos échanges à rejouer.\n" + automatic
}

func (n *notice) backText() (subject, body string) {
	subject = fmt.Sprintf("RPN ROC : fin de la panne de %s", n.insurer())
	minutes := int(n.outage.Over.Sub(n.outage.Began).Minutes())
	body = fmt.Sprintf("Bonjour,\n\nL'organisme %s répond de nouveau depuis le %s. La panne avait commencé le %s (%d min).\nServices touchés : %s.\n\n",
		n.insurer(), frenchTime(n.outage.Over), frenchTime(n.outage.Began), minutes, n.services())
	if len(n.sub.Structures) == 0 {
		return subject, body + automatic
	}
	switch {
	case len(n.rows) > 0:
		body += fmt.Sprintf("Échanges de votre établissement que l'organisme a fait échouer : %d. Le fichier joint les liste ; ils sont à rejouer, s'ils sont encore utiles.\n", len(n.rows))
		if n.verify > 0 {
			body += fmt.Sprintf("Pour %d d'entre eux, la colonne « verifier » dit « oui ». %s\n", n.verify, roc.VerifyBefore)
		}
	case n.missed == 0 && n.waited == 0:
		body += "Aucun échange de votre établissement n'a échoué.\n"
	}
	if n.missed > 0 || n.waited > 0 {
		body += "La liste n'est pas complète : demandez le reste à l'exploitant du RPN.\n"
	}
	return subject, body + automatic
}

func (n *notice) services() string { return strings.Join(roc.Texts(n.outage.Services), ", ") }

func frenchTime(t time.Time) string { return t.In(store.Paris).Format("02/01/2006 à 15:04") }
