package store

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"slices"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// A touch is one exchange of a dossier, or that its answer did not come to the
// caller, in the row of its establishment, insurer and day.
type touch struct {
	link  roc.Dossier
	at    uint32 // of the request: milliseconds since the row begins
	flags byte   // the service, and touchUsable or touchLost
}

const (
	touchService = 0x0f
	touchUsable  = 0x10 // it was answered
	touchLost    = 0x20 // no exchange: the answer of the one of that instant and service was not delivered
)

// MostJoined is how many touches a row has at most, the first ones of the journal:
// a row is read and written again every few seconds, and how many exchanges it is
// of is the establishment's choice. An exchange beyond is of no dossier, and an
// answer that was lost beyond counts as delivered. The card of dossiers says so.
const MostJoined = 50_000

func (t touch) compare(o touch) int {
	return cmp.Or(bytes.Compare(t.link[:], o.link[:]), cmp.Compare(t.at, o.at), cmp.Compare(t.flags, o.flags))
}

// appendTouches writes touches, in the order of their dossiers.
func appendTouches(b []byte, list []touch) []byte {
	slices.SortFunc(list, touch.compare)
	for n := 0; n < len(list); {
		same := n
		for same < len(list) && list[same].link == list[n].link {
			same++
		}
		b = append(b, list[n].link[:]...)
		b = binary.AppendUvarint(b, uint64(same-n))
		last := uint32(0)
		for ; n < same; n++ {
			b = binary.AppendUvarint(b, uint64(list[n].at-last))
			b = append(b, list[n].flags)
			last = list[n].at
		}
	}
	return b
}

// scanTouches calls each for every touch of what appendTouches wrote.
func scanTouches(b []byte, each func(touch)) error {
	for r := (&reader{b: b}); r.left() > 0; {
		var t touch
		copy(t.link[:], r.take(len(t.link)))
		n := r.uvarint()
		if n > uint64(r.left()) {
			return errCut
		}
		for range n {
			t.at += uint32(r.uvarint())
			flags := r.take(1)
			if r.err != nil {
				return r.err
			}
			t.flags = flags[0]
			each(t)
		}
		if r.err != nil {
			return r.err
		}
	}
	return nil
}

// Requests are those of one service in dossiers. A request is an exchange with the
// ones that repeat it: an exchange of the same dossier and service repeats the one
// before until one of them is answered.
type Requests struct {
	Requests int64
	AtFirst  int64 // of them, answered at the first try
	Answered int64 // of them, answered in the end
	Tries    int64 // exchanges
}

func (r *Requests) add(o Requests) {
	r.Requests, r.AtFirst, r.Answered, r.Tries = r.Requests+o.Requests, r.AtFirst+o.AtFirst, r.Answered+o.Answered, r.Tries+o.Tries
}

// Dossiers are the figures of dossiers, as far as a question goes: of a dossier
// that goes on before or after it, what lies in it counts. An answer counts when it
// is one without a fault (Answered) and was delivered. All of them add up.
type Dossiers struct {
	Dossiers    int64
	AllAtFirst  int64 // of them, every request was answered at the first try
	AllAnswered int64 // of them, every request was answered in the end
	ByService   map[roc.Service]Requests

	// The way from one service to the next.
	With          map[roc.Service]int64 // dossiers with an answer of that service
	CLCWithoutIDB int64                 // of those with an answer of CLC, no IDB was answered before
	IDBAlone      int64                 // of those with an answer of IDB, no SIM or CLC was asked after it
	ToCLC         Durations             // from the first answered IDB to the first answered CLC after it
}

func newDossiers() *Dossiers {
	return &Dossiers{ByService: map[roc.Service]Requests{}, With: map[roc.Service]int64{}}
}

// Requests sums those of every service.
func (d *Dossiers) Requests() (sum Requests) {
	for _, r := range d.ByService {
		sum.add(r)
	}
	return sum
}

// Add adds the figures of other dossiers.
func (d *Dossiers) Add(o *Dossiers) {
	d.Dossiers, d.AllAtFirst, d.AllAnswered = d.Dossiers+o.Dossiers, d.AllAtFirst+o.AllAtFirst, d.AllAnswered+o.AllAnswered
	d.CLCWithoutIDB, d.IDBAlone = d.CLCWithoutIDB+o.CLCWithoutIDB, d.IDBAlone+o.IDBAlone
	for s, r := range o.ByService {
		mine := d.ByService[s]
		mine.add(r)
		d.ByService[s] = mine
	}
	for s, n := range o.With {
		d.With[s] += n
	}
	d.ToCLC.merge(&o.ToCLC)
}

// A step is one exchange of one dossier.
type step struct {
	at      int64 // milliseconds since 1970
	service roc.Service
	usable  bool
	lost    bool // a touchLost
}

