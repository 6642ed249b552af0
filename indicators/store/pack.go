package store

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/journal"
)

// A kind is how the rows of the store are cut.
type kind string

const (
	pairs   kind = "p" // one establishment and one insurer: a day of hours
	byHour  kind = "h" // the sums over insurers, over establishments or over both: an hour
	byDay   kind = "d" // the same: a day
	windows kind = "w" // one insurer: a day of five minutes, for its availability
)

var kinds = [...]kind{pairs, byHour, byDay, windows}

// A packKey is the key of a row. An empty structure or amc is the sum over all.
type packKey struct {
	kind      kind
	structure roc.StructureID
	begins    int64 // of the period, in seconds since 1970
	amc       roc.NumeroAMC
}

func (k packKey) compare(o packKey) int {
	return cmp.Or(cmp.Compare(k.kind, o.kind), cmp.Compare(k.structure, o.structure), cmp.Compare(k.begins, o.begins), cmp.Compare(k.amc, o.amc))
}

// An entryKey is what the counts in a row are of.
type entryKey struct {
	slot    uint16 // of pairs the hour, of windows the five minutes since the row begins; else 0
	service roc.Service
	version roc.Version
	owner   uint8
	code    uint16
}

func (k entryKey) order() uint64 {
	return uint64(k.slot)<<40 | uint64(k.service)<<32 | uint64(k.version)<<24 | uint64(k.owner)<<16 | uint64(k.code)
}

// A pack is what a row holds: entries in the order of their keys. Most of the
// rows of a country are of one establishment and one insurer that exchange a
// few messages a day, so that a row for each hour and outcome would be mostly
// key.
type pack struct {
	entries []entry
	touches []touch // of pairs: the exchanges of dossiers, in no order
}

type entry struct {
	entryKey
	*Counts
}

// of returns the counts of a key, made where there are none.
func (p *pack) of(k entryKey) *Counts {
	at, found := p.find(k)
	if !found {
		p.entries = slices.Insert(p.entries, at, entry{k, &Counts{}})
	}
	return p.entries[at].Counts
}

func (p *pack) find(k entryKey) (int, bool) {
	lo, hi, o := 0, len(p.entries), k.order()
	for lo < hi {
		if m := int(uint(lo+hi) >> 1); p.entries[m].order() < o {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return lo, lo < len(p.entries) && p.entries[lo].entryKey == k
}

// give adds counts that nobody else holds.
func (p *pack) give(k entryKey, c *Counts) {
	if at, found := p.find(k); found {
		p.entries[at].Add(c)
	} else {
		p.entries = slices.Insert(p.entries, at, entry{k, c})
	}
}

// add adds what another pack holds. The other one is of no use afterwards.
func (p *pack) add(o *pack) {
	for _, e := range o.entries {
		p.give(e.entryKey, e.Counts)
	}
	p.touches = append(p.touches, o.touches[:min(len(o.touches), max(0, MostJoined-len(p.touches)))]...)
}

// append writes a pack. What is zero takes no room.
func (p *pack) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(p.entries)))
	for _, e := range p.entries {
		b = binary.AppendUvarint(b, uint64(e.slot))
		b = append(b, byte(e.service), byte(e.version), e.owner)
		b = binary.AppendUvarint(b, uint64(e.code))
		numbers, durations := e.numbers(), e.all()
		var there uint64
		for i, n := range numbers {
			if *n != 0 {
				there |= 1 << i
			}
		}
		for i, d := range durations {
			if d.n != 0 {
				there |= 1 << (len(numbers) + i)
			}
		}
		b = binary.AppendUvarint(b, there)
		for i := there; i != 0; i &= i - 1 {
			if n := bits.TrailingZeros64(i); n < len(numbers) {
				b = binary.AppendUvarint(b, uint64(*numbers[n]))
			} else {
				b = durations[n-len(numbers)].append(b)
			}
		}
	}
	return appendTouches(b, p.touches)
}

// readPack reads what append wrote.
func readPack(b []byte) (*pack, error) {
	p := &pack{}
	rest, err := scanPack(b, func() *Counts { return &Counts{} }, func(e entry) { p.entries = append(p.entries, e) })
	if err != nil {
		return nil, err
	}
	return p, scanTouches(rest, func(t touch) { p.touches = append(p.touches, t) })
}

// scanPack calls each for every entry of what append wrote, with the counts
// that room gives for it; it returns what follows them, the touches.
func scanPack(b []byte, room func() *Counts, each func(entry)) (rest []byte, err error) {
	r := &reader{b: b}
	for range r.uvarint() {
		e := entry{entryKey{slot: uint16(r.uvarint())}, room()}
		if len(r.b) < 3 {
			return nil, errCut
		}
		e.service, e.version, e.owner = roc.Service(r.b[0]), roc.Version(r.b[1]), r.b[2]
		r.b = r.b[3:]
		e.code = uint16(r.uvarint())
		numbers, durations := e.numbers(), e.all()
		there := r.uvarint()
		for i, n := range numbers {
			if *n = 0; there>>i&1 == 1 {
				*n = int64(r.uvarint())
			}
		}
		for i, d := range durations {
			if d.empty(); there>>(len(numbers)+i)&1 == 1 {
				d.read(r)
			}
		}
		if r.err != nil {
			return nil, r.err
		}
		each(e)
	}
	return r.b, r.err
}

