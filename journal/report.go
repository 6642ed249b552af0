package journal

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// A Report is what a verification found.
type Report struct {
	Origin                       string
	First, End                   uint64 // the records kept: from First to before End
	Sealed                       uint64 // size of the last checkpoint
	Exchanges, Amendments, Marks uint64
	Before                       int    // of the other checkpoints, those of before the records kept: not comparable any more
	NotRecorded, TurnedAway      uint64 // according to the marks
	From, To                     time.Time

	// Problems lists what is wrong, in French: what was changed, taken away or
	// destroyed. More than MaxProblems are only counted.
	Problems []string
	More     int
	// Unread lists, in French, what could not be read for now, by the fault of the
	// disk or of the system: nothing is known of it. MaxProblems at most.
	Unread []string
}

// MaxProblems is how many problems a Report lists.
const MaxProblems = 100

// OK reports whether everything was read and nothing was found wrong.
func (r *Report) OK() bool { return len(r.Problems) == 0 && len(r.Unread) == 0 }

func (r *Report) wrong(format string, args ...any) {
	if len(r.Problems) == MaxProblems {
		r.More++
		return
	}
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
}

func (r *Report) unread(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if len(r.Unread) < MaxProblems && !slices.Contains(r.Unread, text) {
		r.Unread = append(r.Unread, text)
	}
}

// cannotRead notes what an error kept from being read: what is damaged is a
// problem, anything else is unread.
func (r *Report) cannotRead(what string, err error) {
	if errors.Is(err, ErrDamaged) {
		r.wrong("%s : illisible : %v", what, err)
	} else {
		r.unread("%s : lecture impossible : %v", what, err)
	}
}

func (r *Report) see(e *Entry) {
	if at := e.At(); !at.IsZero() {
		if r.From.IsZero() || at.Before(r.From) {
			r.From = at
		}
		if at.After(r.To) {
			r.To = at
		}
	}
	switch {
	case e.Exchange != nil:
		r.Exchanges++
	case e.Amendment != nil:
		r.Amendments++
	case e.Mark != nil:
		r.Marks++
		switch e.Mark.Event {
		case NotRecorded:
			r.NotRecorded += e.Mark.Count
		case TurnedAway:
			r.TurnedAway += e.Mark.Count
		case Void:
			r.wrong("l'enregistrement %d était illisible après une panne : une marque le remplace", e.Index)
		}
	}
}
