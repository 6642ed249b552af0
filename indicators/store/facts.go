package store

import (
	"cmp"
	"slices"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/journal"
)

// A fact is what the figures take of one record: of an exchange, or of what was
// known of one afterwards. A batch of records is a list of facts, which is sorted
// for each kind of row in turn: counts are made for one row at a time.
type fact struct {
	requestBytes, answerBytes int64
	ones                      ones
	bins                      [5]int16 // of each distribution (Counts.all); -1: it is in none
	touch                     touch    // its link is zero: of no dossier
}

// Ones are the counts that a fact adds one to.
type ones uint16

const (
	oneExchange ones = 1 << iota
	oneUndelivered
	oneBadAnswer
	oneReplayed
	oneRemembered
	oneStale
	oneWithin2s
	oneWithin5s
	oneWithin20s
	oneSent
	oneFailed
	oneBeyondRate
	oneClockOff
)

func (o *ones) set(one ones, yes bool) {
	if yes {
		*o |= one
	}
}

func (o ones) of(one ones) int64 {
	if o&one != 0 {
		return 1
	}
	return 0
}

// take counts one fact.
func (c *Counts) take(f *fact) {
	c.Exchanges += f.ones.of(oneExchange)
	c.Undelivered += f.ones.of(oneUndelivered)
	c.BadAnswers += f.ones.of(oneBadAnswer)
	c.Replayed += f.ones.of(oneReplayed)
	c.Remembered += f.ones.of(oneRemembered)
	c.Stale += f.ones.of(oneStale)
	c.Within2s += f.ones.of(oneWithin2s)
	c.Within5s += f.ones.of(oneWithin5s)
	c.Within20s += f.ones.of(oneWithin20s)
	c.Sent += f.ones.of(oneSent)
	c.Failed += f.ones.of(oneFailed)
	c.BeyondRate += f.ones.of(oneBeyondRate)
	c.ClockOff += f.ones.of(oneClockOff)
	c.RequestBytes += f.requestBytes
	c.AnswerBytes += f.answerBytes
	for i, d := range c.all() {
		if f.bins[i] >= 0 {
			d.put(int32(f.bins[i]), 1)
		}
	}
}

// factOf is an exchange as a fact.
func factOf(x *journal.Exchange) fact {
	total := x.Total()
	f := fact{requestBytes: int64(x.RequestBytes), answerBytes: int64(x.AnswerBytes), ones: oneExchange,
		bins: [5]int16{binOf(total), binOf(x.Read), binOf(total - x.Read - x.Annuaire - x.AMC), -1, -1}}
	f.ones.set(oneBadAnswer, x.AnswerCheck != "" && x.AnswerCheck != "good" && x.AnswerCheck != roc.CheckedLater)
	f.ones.set(oneReplayed, x.Replayed)
	f.ones.set(oneRemembered, x.FromMemory)
	f.ones.set(oneStale, x.Stale)
	f.ones.set(oneWithin2s, total <= 2*time.Second)
	f.ones.set(oneWithin5s, total <= 5*time.Second)
	f.ones.set(oneWithin20s, total <= 20*time.Second)
	f.ones.set(oneSent, sent(x))
	f.ones.set(oneFailed, FailedByAMC(x))
	f.ones.set(oneBeyondRate, x.CauseCode == roc.AMCRate)
	if !x.RequestOut.IsZero() {
		f.bins[3] = binOf(x.AMC)
	}
	if x.ClockOffset != nil {
		off := x.ClockOffset.Abs()
		f.bins[4] = binOf(off)
		f.ones.set(oneClockOff, off > clockOff)
	}
	return f
}

func binOf(d time.Duration) int16 { return int16(indexOf(d)) }

// amendmentOf is what was only known after the record of an exchange, as a fact.
func amendmentOf(a *journal.Amendment) fact {
	f := fact{bins: [5]int16{-1, -1, -1, -1, -1}}
	switch a.Change {
	case journal.WriteFailed, journal.CallerLeft:
		f.ones = oneUndelivered
	case journal.AnswerChecked:
		f.ones = oneBadAnswer
	}
	return f
}

