package alert

import (
	"context"
	"strings"
	"time"

	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/journal"
)

// How many exchanges to play again are kept of an outage: of each subscriber,
// and of all together. What is more is counted.
const (
	mostRows  = 2000
	mostOfAll = 200_000
	mostFound = 20_000 // in a slice of the outage
	slice     = time.Minute
)

// replayHead names the columns of the exchanges to play again. Nothing of them is
// of a patient: the journal has nothing of one.
const replayHead = "instant;echange;message_id;service;version;issue"

// contribute adds to the outages that are over what the journal of this instance
// has of them: each instance has its own.
func (w *Watcher) contribute(ctx context.Context, s *store.Store, known []store.ToldOutage) error {
	for i := range known {
		o := &known[i]
		if o.Ended.IsZero() {
			continue
		}
		done, err := s.Contributed(ctx, o, w.o.Origin)
		if err != nil {
			return err
		}
		if done {
			continue
		}
		list, err := w.failedIn(ctx, o)
		if err != nil {
			return err
		}
		if err := s.PutReplays(ctx, o, w.o.Origin, list); err != nil {
			return err
		}
	}
	return nil
}

// A replay is what is found for one subscriber.
type replay struct {
	recipient string
	rows      strings.Builder
	n         int
	missed    int64
}

// failedIn finds the exchanges of those who are told of an outage that the
// insurer failed, from its beginning until its end was told.
func (w *Watcher) failedIn(ctx context.Context, o *store.ToldOutage) ([]store.Replay, error) {
	of := map[roc.StructureID]*replay{}
	var list []*replay
	amc := w.o.AMC(o.AMC)
	for _, sub := range w.o.Subscribers() {
		if mails, hooks := sub.told(amc); len(sub.Structures) == 0 || len(mails)+len(hooks) == 0 {
			continue
		}
		r := &replay{recipient: sub.ID}
		list = append(list, r)
		for _, id := range sub.Structures {
			of[id] = r
		}
	}
	if len(list) == 0 {
		return nil, nil
	}
	search, err := w.o.Find()
	if err != nil {
		return nil, err
	}
	defer search.Close()
	all := 0
	for from := o.Began; from.Before(o.Ended); from = from.Add(slice) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		to := from.Add(slice)
		if to.After(o.Ended) {
			to = o.Ended
		}
		for _, n := range amc.Numeros {
			found, err := search.Find(journal.Query{AMC: n, From: from, To: to, Outcome: roc.Refused, Limit: mostFound})
			if err != nil {
				return nil, err
			}
			for i := range found.Matches {
				x := found.Matches[i].Exchange
				r := of[x.From]
				switch {
				case r == nil || !store.FailedByAMC(x):
				case r.n >= mostRows || all >= mostOfAll:
					r.missed++
				default:
					r.n++
					all++
					r.rows.WriteString(row(x))
				}
			}
			if found.Total > len(found.Matches) || found.Damaged > 0 { // whose they are is not known
				for _, r := range list {
					r.missed += int64(found.Total-len(found.Matches)) + int64(found.Damaged)
				}
			}
		}
	}
	var whole []store.Replay
	for _, r := range list {
		if r.n > 0 || r.missed > 0 {
			whole = append(whole, store.Replay{Recipient: r.recipient, Rows: r.rows.String(), Missed: r.missed})
		}
	}
	return whole, nil
}

// row is an exchange as a line of CSV. None of its cells can hold a separator.
func row(x *journal.Exchange) string {
	return strings.Join([]string{x.RequestIn.In(store.Paris).Format("2006-01-02T15:04:05.000Z07:00"), string(x.ID), x.MessageID, x.Service.String(), x.Version.String(), x.Code()}, ";") + "\r\n"
}
