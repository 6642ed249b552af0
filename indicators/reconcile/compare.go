package reconcile

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/journal"
)

// A Side is whose exchanges are compared: an establishment, with all the ids that
// its certificates may carry, or an insurer, with all its numbers.
type Side struct {
	Structures []roc.StructureID
	AMCs       []roc.NumeroAMC
}

// has reports whether an exchange is one that this side knows of: an establishment
// sent it; an insurer was sent it.
func (s *Side) has(x *journal.Exchange) bool {
	if len(s.Structures) > 0 {
		return slices.Contains(s.Structures, x.From)
	}
	return slices.Contains(s.AMCs, x.To.AMC) && !x.RequestOut.IsZero()
}

// An Ours is an exchange of the journal, and where its record is.
type Ours struct {
	ID        roc.ExchangeID
	MessageID string
	At        time.Time
	Service   roc.Service
	Outcome   string
	Log       int // which of the journals
	Index     uint64
}

// A Theirs is a line of the other side that the journal does not have so.
type Theirs struct {
	Line
	Why string // in French
}

// A Row is one day and service.
type Row struct {
	Cell
	Theirs, Ours         int64
	Both                 int64 // of a list: exchanges that both have
	TheirsOnly, OursOnly int64
}

// A Result is what one side has and the other has not.
type Result struct {
	Rows   []Row
	Theirs []Theirs // of a list: those that the journal does not have
	Ours   []Ours   // of a list: those that it has and the other side has not; of a count: those of the days and services that differ
	Twice  int      // lines of a list that repeat another one

	// What the journal does not show, over the period: it may be among Theirs.
	Unrecorded uint64 // exchanges of anybody without a record, as the journal itself says
	Damaged    int    // records that cannot be read
	Pruned     bool   // the oldest records were deleted
}

// Equal reports whether both sides have the same.
func (r *Result) Equal() bool {
	return len(r.Theirs) == 0 && r.Twice == 0 && !slices.ContainsFunc(r.Rows, func(w Row) bool { return w.TheirsOnly+w.OursOnly > 0 })
}

// jump is how far a clock may have been moved back while the journal was written:
// so much more of it is read on both sides.
const jump = 24 * time.Hour

// Compare compares what a side hands in with its exchanges of the journals that
// came from from on and before to. progress, which may be nil, is told how far it
// is.
func Compare(logs []*journal.Log, side Side, from, to time.Time, c *Claim, progress func(done, total uint64)) (*Result, error) {
	res := &Result{}
	ours, err := res.read(logs, side, from, to, progress)
	if err != nil {
		return nil, err
	}
	rows := table{}
	for i := range ours {
		rows.at(ours[i].cell()).Ours++
	}
	if c.Counts != nil {
		res.counts(c, ours, rows, from, to)
	} else {
		res.list(c, ours, rows)
	}
	for _, r := range rows {
		res.Rows = append(res.Rows, *r)
	}
	slices.SortFunc(res.Rows, func(x, y Row) int { return cmp.Or(cmp.Compare(x.Day, y.Day), cmp.Compare(x.Service, y.Service)) })
	return res, nil
}

// A table is the rows, by day and service.
type table map[Cell]*Row

func (t table) at(cell Cell) *Row {
	if t[cell] == nil {
		t[cell] = &Row{Cell: cell}
	}
	return t[cell]
}

func (o *Ours) cell() Cell { return Cell{dayOf(o.At), o.Service} }

// read finds the exchanges of a side, in the order of time, and what the journals
// themselves say that they lack.
func (r *Result) read(logs []*journal.Log, side Side, from, to time.Time, progress func(done, total uint64)) ([]Ours, error) {
	var list []Ours
	for n, l := range logs {
		first, end := l.Bounds()
		start := startOf(l, from.Add(-jump))
		if first > 0 && start == first {
			e, err := l.Entry(first)
			r.Pruned = r.Pruned || err != nil || e.At().After(from)
		}
		next := start
		for e, err := range l.Entries(start) {
			if progress != nil && next%4096 == 0 {
				progress(next-start, end-start)
			}
			next++
			switch {
			case errors.Is(err, journal.ErrDamaged):
				r.Damaged++
				continue
			case err != nil: // it may be readable later: nothing is said without it
				return nil, err
			}
			if e.At().After(to.Add(jump)) {
				break
			}
			switch x, m := e.Exchange, e.Mark; {
			case x != nil && side.has(x) && !x.RequestIn.Before(from) && x.RequestIn.Before(to):
				list = append(list, Ours{x.ID, x.MessageID, x.RequestIn, x.Service, outcome(x), n, e.Index})
			case m != nil && (m.Event == journal.NotRecorded || m.Event == journal.TurnedAway) && m.From.Before(to) && !m.To.Before(from):
				r.Unrecorded += m.Count
			}
		}
	}
	slices.SortFunc(list, func(x, y Ours) int { return cmp.Or(x.At.Compare(y.At), cmp.Compare(x.ID, y.ID)) })
	return list, nil
}

