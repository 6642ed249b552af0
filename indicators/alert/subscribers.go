package alert

import (
	"slices"
	"strings"

	"github.com/piano-roc/rpn/internal/roc"
)

// A Subscriber is who asked to be told.
type Subscriber struct {
	ID         string            // a structure id, OfAMC or Operators: it is in the letters, and in the secrets of webhooks
	Structures []roc.StructureID // an establishment: its exchanges are those of any of them
	Channels   []Channel
}

// A Channel is one way to tell a subscriber: by mail or by webhook.
type Channel struct {
	Mail, Webhook string
	AMCs          []roc.NumeroAMC // the insurers that it is told of; none: all
}

// An AMC is an insurer, with all its numbers. The first one names it.
type AMC struct {
	Nom     string
	Numeros []roc.NumeroAMC
}

// Operators is the ID of those who run the RPN.
const Operators = "exploitant"

const ofAMC = "amc-"

// OfAMC is the ID of an insurer, by its first number.
func OfAMC(n roc.NumeroAMC) string { return ofAMC + string(n) }

// IsSubscriber reports whether a text is an ID that a Subscriber may have.
func IsSubscriber(id string) bool {
	if n, ok := strings.CutPrefix(id, ofAMC); ok {
		canonical, err := roc.ParseNumeroAMC(n)
		return err == nil && string(canonical) == n
	}
	_, err := roc.ParseStructureID(id)
	return err == nil || id == Operators
}

// channels are the addresses and webhooks of a subscriber that are told of an
// insurer.
func (s *Subscriber) channels(a AMC) (mails, hooks []string) {
	for _, c := range s.Channels {
		of := func(n roc.NumeroAMC) bool { return slices.Contains(a.Numeros, n) }
		if len(c.AMCs) > 0 && !slices.ContainsFunc(c.AMCs, of) {
			continue
		}
		if c.Mail != "" && !slices.Contains(mails, c.Mail) {
			mails = append(mails, c.Mail)
		}
		if c.Webhook != "" && !slices.Contains(hooks, c.Webhook) {
			hooks = append(hooks, c.Webhook)
		}
	}
	return mails, hooks
}

func (w *Watcher) subscriber(id string) (Subscriber, bool) {
	for _, s := range w.o.Subscribers() {
		if s.ID == id {
			return s, true
		}
	}
	return Subscriber{}, false
}