// A column holds one part of the keys of facts: of each fact the number of its
// value.
type column[T cmp.Ordered] struct {
	values  []T // by number
	of      []uint32
	numbers map[T]uint32
}

func (c *column[T]) add(v T) {
	if n := len(c.of); n > 0 && c.values[c.of[n-1]] == v { // mostly of hours
		c.of = append(c.of, c.of[n-1])
		return
	}
	n, known := c.numbers[v]
	if !known {
		if c.numbers == nil {
			c.numbers = map[T]uint32{}
		}
		n = uint32(len(c.values))
		c.numbers[v] = n
		c.values = append(c.values, v)
	}
	c.of = append(c.of, n)
}

// rank numbers the values in their order.
func (c *column[T]) rank() {
	before := slices.Clone(c.values)
	slices.Sort(c.values)
	for n, v := range c.values {
		c.numbers[v] = uint32(n)
	}
	now := make([]uint32, len(before))
	for n, v := range before {
		now[n] = c.numbers[v]
	}
	for i, n := range c.of {
		c.of[i] = now[n]
	}
}

// sort puts facts in the order of their values; those of one value stay as they
// were. The column is ranked.
func (c *column[T]) sort(facts []uint32) []uint32 {
	starts := make([]uint32, len(c.values)+1)
	for _, i := range facts {
		starts[c.of[i]+1]++
	}
	for n := range c.values {
		starts[n+1] += starts[n]
	}
	list := make([]uint32, len(facts))
	for _, i := range facts {
		at := &starts[c.of[i]]
		list[*at] = i
		*at++
	}
	return list
}

// Sums are what a batch adds.
type sums struct {
	facts      []fact
	structures column[roc.StructureID]
	amcs       column[roc.NumeroAMC]
	hours      column[int64]
	days       column[int64] // of the hours
	entries    column[uint64]
	ranked     bool

	windows map[packKey]*pack
	gaps    []gap

	hour, day int64 // the last hour that dayOf was asked for, and its day

	// weight is how many bytes of memory it takes at most, with the rows that are
	// made of it.
	weight int
}

// What a fact and a window take, at most. Measured by
// TestABatchTakesNoMoreThanItsWeight.
const (
	weightOfFact   = 450
	weightOfWindow = 500
)

func newSums() *sums { return &sums{windows: map[packKey]*pack{}} }

// take adds a fact of an exchange.
func (b *sums) take(x *journal.Exchange, f fact, lost bool) {
	structure, amc := x.From, x.To.AMC
	if structure == "" {
		structure = none
	}
	if amc == "" {
		amc = none
	}
	hour := Hour.Begin(x.RequestIn).Unix()
	day := b.dayOf(hour)
	b.structures.add(structure)
	b.amcs.add(amc)
	b.hours.add(hour)
	b.days.add(day)
	b.entries.add(entryKey{service: x.Service, version: x.Version, owner: ownerNumber(x.MustAct), code: endNumber(x.End())}.order())
	if x.Dossier != (roc.Dossier{}) && x.Service <= touchService {
		f.touch = touch{link: x.Dossier, at: uint32(x.RequestIn.UnixMilli() - day*1000), flags: byte(x.Service)}
		switch {
		case lost:
			f.touch.flags |= touchLost
		case f.ones&oneExchange == 0: // what amends it otherwise is nothing of the dossier
			f.touch = touch{}
		case x.Outcome == roc.Answered:
			f.touch.flags |= touchUsable
		}
	}
	b.facts = append(b.facts, f)
	b.ranked = false
	b.weight += weightOfFact
}

// dayOf is the day of an hour.
func (b *sums) dayOf(hour int64) int64 {
	if hour != b.hour || b.day == 0 {
		b.hour, b.day = hour, Day.Begin(time.Unix(hour, 0)).Unix()
	}
	return b.day
}

// A row is one row of the store, and what a batch adds to it.
type row struct {
	packKey
	facts []uint32
	whole *pack // of windows
}

