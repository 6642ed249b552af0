package journal

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// A Query selects exchanges. A zero field restricts nothing.
type Query struct {
	ID        roc.ExchangeID
	MessageID string
	From, To  time.Time // of the request: from From to before To
	Structure roc.StructureID
	AMC       roc.NumeroAMC
	Service   roc.Service
	Outcome   roc.Outcome
	Reason    roc.Reason

	Limit  int  // maximum number of results; 0: 1000
	Newest bool // the last ones in the journal, from the end, and not the first
}

// A Match is one exchange found. Its amendments are given only when the search
// is by id.
type Match struct {
	Dir string
	Entry
	Amendments []*Amendment
}

// A Result is what a search found: the first matches up to the limit, in the
// order of the journal (the last ones, from its end, with Query.Newest), and the
// total number of matches.
type Result struct {
	Matches []Match
	Total   int
	// Slow says which indexes were missing, damaged or could not be read: their
	// segments were read whole.
	Slow []error
	// Damaged is the number of records that match or may match, and that are
	// damaged: they are not in Total.
	Damaged int
	// Unread says what of the journal could not be read for now, at most
	// MaxProblems of it: Total may lack what is there. Empty: all was read.
	Unread []error
}

// miss notes n records that could not be read.
func (r *Result) miss(n uint64, err error) {
	switch {
	case errors.Is(err, ErrPruned): // deleted meanwhile
	case errors.Is(err, ErrDamaged):
		r.Damaged += int(n)
	case len(r.Unread) < MaxProblems:
		r.Unread = append(r.Unread, err)
	}
}

// Find searches the journal. Segments outside the period are not read, and of
// the others only the columns that the query needs. A record that is damaged is
// counted, one that cannot be read for now is told, and the search goes on. The
// end of ctx ends it, with the error of ctx.
func (l *Log) Find(ctx context.Context, q Query) (*Result, error) {
	if q.Limit <= 0 {
		q.Limit = 1000
	}
	if err := l.Refresh(); err != nil {
		return nil, err
	}
	res := &Result{}
	segments := l.segments // a Refresh replaces it
	for i := range segments {
		s := &segments[i]
		if q.Newest {
			s = &segments[len(segments)-1-i]
		}
		if !q.touches(s) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if s.lost != nil {
			res.miss(s.end-s.first, s.lost)
			continue
		}
		l.findIn(ctx, s, &q, res)
	}
	for _, s := range l.unplaced {
		res.miss(1, s.lost) // one at least
	}
	if q.ID != "" {
		l.findAmendments(ctx, &q, res)
	}
	return res, ctx.Err()
}

func (q *Query) touches(s *logSegment) bool {
	return s.footer == nil || !(!q.To.IsZero() && !s.footer.From.Before(q.To) || s.footer.To.Before(q.From))
}

// findIn searches one segment: by its index, or, whatever keeps the index from
// being read, by reading every record.
func (l *Log) findIn(ctx context.Context, s *logSegment, q *Query, res *Result) {
	if s.footer == nil {
		l.findWhole(ctx, s, q, res)
		return
	}
	numbers, err := candidatesOf(s, q)
	if err != nil {
		res.Slow = append(res.Slow, err)
		l.findWhole(ctx, s, q, res)
		return
	}
	if q.Newest {
		slices.Reverse(numbers)
	}
	exact := q.ID == "" && q.MessageID == "" // the columns are enough
	for _, n := range numbers {
		if ctx.Err() != nil {
			return
		}
		n, sure := sureOf(n)
		if exact && sure && len(res.Matches) >= q.Limit {
			res.Total++
			continue
		}
		e, err := l.Entry(s.first + uint64(n))
		if err != nil {
			res.miss(1, err)
			continue
		}
		l.take(&e, q, res)
	}
}

// findWhole searches one segment by reading every record of it.
func (l *Log) findWhole(ctx context.Context, s *logSegment, q *Query, res *Result) {
	if !q.Newest {
		l.readWhole(ctx, s, func(e *Entry) { l.take(e, q, res) }, res.miss)
		return
	}
	room := q.Limit - len(res.Matches)
	var last Result // of the segment, in its order
	whole := *q
	whole.Limit = 2*room + 1
	l.readWhole(ctx, s, func(e *Entry) {
		if l.take(e, &whole, &last); len(last.Matches) > 2*room {
			last.Matches = slices.Delete(last.Matches, 0, len(last.Matches)-room)
		}
	}, res.miss)
	slices.Reverse(last.Matches)
	res.Matches = append(res.Matches, last.Matches[:min(room, len(last.Matches))]...)
	res.Total += last.Total
}

// readWhole reads every record of a segment until ctx ends, and says what cannot
// be read.
func (l *Log) readWhole(ctx context.Context, s *logSegment, see func(*Entry), miss func(n uint64, err error)) {
	for i := s.first; i < s.end && ctx.Err() == nil; {
		list, err := l.around(i)
		if err != nil {
			next := min(s.end, (i/tileWidth+1)*tileWidth)
			miss(next-i, err)
			i = next
			continue
		}
		for _, e := range list[i-list[0].Index:] {
			if err := l.damaged(&e); err != nil {
				miss(1, err)
			} else {
				see(&e)
			}
			i++
		}
	}
}

func (l *Log) take(e *Entry, q *Query, res *Result) {
	if e.Exchange == nil || !q.matches(e.Exchange) {
		return
	}
	if res.Total++; len(res.Matches) < q.Limit {
		e.Raw = slices.Clone(e.Raw)
		res.Matches = append(res.Matches, Match{Dir: l.dir, Entry: *e})
	}
}

