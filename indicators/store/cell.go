package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/DataDog/sketches-go/ddsketch"
	"github.com/DataDog/sketches-go/ddsketch/mapping"
	sketch "github.com/DataDog/sketches-go/ddsketch/store"

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

	// Where the time went: in all; until the caller had sent its message; in
	// the RPN; at the insurer. Microseconds.
	Total, AtCaller, InRPN, AtAMC Durations
}

// Durations is the distribution of a duration, with a relative error of 1 %.
// The zero value is empty.
type Durations struct{ s *ddsketch.DDSketch }

var (
	durationMapping = mustMap(mapping.NewLogarithmicMapping(0.01))
	durationStore   = sketch.SparseStoreConstructor
)

func mustMap(m *mapping.LogarithmicMapping, err error) *mapping.LogarithmicMapping {
	if err != nil {
		panic(err)
	}
	return m
}

// Add takes one duration. A negative one, of a record that somebody forged,
// counts as none.
func (d *Durations) Add(x time.Duration) {
	if d.s == nil {
		d.s = ddsketch.NewDDSketchFromStoreProvider(durationMapping, durationStore)
	}
	us := max(float64(x.Microseconds()), 0)
	if err := d.s.Add(us); err != nil {
		panic(err) // it is a finite number that is not negative
	}
}

// Count is how many durations there are.
func (d *Durations) Count() int64 {
	if d.s == nil {
		return 0
	}
	return int64(d.s.GetCount())
}

// Quantile returns the duration that a share q of them does not exceed; 0 when
// there is none.
func (d *Durations) Quantile(q float64) time.Duration {
	if d.Count() == 0 {
		return 0
	}
	us, err := d.s.GetValueAtQuantile(q)
	if err != nil {
		return 0
	}
	return time.Duration(us * float64(time.Microsecond))
}

func (d *Durations) merge(o *Durations) error {
	if o.s == nil {
		return nil
	}
	if d.s == nil {
		d.s = o.s.Copy()
		return nil
	}
	return d.s.MergeWith(o.s)
}

func (d *Durations) append(b []byte) []byte {
	var e []byte
	if d.s != nil {
		d.s.Encode(&e, true)
	}
	b = binary.AppendUvarint(b, uint64(len(e)))
	return append(b, e...)
}

func (d *Durations) read(b []byte) ([]byte, error) {
	n, w := binary.Uvarint(b)
	if w <= 0 || n > uint64(len(b)-w) {
		return nil, errors.New("a distribution is cut")
	}
	e, rest := b[w:w+int(n)], b[w+int(n):]
	if n == 0 {
		d.s = nil
		return rest, nil
	}
	s, err := ddsketch.DecodeDDSketch(e, durationStore, durationMapping)
	if err != nil {
		return nil, fmt.Errorf("a distribution: %w", err)
	}
	d.s = s
	return rest, nil
}

// all is every distribution, in the order in which they are written.
func (c *Counts) all() []*Durations { return []*Durations{&c.Total, &c.AtCaller, &c.InRPN, &c.AtAMC} }

// numbers is every count, in the order of the columns.
func (c *Counts) numbers() []*int64 {
	return []*int64{&c.Exchanges, &c.Undelivered, &c.BadAnswers, &c.Replayed, &c.Remembered, &c.Stale,
		&c.RequestBytes, &c.AnswerBytes, &c.Within2s, &c.Within5s, &c.Within20s}
}

// columns are the names of numbers in the store.
var columns = []string{"exchanges", "undelivered", "bad_answers", "replayed", "remembered", "stale",
	"request_bytes", "answer_bytes", "within_2s", "within_5s", "within_20s"}

func (c *Counts) durations() []byte {
	var b []byte
	for _, d := range c.all() {
		b = d.append(b)
	}
	return b
}

func (c *Counts) readDurations(b []byte) (err error) {
	for _, d := range c.all() {
		if b, err = d.read(b); err != nil {
			return err
		}
	}
	return nil
}

// Add adds the counts of another cell.
func (c *Counts) Add(o *Counts) error {
	mine, theirs := c.numbers(), o.numbers()
	for i := range mine {
		*mine[i] += *theirs[i]
	}
	his := o.all()
	for i, d := range c.all() {
		if err := d.merge(his[i]); err != nil {
			return err
		}
	}
	return nil
}

// add counts one exchange.
func (c *Counts) add(x *journal.Exchange) {
	c.Exchanges++
	is := func(n *int64, yes bool) {
		if yes {
			*n++
		}
	}
	is(&c.BadAnswers, x.AnswerCheck != "" && x.AnswerCheck != "good" && x.AnswerCheck != roc.CheckedLater)
	is(&c.Replayed, x.Replayed)
	is(&c.Remembered, x.FromMemory)
	is(&c.Stale, x.Stale)
	c.RequestBytes += int64(x.RequestBytes)
	c.AnswerBytes += int64(x.AnswerBytes)
	total := x.Total()
	is(&c.Within2s, total <= 2*time.Second)
	is(&c.Within5s, total <= 5*time.Second)
	is(&c.Within20s, total <= 20*time.Second)
	c.Total.Add(total)
	c.AtCaller.Add(x.Read)
	c.InRPN.Add(total - x.Read - x.Annuaire - x.AMC)
	if !x.RequestOut.IsZero() {
		c.AtAMC.Add(x.AMC)
	}
}

// amend counts what was only known after the record of an exchange.
func (c *Counts) amend(a *journal.Amendment) {
	switch a.Change {
	case journal.WriteFailed, journal.CallerLeft:
		c.Undelivered++
	case journal.AnswerChecked:
		c.BadAnswers++
	}
}

// codeOf is the outcome of an exchange as a cell has it.
func codeOf(x *journal.Exchange) string {
	if x.Outcome == roc.Refused {
		return x.Code()
	}
	return string(x.Outcome)
}

// cellsOf are all cells that an exchange counts in: the establishment and the
// insurer by the hour, and the sums.
func cellsOf(x *journal.Exchange) [7]Cell {
	at := x.RequestIn
	hour, day := Hour.Begin(at).Unix(), Day.Begin(at).Unix()
	from, to := x.From, x.To.AMC
	if from == "" {
		from = none
	}
	if to == "" {
		to = none
	}
	c := Cell{Service: x.Service, Version: x.Version, Code: codeOf(x), Owner: x.MustAct}
	at7 := func(g Grain, begin int64, from roc.StructureID, to roc.NumeroAMC) Cell {
		c := c
		c.Grain, c.Begin, c.Structure, c.AMC = g, begin, from, to
		return c
	}
	return [7]Cell{
		at7(Hour, hour, from, to), at7(Day, day, from, to), at7(Day, day, from, ""),
		at7(Hour, hour, "", to), at7(Day, day, "", to),
		at7(Hour, hour, "", ""), at7(Day, day, "", ""),
	}
}