// rows are those of a kind that a batch adds to. The rows of one structure and
// period stand together, in the order of their insurers.
func (b *sums) rows(k kind) (list []row) {
	if !b.ranked {
		b.structures.rank()
		b.amcs.rank()
		b.hours.rank()
		b.days.rank()
		b.entries.rank()
		b.ranked = true
	}
	switch k {
	case pairs:
		facts := b.structures.sort(b.days.sort(b.amcs.sort(b.hours.sort(b.byEntry()))))
		return b.cut(list, k, facts, &b.days, true, true)
	case byHour:
		return b.sides(k, &b.hours)
	case byDay:
		return b.sides(k, &b.days)
	}
	for key, p := range b.windows {
		list = append(list, row{packKey: key, whole: p})
	}
	slices.SortFunc(list, func(x, y row) int { return x.packKey.compare(y.packKey) })
	return list
}

// byEntry are all facts, in the order of their entries.
func (b *sums) byEntry() []uint32 {
	facts := make([]uint32, len(b.facts))
	for i := range facts {
		facts[i] = uint32(i)
	}
	return b.entries.sort(facts)
}

// sides are the rows of the sums over insurers, over establishments, and over both.
func (b *sums) sides(k kind, periods *column[int64]) []row {
	facts := b.byEntry()
	list := b.cut(nil, k, periods.sort(facts), periods, false, false)
	list = b.cut(list, k, periods.sort(b.amcs.sort(facts)), periods, false, true)
	return b.cut(list, k, b.structures.sort(periods.sort(facts)), periods, true, false)
}

// cut cuts facts into rows, where their period changes, and their structure and
// insurer where those are told apart.
func (b *sums) cut(list []row, k kind, facts []uint32, periods *column[int64], structure, amc bool) []row {
	for len(facts) > 0 {
		i, n := facts[0], 1
		for n < len(facts) && periods.of[facts[n]] == periods.of[i] && (!structure || b.structures.of[facts[n]] == b.structures.of[i]) && (!amc || b.amcs.of[facts[n]] == b.amcs.of[i]) {
			n++
		}
		r := row{packKey: packKey{kind: k, begins: periods.values[periods.of[i]]}, facts: facts[:n]}
		if structure {
			r.structure = b.structures.values[b.structures.of[i]]
		}
		if amc {
			r.amc = b.amcs.values[b.amcs.of[i]]
		}
		list, facts = append(list, r), facts[n:]
	}
	return list
}

// gather adds the facts of a row to a pack.
func (b *sums) gather(r *row, p *pack) {
	var c *Counts
	var last entryKey
	for _, i := range r.facts {
		k := entryKeyOf(b.entries.values[b.entries.of[i]])
		if r.kind == pairs {
			k.slot = uint16((b.hours.values[b.hours.of[i]] - r.begins) / 3600)
		}
		if c == nil || k != last {
			c, last = p.of(k), k
		}
		c.take(&b.facts[i])
	}
	if r.kind == pairs {
		b.join(r, p)
	}
}

// join adds the touches of a row to a pack. Where there are more than MostJoined,
// those that come first in the journal are kept.
func (b *sums) join(r *row, p *pack) {
	facts := r.facts
	if len(p.touches)+len(facts) > MostJoined {
		facts = slices.Sorted(slices.Values(facts))
	}
	for _, i := range facts {
		if t := b.facts[i].touch; t.link != (roc.Dossier{}) && len(p.touches) < MostJoined {
			p.touches = append(p.touches, t)
		}
	}
}

// bytes writes what the store has of a row, nil where it has nothing, and what the
// batch adds to it, behind what to holds. Room is what it needs for it.
func (b *sums) bytes(to []byte, r *row, had []byte, room *pack) ([]byte, error) {
	if had == nil && r.whole != nil {
		return r.whole.append(to), nil
	}
	room.empty()
	if had != nil {
		if err := room.read(had); err != nil {
			return nil, err
		}
	}
	if r.whole != nil {
		for _, e := range r.whole.entries {
			room.of(e.entryKey).Add(e.Counts)
		}
	} else {
		b.gather(r, room)
	}
	return room.append(to), nil
}