// owners are those who must act, by their number.
var owners = [...]roc.Responsable{roc.NoOne, roc.ByEtablissement, roc.ByAnnuaire, roc.ByAMC, roc.ByRPN, roc.ByReseau}

func ownerNumber(o roc.Responsable) uint8 { return uint8(max(0, slices.Index(owners[:], o))) }

// ends are the outcomes, by their number; the number of a refusal is that of
// its code.
var ends = [...]string{"", Answered, FarFault, Abandoned}

func endNumber(code string) uint16 {
	if i := slices.Index(ends[:], code); i > 0 {
		return uint16(i)
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(code, "RPN"), 10, 16)
	if err != nil {
		return 0
	}
	return uint16(n)
}

func endOf(n uint16) string {
	if int(n) < len(ends) {
		return ends[n]
	}
	return "RPN" + strconv.Itoa(int(n))
}

// Sums are what a batch adds.
type sums struct {
	cells   map[Cell]*Counts // of the finest grain
	windows map[packKey]*pack
	touches map[packKey][]touch // of pairs
	gaps    []gap

	hour, day int64 // the last hour that dayOf was asked for, and its day

	// weight is how many bytes of memory it takes at most, with the rows that are
	// made of it.
	weight int
}

// What a cell and an exchange take, at most: a cell comes in five rows, of which
// most have others in them too; an exchange in a bin of five distributions of
// each. Measured by TestABatchTakesNoMoreThanItsWeight.
const (
	weightOfCell     = 2800
	weightOfExchange = 220
)

func newSums() *sums {
	return &sums{cells: map[Cell]*Counts{}, windows: map[packKey]*pack{}, touches: map[packKey][]touch{}}
}

// touch takes an exchange of a dossier, or that its answer was lost.
func (b *sums) touch(x *journal.Exchange, c *Cell, lost bool) {
	if x.Dossier == (roc.Dossier{}) || x.Service > touchService {
		return
	}
	day := b.dayOf(c.Begin)
	t := touch{link: x.Dossier, at: uint32(x.RequestIn.UnixMilli() - day*1000), flags: byte(x.Service)}
	switch {
	case lost:
		t.flags |= touchLost
	case x.Outcome == roc.Answered:
		t.flags |= touchUsable
	}
	k := packKey{pairs, c.Structure, day, c.AMC}
	if list := b.touches[k]; len(list) < MostJoined {
		b.touches[k] = append(list, t)
	}
}

// dayOf is the day of an hour.
func (b *sums) dayOf(hour int64) int64 {
	if hour != b.hour || b.day == 0 {
		b.hour, b.day = hour, Day.Begin(time.Unix(hour, 0)).Unix()
	}
	return b.day
}

func (b *sums) of(c Cell) *Counts {
	n := b.cells[c]
	if n == nil {
		n = &Counts{}
		b.cells[c] = n
		b.weight += weightOfCell
	}
	return n
}

// A row is one row of the store.
type row struct {
	packKey
	*pack
}

// rows are all that a batch adds, in the order of the keys. The cells are of no
// use afterwards.
func (b *sums) rows() []row {
	packs := map[packKey]*pack{}
	of := func(k packKey) *pack {
		p := packs[k]
		if p == nil {
			p = &pack{}
			packs[k] = p
		}
		return p
	}
	for c, n := range b.cells {
		k := entryKey{service: c.Service, version: c.Version, owner: ownerNumber(c.Owner), code: endNumber(c.Code)}
		for _, key := range [...]packKey{{byHour, c.Structure, c.Begin, ""}, {byHour, "", c.Begin, c.AMC}, {byHour, "", c.Begin, ""}} {
			of(key).of(k).Add(n)
		}
		day := b.dayOf(c.Begin)
		k.slot = uint16((c.Begin - day) / 3600)
		of(packKey{pairs, c.Structure, day, c.AMC}).give(k, n)
	}
	var hours []row
	for k, p := range packs {
		if k.kind == byHour {
			hours = append(hours, row{k, p})
		}
	}
	for _, h := range hours {
		p := of(packKey{byDay, h.structure, b.dayOf(h.begins), h.amc})
		for _, e := range h.entries {
			p.of(e.entryKey).Add(e.Counts)
		}
	}
	for k, list := range b.touches {
		of(k).touches = list // its exchange, or what amends it, counts in a cell of the row
	}
	list := make([]row, 0, len(packs)+len(b.windows))
	for k, p := range packs {
		list = append(list, row{k, p})
	}
	for k, p := range b.windows {
		list = append(list, row{k, p})
	}
	slices.SortFunc(list, func(x, y row) int { return x.packKey.compare(y.packKey) })
	return list
}
