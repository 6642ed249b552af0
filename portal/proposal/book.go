package proposal

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/piano-roc/rpn/portal/acts"
)

// Options are what a Book needs. Every field is required, but where it says
// otherwise.
type Options struct {
	File string        // of the acts; "": they are in memory alone
	Life time.Duration // of a proposal that nobody confirms

	// Operates reports whether the operator of that name may still propose: what
	// somebody proposed who was put out since is not confirmed.
	Operates func(name string) bool

	Log *slog.Logger
	Now func() time.Time
}

// A Book is every proposal. Safe for concurrent use, by one process: its folder is
// locked by whoever opens it.
type Book struct {
	o    Options
	file acts.File[act]

	mu     sync.Mutex // guards the rest, and is held while an act is done
	all    map[string]*Proposal
	closed bool
}

// An act is one line of the file.
type act struct {
	V   int       `json:"v"`
	At  time.Time `json:"at"`
	Act State     `json:"act"` // waiting: it is proposed
	ID  string    `json:"id"`
	By  Operator  `json:"by,omitzero"`
	Why string    `json:"why,omitzero"`

	Subject *Subject  `json:"subject,omitzero"`
	Ends    time.Time `json:"ends,omitzero"`
}

// Open reads the book. One that cannot be read takes and confirms nothing: the error
// says why, and the Book is there all the same.
func Open(o Options) (*Book, error) {
	b := &Book{o: o, all: map[string]*Proposal{}}
	b.file = acts.File[act]{Name: o.File, Of: "proposals", Cut: func(line int) {
		o.Log.Error("a line of the proposals was cut while it was written: that act was not done, and is skipped", "event", "portal_proposal_cut", "file", o.File, "line", line)
	}}
	read, err := b.file.Read(b.apply)
	if err == nil {
		now := o.Now()
		for id, p := range b.all {
			if now.Sub(p.Made) > keepOver {
				delete(b.all, id)
			}
		}
		err = b.file.Keep(read, func(a *act) bool { return b.all[a.ID] != nil })
	}
	if err != nil {
		b.closed, b.all = true, map[string]*Proposal{}
	}
	return b, err
}

// apply does an act in memory, and reports whether it can be done.
func (b *Book) apply(a *act) bool {
	p := b.all[a.ID]
	switch {
	case a.V != 1 || a.At.IsZero() || a.ID == "":
		return false
	case a.Act == Waiting:
		if p != nil || a.Subject == nil || a.Ends.IsZero() {
			return false
		}
		b.all[a.ID] = &Proposal{ID: a.ID, Subject: *a.Subject, By: a.By, Why: a.Why, Made: a.At, Ends: a.Ends}
		return true
	case p == nil:
		return false
	}
	changed := *p
	switch a.Act {
	case Confirmed, Withdrawn:
		changed.Second, changed.SecondWhy, changed.Decided, changed.state = a.By, a.Why, a.At, a.Act
	case Failed:
		changed.state = Failed
	default:
		return false
	}
	b.all[a.ID] = &changed
	return true
}

// do writes an act down, then does it in memory, and logs it.
func (b *Book) do(a act) (*Proposal, error) {
	a.V, a.At = 1, b.o.Now().UTC()
	if err := b.file.Append(&a); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrClosed, err)
	}
	b.apply(&a)
	p := b.all[a.ID]
	b.o.Log.Info("an act that needs a second operator is "+said[a.Act], "event", "portal_proposal", "act", string(a.Act), "proposal", p.ID, "amc", string(p.Subject.AMC), "host", p.Subject.Host,
		"finess_ej", string(p.Subject.EJ), "state", p.Subject.State, "who", p.By.Name, "why", p.Why, "second", p.Second.Name, "second_why", p.SecondWhy)
	return p, nil
}

var said = map[State]string{Waiting: "proposed", Confirmed: "confirmed", Withdrawn: "set aside", Failed: "confirmed, and could not be done"}

// Close ends the writing: another process may have the folder.
func (b *Book) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
}

// Propose has an act wait for a second operator.
func (b *Book) Propose(s Subject, by Operator, why string) (Proposal, error) {
	why = strings.TrimSpace(why)
	if !acts.IsLine(why, maxWhy) {
		return Proposal{}, ErrWhy
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return Proposal{}, ErrClosed
	}
	now := b.o.Now().UTC()
	waiting, own, today := 0, 0, 0
	for _, p := range b.all {
		if p.By.Same(by) && now.Sub(p.Made) < 24*time.Hour {
			today++
		}
		if p.StateAt(now) != Waiting {
			continue
		}
		waiting++
		if p.By.Same(by) {
			own++
		}
		if p.Subject == s {
			return Proposal{}, ErrProposed
		}
	}
	if waiting >= maxWaiting || own >= maxOf || today >= maxPerDay {
		return Proposal{}, ErrTooMany
	}
	var id [16]byte
	rand.Read(id[:])
	p, err := b.do(act{Act: Waiting, ID: hex.EncodeToString(id[:]), By: by, Why: why, Subject: &s, Ends: now.Add(b.o.Life).Truncate(time.Second)})
	if err != nil {
		return Proposal{}, err
	}
	return *p, nil
}

// Confirm has apply do what was proposed, by the word of another operator: once,
// whoever else confirms it. It is written down before it is done; where it cannot be
// done, that is written down too.
func (b *Book) Confirm(id string, by Operator, why string, apply func(Proposal) error) (Proposal, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p, err := b.waiting(id)
	switch {
	case err != nil:
		return Proposal{}, err
	case p.By.Same(by):
		return Proposal{}, ErrSame
	case !b.o.Operates(p.By.Name):
		return Proposal{}, ErrGone
	}
	if why = strings.TrimSpace(why); !acts.IsLine(why, maxWhy) {
		return Proposal{}, ErrWhy
	}
	if p, err = b.do(act{Act: Confirmed, ID: id, By: by, Why: why}); err != nil {
		return Proposal{}, err
	}
	if err := apply(*p); err != nil {
		if _, also := b.do(act{Act: Failed, ID: id}); also != nil {
			err = errors.Join(err, also)
		}
		return Proposal{}, err
	}
	return *p, nil
}

// Withdraw sets a proposal aside: who proposed it may, and any other operator.
func (b *Book) Withdraw(id string, by Operator, why string) (Proposal, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, err := b.waiting(id); err != nil {
		return Proposal{}, err
	}
	if why = strings.TrimSpace(why); !acts.IsLine(why, maxWhy) {
		return Proposal{}, ErrWhy
	}
	p, err := b.do(act{Act: Withdrawn, ID: id, By: by, Why: why})
	if err != nil {
		return Proposal{}, err
	}
	return *p, nil
}

func (b *Book) waiting(id string) (*Proposal, error) {
	p := b.all[id]
	switch {
	case b.closed:
		return nil, ErrClosed
	case p == nil || p.StateAt(b.o.Now()) != Waiting:
		return nil, ErrUnknown
	}
	return p, nil
}

// All are those that are kept, the latest first: 400 days at least, and they leave at
// a start.
func (b *Book) All() (list []Proposal) {
	b.mu.Lock()
	for _, p := range b.all {
		list = append(list, *p)
	}
	b.mu.Unlock()
	slices.SortFunc(list, func(x, y Proposal) int { return cmp.Or(y.Made.Compare(x.Made), cmp.Compare(x.ID, y.ID)) })
	return list
}
