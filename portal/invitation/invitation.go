// Package invitation keeps the invitations by which a person reads the pages of
// an establishment or of an insurer: who made each, for whom, when, whether it
// was used and whether it was revoked.
//
// An invitation is a link: signed, single-use, with an end. Who uses it is known by
// a pseudonym alone, and reads from then on, until the access ends or the
// invitation is revoked. Every act is one line that is added to a file; what is not
// written is not done. Those of invitations that have long been over leave it at a start.
package invitation

import (
	"errors"
	"fmt"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/portal/acts"
)

// A Party is whose pages an invitation opens: an establishment by a structure id
// of its own, or an insurer by one of its numbers.
type Party struct {
	Structure roc.StructureID `json:"structure,omitzero"`
	AMC       roc.NumeroAMC   `json:"amc,omitzero"`
}

// String names the party in one word.
func (p Party) String() string {
	if p.AMC != "" {
		return "amc " + string(p.AMC)
	}
	return string(p.Structure)
}

// ParseParty reads what a person writes for a party: an AMC number for an insurer,
// a structure id or a FINESS for an establishment.
func ParseParty(structure, amc string) (p Party, err error) {
	switch {
	case (structure == "") == (amc == ""):
		return p, errors.New("name a structure, or an AMC")
	case amc != "":
		p.AMC, err = roc.ParseNumeroAMC(amc)
	default:
		p.Structure, err = roc.ParseStructure(structure)
	}
	return p, err
}

// An Invitation is one link, and what became of it. It never changes: a Book gives
// copies.
type Invitation struct {
	ID    string `json:"id"` // names it, and opens nothing
	Party Party  `json:"party"`
	Label string `json:"label"` // by which its maker knows it: a service, a post

	By   string    `json:"by"` // who made it
	Made time.Time `json:"made"`
	Ends time.Time `json:"ends"` // of the link, while nobody has used it

	Person string    `json:"person,omitzero"` // the pseudonym of who used it
	Used   time.Time `json:"used,omitzero"`
	Until  time.Time `json:"until,omitzero"` // of the access

	RevokedBy string    `json:"revoked_by,omitzero"`
	Revoked   time.Time `json:"revoked,omitzero"`
}

// A State is what an invitation is at an instant.
type State string

// The states.
const (
	Waiting State = "waiting" // its link may be used
	Lapsed  State = "lapsed"  // nobody used its link in time
	Active  State = "active"  // somebody reads by it
	Over    State = "over"    // the access has come to its end
	Revoked State = "revoked"
)

// StateAt is what the invitation is then.
func (i *Invitation) StateAt(at time.Time) State {
	switch {
	case !i.Revoked.IsZero():
		return Revoked
	case i.Person == "" && at.Before(i.Ends):
		return Waiting
	case i.Person == "":
		return Lapsed
	case at.Before(i.Until):
		return Active
	}
	return Over
}

// over is since when nothing can come of it any more; zero: something can.
func (i *Invitation) over(at time.Time) time.Time {
	switch i.StateAt(at) {
	case Revoked:
		return i.Revoked
	case Lapsed:
		return i.Ends
	case Over:
		return i.Until
	}
	return time.Time{}
}

// The errors of an invitation. Who has a link that is none learns no more.
var (
	// ErrInvalid is of a link that was never made here, or was changed.
	ErrInvalid = errors.New("not an invitation of this portal")
	// ErrUsed is of a link that somebody has used.
	ErrUsed = errors.New("the invitation is used already")
	// ErrOver is of a link that has ended, or was revoked.
	ErrOver = errors.New("the invitation has ended, or was revoked")
	// ErrTooMany is of a party that has enough of them.
	ErrTooMany = errors.New("there are enough invitations")
	// ErrUnknown is of an invitation that is not there, or is over.
	ErrUnknown = errors.New("no such invitation, or it is over")
	// ErrClosed is of a book that cannot be read or written, or that another process has.
	ErrClosed = errors.New("the invitations cannot be read or written")
)

// The bounds of a book.
const (
	maxLabel   = 80
	maxBy      = 2 << 10
	maxLive    = 50_000 // that something can still come of
	maxOfParty = 200    // of those, for one party
	maxPerDay  = 50     // made in one day for one party
	keepOver   = 400 * 24 * time.Hour
)

func checkText(label, by string) error {
	if !acts.IsLine(label, maxLabel) || by != "" && !acts.IsLine(by, maxBy) {
		return fmt.Errorf("a label is one line of 1 to %d bytes", maxLabel)
	}
	return nil
}
