package alert

import (
	"context"
	"errors"
	"fmt"
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
	mostFound = 20_000      // at once: with more the period is halved
	shortest  = time.Second // of the periods
)

// replayHead names the columns of the exchanges to play again. Nothing of them is
// of a patient: the journal has nothing of one.
const replayHead = "instant;echange;message_id;service;version;issue;verifier"

// contribute adds to the outages that are over what the journal of this instance
// has of them: each instance has its own. It waits until no exchange of before
// the end is under way: such a one is in no journal yet.
func (w *Watcher) contribute(ctx context.Context, s *store.Store, known []store.AnnouncedOutage, now time.Time) error {
	var failed []error
	for i := range known {
		if o := &known[i]; !o.Ended.IsZero() && !now.Before(o.Ended.Add(w.o.Longest)) {
			failed = append(failed, w.contributeTo(ctx, s, o))
		}
	}
	return errors.Join(failed...)
}

func (w *Watcher) contributeTo(ctx context.Context, s *store.Store, o *store.AnnouncedOutage) error {
	done, err := s.Contributed(ctx, o, w.o.Origin)
	if err != nil || done {
		return err
	}
	list, err := w.failedIn(ctx, o)
	if err != nil {
		return fmt.Errorf("the exchanges to play again of %s: %w", o.AMC, err)
	}
	return s.PutReplays(ctx, o, w.o.Origin, list)
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
func (w *Watcher) failedIn(ctx context.Context, o *store.AnnouncedOutage) ([]store.Replay, error) {
	f := finder{of: map[roc.StructureID]*replay{}}
	amc := w.o.AMC(o.AMC)
	for _, sub := range w.o.Subscribers() {
		if mails, hooks := sub.channels(amc); len(sub.Structures) == 0 || len(mails)+len(hooks) == 0 {
			continue
		}
		r := &replay{recipient: sub.ID}
		f.list = append(f.list, r)
		for _, id := range sub.Structures {
			f.of[id] = r
		}
	}
	if len(f.list) == 0 {
		return nil, nil
	}
	search, err := w.o.Find()
	if err != nil {
		return nil, err
	}
	defer search.Close()
	f.search = search
	for _, n := range amc.Numeros {
		if err := f.find(ctx, n, o.Began, o.Ended); err != nil {
			return nil, err
		}
	}
	var whole []store.Replay
	for _, r := range f.list {
		if r.n > 0 || r.missed > 0 {
			whole = append(whole, store.Replay{Recipient: r.recipient, Rows: r.rows.String(), Missed: r.missed})
		}
	}
	return whole, nil
}

// A finder finds the exchanges of those who are told.
type finder struct {
	search Search
	of     map[roc.StructureID]*replay
	list   []*replay
	all    int // rows
}

// find takes the exchanges of a period that an insurer failed. What cannot be read
// for now is an error: a list that lacks it would say that nothing failed.
func (f *finder) find(ctx context.Context, n roc.NumeroAMC, from, to time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	found, err := f.search.Find(ctx, journal.Query{AMC: n, From: from, To: to, Outcome: roc.Refused, Limit: mostFound})
	if err != nil {
		return err
	}
	if len(found.Unread) > 0 {
		return errors.Join(found.Unread...)
	}
	if half := to.Sub(from) / 2; found.Total > len(found.Matches) && half >= shortest {
		if err := f.find(ctx, n, from, from.Add(half)); err != nil {
			return err
		}
		return f.find(ctx, n, from.Add(half), to)
	}
	for i := range found.Matches {
		f.take(found.Matches[i].Exchange)
	}
	for _, r := range f.list { // whose they are is not known
		r.missed += int64(found.Total-len(found.Matches)) + int64(found.Damaged)
	}
	return nil
}

func (f *finder) take(x *journal.Exchange) {
	r := f.of[x.From]
	switch {
	case r == nil || !store.FailedByAMC(x):
	case r.n >= mostRows || f.all >= mostOfAll:
		r.missed++
	default:
		r.n++
		f.all++
		r.rows.WriteString(rowOf(x).line())
	}
}

// verified says that the insurer may have processed an exchange that is not to be
// done twice.
func verified(x *journal.Exchange) string {
	if (x.Service == roc.CLC || x.Service == roc.ANL) && x.Reason.MayBeProcessed(x.CauseCode) {
		return toVerify
	}
	return "non"
}

const toVerify = "oui"

// A row is an exchange to play again, by the columns of replayHead. None of its
// cells can hold a separator.
type row [7]string

const verifier = 6 // the column

func rowOf(x *journal.Exchange) row {
	return row{x.RequestIn.In(store.Paris).Format("2006-01-02T15:04:05.000Z07:00"), string(x.ID), x.MessageID, x.Service.String(), x.Version.String(), x.Code(), verified(x)}
}

// line is a row as a line of CSV.
func (r row) line() string { return strings.Join(r[:], ";") + "\r\n" }

func parseRow(line string) (r row, err error) {
	cells := strings.Split(strings.TrimSpace(line), ";")
	if len(cells) != len(r) {
		return r, fmt.Errorf("an exchange to play again has %d cells, and not %d", len(cells), len(r))
	}
	copy(r[:], cells)
	return r, nil
}