func (q *Query) matches(x *Exchange) bool {
	return (q.ID == "" || x.ID == q.ID) && (q.MessageID == "" || x.MessageID == q.MessageID) &&
		(q.From.IsZero() || !x.RequestIn.Before(q.From)) && (q.To.IsZero() || x.RequestIn.Before(q.To)) &&
		(q.Structure == "" || x.From == q.Structure) && (q.AMC == "" || x.To.AMC == q.AMC) &&
		(q.Service == roc.NoService || x.Service == q.Service) && (q.Outcome == "" || x.Outcome == q.Outcome) &&
		(q.Reason == "" || x.Reason == q.Reason)
}

// findAmendments adds to the matches what amends them. An amendment comes after
// its record, in the same segment or in a later one.
func (l *Log) findAmendments(ctx context.Context, q *Query, res *Result) {
	if len(res.Matches) == 0 {
		return
	}
	m := &res.Matches[0]
	unread := func(_ uint64, err error) {
		if !errors.Is(err, ErrDamaged) { // the search itself has counted it
			res.miss(0, err)
		}
	}
	segments := l.segments // a Refresh replaces it
	for i := range segments {
		s := &segments[i]
		if ctx.Err() != nil || s.lost != nil || s.end <= m.Index || s.footer != nil && s.first > m.Index+1<<22 {
			continue
		}
		if s.footer == nil {
			l.readWhole(ctx, s, m.amend, unread)
			continue
		}
		numbers, err := lookupID(s, q.ID)
		if err != nil {
			l.readWhole(ctx, s, m.amend, unread)
			continue
		}
		for _, n := range numbers {
			e, err := l.Entry(s.first + uint64(n))
			if err != nil {
				unread(1, err)
				continue
			}
			m.amend(&e)
		}
	}
}

func candidatesOf(s *logSegment, q *Query) ([]int, error) {
	x, err := openIndex(s.base + ".idx")
	if err != nil {
		return nil, err
	}
	defer x.close()
	return x.candidates(q)
}

// lookupID returns the numbers of the records of a closed segment that are about
// an exchange.
func lookupID(s *logSegment, id roc.ExchangeID) ([]int, error) {
	x, err := openIndex(s.base + ".idx")
	if err != nil {
		return nil, err
	}
	defer x.close()
	return x.lookup(secIDs, string(id))
}

func (m *Match) amend(e *Entry) {
	if e.Amendment != nil && e.Amendment.Exchange == m.Exchange.ID && e.Amendment.Of == m.Index {
		m.Amendments = append(m.Amendments, e.Amendment)
	}
}

// candidates returns the numbers of the records that match or, when searching
// by id, may match, in their order.
func (x *index) candidates(q *Query) ([]int, error) {
	switch {
	case q.ID != "":
		return x.lookup(secIDs, string(q.ID))
	case q.MessageID != "":
		return x.lookup(secMessageIDs, q.MessageID)
	}
	var tests []func(n int) bool
	column := func(section int, is func(uint32) bool) error {
		b, err := x.section(section)
		tests = append(tests, func(n int) bool { return is(binary.LittleEndian.Uint32(b[4*n:])) })
		return err
	}
	for _, d := range []struct {
		word                  string
		words, size, numbered int
	}{{string(q.Structure), secStructures, 15, secStructure}, {string(q.AMC), secAMCs, 10, secAMC}} {
		if d.word == "" {
			continue
		}
		want, err := x.word(d.words, d.size, d.word)
		if err != nil || want == 0 {
			return nil, err
		}
		if err := column(d.numbered, func(v uint32) bool { return v == want }); err != nil {
			return nil, err
		}
	}
	if err := column(secKinds, q.kind()); err != nil {
		return nil, err
	}
	times, err := x.period(q)
	if err != nil {
		return nil, err
	}
	var list []int
next:
	for n := range x.count {
		for _, is := range tests {
			if !is(n) {
				continue next
			}
		}
		switch times(n) {
		case inside:
			list = append(list, n)
		case perhaps:
			list = append(list, ^n)
		}
	}
	return list, nil
}

// sureOf decodes an element of candidates: a complemented one must still be
// checked.
func sureOf(n int) (int, bool) {
	if n < 0 {
		return ^n, false
	}
	return n, true
}

// How a record relates to a period, by the column of times, which has
// whole milliseconds and an upper limit.
const (
	outside = iota
	inside
	perhaps
)

func (x *index) period(q *Query) (func(n int) int, error) {
	if q.From.IsZero() && q.To.IsZero() {
		return func(int) int { return inside }, nil
	}
	b, err := x.section(secTimes)
	if err != nil {
		return nil, err
	}
	from, to := int64(-1), int64(1<<62)
	if !q.From.IsZero() {
		from = q.From.Sub(x.from).Milliseconds()
	}
	if !q.To.IsZero() {
		to = q.To.Sub(x.from).Milliseconds()
	}
	return func(n int) int {
		v := int64(binary.LittleEndian.Uint32(b[4*n:]))
		switch {
		case v == math.MaxUint32 || v == from || v == to:
			return perhaps
		case v > from && v < to:
			return inside
		}
		return outside
	}, nil
}

// kind is the test of the column secKinds.
func (q *Query) kind() func(uint32) bool {
	mask, want := uint32(15<<16), uint32(kindExchange<<16)
	if q.Service != roc.NoService {
		mask, want = mask|15<<28, want|uint32(q.Service&15)<<28
	}
	if q.Outcome != "" {
		mask, want = mask|15<<20, want|uint32(indexOf(outcomes[:], q.Outcome)&15)<<20
	}
	if q.Reason != "" {
		mask, want = mask|0xffff, want|uint32(codeOf(q.Reason))
	}
	return func(v uint32) bool { return v&mask == want }
}