// fold counts one dossier, of its steps in any order.
func (d *Dossiers) fold(steps []step) {
	slices.SortFunc(steps, func(x, y step) int {
		return cmp.Or(cmp.Compare(x.at, y.at), cmp.Compare(x.service, y.service), boolCompare(x.lost, y.lost), boolCompare(x.usable, y.usable))
	})
	const services = touchService + 1
	var by [services]Requests
	var open [services]int64 // tries of the request that is not answered yet
	var firstIDB, firstCLC int64
	var answered [services]bool
	followed := false
	for i, s := range steps {
		if s.lost {
			continue
		}
		usable := s.usable && !lostAfter(steps[i+1:], s)
		r := &by[s.service]
		r.Tries++
		if open[s.service]++; open[s.service] == 1 {
			r.Requests++
		}
		if firstIDB != 0 && (s.service == roc.SIM || s.service == roc.CLC) {
			followed = true
		}
		if !usable {
			continue
		}
		if open[s.service] == 1 {
			r.AtFirst++
		}
		r.Answered++
		open[s.service] = 0
		answered[s.service] = true
		switch {
		case s.service == roc.IDB && firstIDB == 0 && firstCLC == 0:
			firstIDB = s.at
		case s.service == roc.CLC && firstCLC == 0:
			firstCLC = s.at
		}
	}
	d.count(by[:], answered[:])
	switch {
	case firstCLC != 0 && firstIDB == 0:
		d.CLCWithoutIDB++
	case firstCLC != 0:
		d.ToCLC.Add(time.Duration(firstCLC-firstIDB) * time.Millisecond)
	}
	if answered[roc.IDB] && !followed && firstCLC == 0 {
		d.IDBAlone++
	}
}

// count adds the requests of one dossier.
func (d *Dossiers) count(by []Requests, answered []bool) {
	var all Requests
	for s, r := range by {
		if r.Requests == 0 {
			continue
		}
		all.add(r)
		mine := d.ByService[roc.Service(s)]
		mine.add(r)
		d.ByService[roc.Service(s)] = mine
		if answered[s] {
			d.With[roc.Service(s)]++
		}
	}
	if all.Requests == 0 {
		return // an answer that was not delivered, of an exchange before the question
	}
	d.Dossiers++
	if all.AtFirst == all.Requests {
		d.AllAtFirst++
	}
	if all.Answered == all.Requests {
		d.AllAnswered++
	}
}

func boolCompare(x, y bool) int {
	switch {
	case x == y:
		return 0
	case y:
		return -1
	}
	return 1
}

// lostAfter reports whether the answer of a step was not delivered: what says so
// stands right behind the steps of its instant.
func lostAfter(rest []step, s step) bool {
	for _, o := range rest {
		if o.at != s.at || o.service != s.service {
			return false
		}
		if o.lost {
			return true
		}
	}
	return false
}

// A DossierQuery asks for figures of dossiers. Zero fields ask for all.
type DossierQuery struct {
	From, To   time.Time         // the days that begin from From on and before To
	Structures []roc.StructureID // of one of them: together they are one establishment, unless ByStructure
	AMC        roc.NumeroAMC

	ByStructure, ByAMC bool // kept apart
}

// A DossierRow is one line of an answer: what was asked to be kept apart, the rest
// empty.
type DossierRow struct {
	Structure roc.StructureID
	AMC       roc.NumeroAMC
	*Dossiers
}

// A thread is what the steps of one dossier are gathered under.
type thread struct {
	amc  roc.NumeroAMC
	link roc.Dossier
}

// Dossiers returns the figures of the dossiers that a query asks for. Where it asks
// for no structure, those of one structure id are gathered on their own: a dossier
// that an establishment goes on with under another id of its own is two.
func (s *Store) Dossiers(ctx context.Context, q DossierQuery) ([]DossierRow, error) {
	f := rowFilter{kind: pairs}
	f.side("structure", texts(q.Structures), true)
	var amcs []string
	if q.AMC != "" {
		amcs = []string{string(q.AMC)}
	}
	f.side("amc", amcs, true)
	f.period(q.From, q.To)
	type side struct {
		structure roc.StructureID
		amc       roc.NumeroAMC
	}
	sums := map[side]*Dossiers{}
	threads := map[thread][]step{}
	var current roc.StructureID
	settle := func() {
		for t, steps := range threads {
			var k side
			if q.ByStructure {
				k.structure = current
			}
			if q.ByAMC {
				k.amc = t.amc
			}
			if sums[k] == nil {
				sums[k] = newDossiers()
			}
			sums[k].fold(steps)
		}
		clear(threads)
	}
	together := len(q.Structures) > 0 && !q.ByStructure
	err := s.touches(ctx, &f, func(k packKey, t touch) {
		if k.structure != current {
			if !together {
				settle()
			}
			current = k.structure
		}
		at := thread{k.amc, t.link}
		threads[at] = append(threads[at], step{k.begins*1000 + int64(t.at), roc.Service(t.flags & touchService), t.flags&touchUsable != 0, t.flags&touchLost != 0})
	})
	if err != nil {
		return nil, err
	}
	settle()
	list := make([]DossierRow, 0, len(sums))
	for k, d := range sums {
		list = append(list, DossierRow{k.structure, k.amc, d})
	}
	slices.SortFunc(list, func(x, y DossierRow) int {
		return cmp.Or(cmp.Compare(x.Structure, y.Structure), cmp.Compare(x.AMC, y.AMC))
	})
	return list, nil
}

// SumOfDossiers sums the lines of an answer.
func SumOfDossiers(rows []DossierRow) *Dossiers {
	sum := newDossiers()
	for _, r := range rows {
		sum.Add(r.Dossiers)
	}
	return sum
}

// touches calls each for every touch of the rows that a filter lets through, one
// structure after the other.
func (s *Store) touches(ctx context.Context, f *rowFilter, each func(packKey, touch)) error {
	return s.rows(ctx, f, " ORDER BY structure", func(k packKey, data []byte) error {
		var room Counts
		rest, err := scanPack(data, false, func() *Counts { return &room }, func(entry) {})
		if err != nil {
			return err
		}
		return scanTouches(rest, func(t touch) { each(k, t) })
	})
}
