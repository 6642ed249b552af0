package store

import (
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/journal"
)

// The outcomes of a cell beside the codes of refusals (RPN212).
const (
	Answered  = string(roc.Answered)
	FarFault  = string(roc.FarFault)
	Abandoned = string(roc.Abandoned)
)

// A Grain is how long the period of a cell is.
type Grain string

// The grains. A day begins and ends at midnight in Paris: 23, 24 or 25 hours.
const (
	Hour Grain = "h"
	Day  Grain = "d"
)

// Paris is the time of the figures: their days and weeks are those of their
// readers.
var Paris = mustLoad("Europe/Paris")

func mustLoad(name string) *time.Location {
	l, err := time.LoadLocation(name)
	if err != nil {
		panic(err) // the database of zones is in the binary (time/tzdata)
	}
	return l
}

// Begin returns the beginning of the period of that grain that t is in.
func (g Grain) Begin(t time.Time) time.Time {
	if g == Day {
		y, m, d := t.In(Paris).Date()
		return time.Date(y, m, d, 0, 0, 0, 0, Paris)
	}
	return t.UTC().Truncate(time.Hour)
}

// A Cell says what its counts are of. An empty Structure or AMC is the sum over
// all of them.
type Cell struct {
	Grain     Grain
	Begin     int64 // of the period, in seconds since 1970
	Structure roc.StructureID
	AMC       roc.NumeroAMC
	Service   roc.Service
	Version   roc.Version
	Code      string          // Answered, FarFault, Abandoned or the code of the refusal
	Owner     roc.Responsable // who had to act
}

// none stands in a cell for an exchange that came to no structure or no
// insurer: the empty string is the sum over all.
const none = "-"

// Counts are the figures of a cell. All of them add up.
type Counts struct {
	Exchanges    int64
	Undelivered  int64 // of them, the answer did not reach the caller
	BadAnswers   int64 // of them, the signature of the answer is not good
	Replayed     int64 // of them, the same signature had come before
	Remembered   int64 // of them, the annuaire's answer was remembered
	Stale        int64 // of these, no longer fresh
	RequestBytes int64
	AnswerBytes  int64
	Within2s     int64 // in all, from the first byte read until the answer is ready
	Within5s     int64
	Within20s    int64
	Sent         int64 // of them, the insurer was called, or would have been had it not been failing (RPN401 to RPN405)
	Failed       int64 // of these, by a technical failure of the insurer (RPN401 to RPN405)
	BeyondRate   int64 // refused because they exceed the rate that the insurer grants
	ClockOff     int64 // of them, the signer's clock is more than a minute from ours

	// unanswered are those of Failed by which the rule of five holds; only
	// windows have it.
	unanswered int64

	// Where the time went: in all; until the caller had sent its message; in
	// the RPN; at the insurer.
	Total, AtCaller, InRPN, AtAMC Durations

	// Clock is how far the signer's clock is from ours, ahead or behind.
	Clock Durations
}

// clockOff is from when on a clock is off: the RPN refuses at five minutes.
const clockOff = time.Minute

// all is every distribution, in the order in which they are written.
func (c *Counts) all() [5]*Durations {
	return [...]*Durations{&c.Total, &c.AtCaller, &c.InRPN, &c.AtAMC, &c.Clock}
}

// numbers is every count, in the order in which they are written.
func (c *Counts) numbers() [16]*int64 {
	return [...]*int64{&c.Exchanges, &c.Undelivered, &c.BadAnswers, &c.Replayed, &c.Remembered, &c.Stale,
		&c.RequestBytes, &c.AnswerBytes, &c.Within2s, &c.Within5s, &c.Within20s,
		&c.Sent, &c.Failed, &c.BeyondRate, &c.ClockOff, &c.unanswered}
}

// Add adds the counts of another cell.
func (c *Counts) Add(o *Counts) {
	c.addNumbers(o)
	his := o.all()
	for i, d := range c.all() {
		d.merge(his[i])
	}
}

// addNumbers adds all but the distributions.
func (c *Counts) addNumbers(o *Counts) {
	mine, theirs := c.numbers(), o.numbers()
	for i := range mine {
		*mine[i] += *theirs[i]
	}
}

// empty removes all, and keeps the room.
func (c *Counts) empty() {
	for _, n := range c.numbers() {
		*n = 0
	}
	for _, d := range c.all() {
		d.empty()
	}
}

// FailedByAMC reports whether the insurer failed an exchange, as the definition of
// an outage has it (Window).
func FailedByAMC(x *journal.Exchange) bool {
	switch x.Reason {
	case roc.AMCUnreachable, roc.AMCSilent, roc.AMCBadAnswer, roc.AMCResting, roc.AMCNotSOAP:
		return x.Outcome == roc.Refused && x.MustAct == roc.ByAMC && x.To.AMC != ""
	}
	return false
}

// sent reports whether an exchange counts for the availability of its insurer.
func sent(x *journal.Exchange) bool {
	return FailedByAMC(x) || x.Service != roc.Annuaire && x.To.AMC != "" && (x.Outcome == roc.Answered || x.Outcome == roc.FarFault)
}