// startOf finds the first record from an instant on, or one before it. One that
// cannot be read is taken for a later one, so that nothing is passed over.
func startOf(l *journal.Log, from time.Time) uint64 {
	first, end := l.Bounds()
	for end > first {
		middle := first + (end-first)/2
		if e, err := l.Entry(middle); err != nil || !e.At().Before(from) {
			end = middle
		} else {
			first = middle + 1
		}
	}
	return first
}

func outcome(x *journal.Exchange) string {
	if c := x.Code(); c != "" {
		return c
	}
	return string(x.Outcome)
}

// counts compares a count.
func (r *Result) counts(c *Claim, ours []Ours, rows table, from, to time.Time) {
	for cell, n := range c.Counts {
		if cell.Day < dayOf(from) || cell.Day > dayOf(to.Add(-1)) {
			if n > 0 {
				r.Theirs = append(r.Theirs, Theirs{Line{Day: cell.Day, Service: cell.Service}, "jour hors de la période comparée"})
			}
			continue
		}
		rows.at(cell).Theirs = n
	}
	for _, w := range rows {
		w.Both = min(w.Theirs, w.Ours)
		w.TheirsOnly, w.OursOnly = w.Theirs-w.Both, w.Ours-w.Both
	}
	for i := range ours {
		if w := rows.at(ours[i].cell()); w.TheirsOnly+w.OursOnly > 0 {
			r.Ours = append(r.Ours, ours[i])
		}
	}
}

// list compares a list. A message that was sent again has several exchanges: a
// line without the id of the exchange stands for one of them.
func (r *Result) list(c *Claim, ours []Ours, rows table) {
	byID := make(map[roc.ExchangeID]int, len(ours))
	byMessage := map[string][]int{}
	for i := range ours {
		byID[ours[i].ID] = i
		if m := ours[i].MessageID; m != "" {
			byMessage[m] = append(byMessage[m], i)
		}
	}
	taken := make([]bool, len(ours))
	var later []Line // those that name their message alone come after those that name an exchange
	miss := func(l Line, why string) { r.Theirs = append(r.Theirs, Theirs{l, why}) }
	for _, l := range c.Lines {
		if l.ID == "" {
			later = append(later, l)
			continue
		}
		switch i, known := byID[l.ID]; {
		case !known:
			miss(l, "le RPN n'a pas cet échange pour vous dans la période")
		case l.MessageID != "" && l.MessageID != ours[i].MessageID:
			miss(l, "l'échange porte un autre MessageID au RPN")
		case taken[i]:
			r.Twice++
		default:
			taken[i] = true
		}
	}
	for _, l := range later {
		all := byMessage[l.MessageID]
		free := slices.IndexFunc(all, func(i int) bool { return !taken[i] })
		switch {
		case len(all) == 0:
			miss(l, "le RPN n'a pas ce message pour vous dans la période")
		case free < 0:
			r.Twice++
		default:
			taken[all[free]] = true
		}
	}
	for i := range ours {
		w := rows.at(ours[i].cell())
		if taken[i] {
			w.Both++
			w.Theirs++
		} else {
			w.OursOnly++
			r.Ours = append(r.Ours, ours[i])
		}
	}
	for i := range r.Theirs {
		w := rows.at(Cell{r.Theirs[i].Day, r.Theirs[i].Service}) // "" and none, where the line does not say
		w.Theirs++
		w.TheirsOnly++
	}
	slices.SortFunc(r.Theirs, func(x, y Theirs) int { return cmp.Compare(x.Number, y.Number) })
}
