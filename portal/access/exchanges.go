package access

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/journal"
)

// A Search is for exchanges of the subject. Zero fields ask for all.
type Search struct {
	MessageID string // a UUID
	From, To  time.Time
	AMC       roc.NumeroAMC
	Service   roc.Service
	Outcome   roc.Outcome
	Reason    roc.Reason
}

// The bounds of a search: nothing that is asked decides how long it takes.
const (
	MaxFound  = 200                 // exchanges
	MaxPeriod = 31 * 24 * time.Hour // searched at once
	turn      = 3 * time.Second     // how long a search waits for another one
)

// A Found is what a search found: the newest first, and how many there are.
type Found struct {
	Exchanges []*journal.Exchange
	Total     int
	Damaged   int  // records that may match and cannot be read
	Unread    bool // some of the journal cannot be read for now: Total may lack what is there
}

// Find searches the journal for exchanges of the subject, in a period of
// MaxPeriod at most.
func (s *Subject) Find(ctx context.Context, q Search) (*Found, error) {
	if q.From.IsZero() || q.To.Sub(q.From) > MaxPeriod {
		q.From = q.To.Add(-MaxPeriod)
	}
	ask := journal.Query{MessageID: strings.ToLower(q.MessageID), From: q.From, To: q.To, AMC: q.AMC, Service: q.Service, Outcome: q.Outcome, Reason: q.Reason, Limit: MaxFound, Newest: true}
	found := &Found{}
	err := s.reading(ctx, func(l *journal.Log) error {
		for _, ask := range s.own(ask) {
			res, err := l.Find(ctx, ask)
			if err != nil {
				return err
			}
			found.Total += res.Total
			found.Damaged += res.Damaged
			found.Unread = found.Unread || len(res.Unread) > 0
			for i := range res.Matches {
				if x := res.Matches[i].Exchange; s.mine(x) {
					found.Exchanges = append(found.Exchanges, x)
				}
			}
		}
		return nil
	})
	slices.SortFunc(found.Exchanges, func(a, b *journal.Exchange) int { return cmp.Compare(b.RequestIn.UnixNano(), a.RequestIn.UnixNano()) })
	found.Exchanges = found.Exchanges[:min(len(found.Exchanges), MaxFound)]
	return found, err
}

// own are the questions that ask for the subject's own exchanges alone: one for
// each of its structure ids.
func (s *Subject) own(q journal.Query) (list []journal.Query) {
	switch {
	case s.es != nil:
		for _, id := range s.structures {
			q.Structure = id
			list = append(list, q)
		}
	case s.numero != "":
		q.AMC = s.numero
		list = append(list, q)
	case s.r.v.kind == Operator:
		list = append(list, q)
	}
	return list
}

// mine reports whether the subject had a part in an exchange. Every exchange
// that leaves this package has passed here.
func (s *Subject) mine(x *journal.Exchange) bool {
	switch {
	case x == nil:
		return false
	case s.es != nil:
		return slices.Contains(s.structures, x.From)
	case s.numero != "":
		return x.To.AMC == s.numero
	}
	return s.r.v.kind == Operator
}

// A Story is all that is known of one exchange.
type Story struct {
	*journal.Exchange
	Index      uint64
	Amendments []*journal.Amendment
}

// Exchange finds one exchange by its id, in any case of its letters.
func (s *Subject) Exchange(ctx context.Context, id string) (story *Story, err error) {
	err = s.reading(ctx, func(l *journal.Log) error {
		story, err = s.exchange(ctx, l, id)
		return err
	})
	return story, err
}

func (s *Subject) exchange(ctx context.Context, l *journal.Log, text string) (*Story, error) {
	at, ok := roc.ExchangeID(text).Opened()
	if !ok {
		return nil, ErrHidden
	}
	// The id says when the exchange was opened, and so which files to read.
	ask := journal.Query{ID: roc.ExchangeID(strings.ToLower(text)), From: at.Add(-time.Hour), To: at.Add(time.Hour), Limit: 1}
	var unread []error
	for _, ask := range s.own(ask) {
		res, err := l.Find(ctx, ask)
		if err != nil {
			return nil, err
		}
		if len(res.Matches) > 0 && s.mine(res.Matches[0].Exchange) {
			m := &res.Matches[0]
			return &Story{m.Exchange, m.Index, m.Amendments}, nil
		}
		unread = append(unread, res.Unread...)
		if res.Damaged > 0 {
			unread = append(unread, fmt.Errorf("%d damaged records", res.Damaged))
		}
	}
	if len(unread) > 0 {
		return nil, fmt.Errorf("%w: %w", ErrUnread, errors.Join(unread...))
	}
	return nil, ErrHidden
}

// Proof is the proof file of an exchange, for `rpn receipt verify`;
// journal.ErrNotSealed: not yet.
func (s *Subject) Proof(ctx context.Context, id string) (proof []byte, err error) {
	err = s.reading(ctx, func(l *journal.Log) error {
		story, err := s.exchange(ctx, l, id)
		if err != nil {
			return err
		}
		proof, err = l.Prove(story.Index)
		return err
	})
	return proof, err
}

// reading lends the journal to one search at a time.
func (s *Subject) reading(ctx context.Context, do func(*journal.Log) error) error {
	d := s.r.d
	ctx, cancel := context.WithTimeout(ctx, turn)
	defer cancel()
	select {
	case d.find <- struct{}{}:
	case <-ctx.Done():
		return ErrBusy
	}
	defer func() { <-d.find }()
	l, err := d.log.get(ctx)
	if err != nil {
		return err
	}
	return do(l)
}
