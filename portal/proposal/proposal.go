// Package proposal keeps the acts that need a second operator: what one proposes,
// another person confirms or sets aside. An act is done once, when it is confirmed.
//
// Everything fails closed: who cannot be told apart from the first operator is not
// a second one, and what is not written is not done.
package proposal

import (
	"errors"
	"slices"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// An Operator is one person, as far as it can be known: by the name that the
// configuration gives it, and by all that it came with.
type Operator struct {
	Name string `json:"name"`

	// Marks each name the person: of a certificate itself, its public key and its
	// subject; of a person by OpenID Connect, its pseudonym; of both, the name.
	Marks []string `json:"marks"`
}

// Same reports whether two operators may be one person: one mark in common is
// enough, and who bears none may be anybody.
func (o Operator) Same(other Operator) bool {
	return len(o.Marks) == 0 || len(other.Marks) == 0 || slices.ContainsFunc(o.Marks, func(m string) bool { return slices.Contains(other.Marks, m) })
}

// A Subject is what is proposed: two that are equal are one.
type Subject struct {
	AMC  roc.NumeroAMC `json:"amc,omitzero"`
	Host string        `json:"host,omitzero"` // of the AMC: to let it pass

	// Of a dated change of the register: whose, and the state from when on.
	EJ    roc.FINESS `json:"finess_ej,omitzero"`
	State string     `json:"state,omitzero"` // one line of etats, as the file has it
}

// A Proposal is one act that waits for a second operator, or did. It never changes:
// a Book gives copies.
type Proposal struct {
	ID      string   `json:"id"`
	Subject Subject  `json:"subject"`
	By      Operator `json:"by"`
	Why     string   `json:"why"`

	Made time.Time `json:"made"`
	Ends time.Time `json:"ends"` // it may not be confirmed from then on

	Second    Operator  `json:"second,omitzero"` // who confirmed it, or set it aside
	SecondWhy string    `json:"second_why,omitzero"`
	Decided   time.Time `json:"decided,omitzero"`
	state     State
}

// A State is what became of a proposal.
type State string

// The states.
const (
	Waiting   State = "waiting"
	Confirmed State = "confirmed" // and done
	Failed    State = "failed"    // confirmed, and it could not be done
	Withdrawn State = "withdrawn" // set aside, by anybody who may propose
	Lapsed    State = "lapsed"    // nobody confirmed it in time
)

// StateAt is what the proposal is then.
func (p *Proposal) StateAt(at time.Time) State {
	switch {
	case p.state != "":
		return p.state
	case at.Before(p.Ends):
		return Waiting
	}
	return Lapsed
}

// The errors of a proposal.
var (
	// ErrSame is of who would confirm its own proposal.
	ErrSame = errors.New("the second operator is another person than the first")
	// ErrUnknown is of a proposal that is not there, or waits no more.
	ErrUnknown = errors.New("no such proposal, or it waits no more")
	// ErrProposed is of what waits for a second operator already.
	ErrProposed = errors.New("it is proposed already")
	// ErrGone is of a proposal whose first operator may propose nothing any more.
	ErrGone = errors.New("who proposed it is no longer an operator who may")
	// ErrTooMany is of too many proposals that wait.
	ErrTooMany = errors.New("too many proposals wait")
	// ErrClosed is of a book that cannot be read or written, or that another process has.
	ErrClosed = errors.New("the proposals cannot be read or written")
	// ErrWhy is of a reason that is none.
	ErrWhy = errors.New("a reason is one line of 1 to 200 bytes")
)

// The bounds of a book.
const (
	maxWaiting = 200
	maxOf      = 20  // of those, of one operator
	maxPerDay  = 100 // made in one day by one operator
	maxWhy     = 200
	keepOver   = 400 * 24 * time.Hour
)
