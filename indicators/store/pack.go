package store

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"github.com/piano-roc/rpn/internal/roc"
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

// entryKeyOf is the key with that order.
func entryKeyOf(o uint64) entryKey {
	return entryKey{slot: uint16(o >> 40), service: roc.Service(o >> 32), version: roc.Version(o >> 24), owner: uint8(o >> 16), code: uint16(o)}
}

// A pack is what a row holds: entries in the order of their keys. Most of the
// rows of a country are of one establishment and one insurer that exchange a
// few messages a day, so that a row for each hour and outcome would be mostly
// key.
type pack struct {
	entries []entry
	touches []touch // of pairs: the exchanges of dossiers, in no order

	spare []*Counts // of entries that it had
}

type entry struct {
	entryKey
	*Counts
}

// of returns the counts of a key, made where there are none.
func (p *pack) of(k entryKey) *Counts {
	at, found := p.find(k)
	if !found {
		c := p.room()
		c.empty()
		p.entries = slices.Insert(p.entries, at, entry{k, c})
	}
	return p.entries[at].Counts
}

// room is counts of which what they hold is of no use.
func (p *pack) room() (c *Counts) {
	if n := len(p.spare); n > 0 {
		c, p.spare = p.spare[n-1], p.spare[:n-1]
		return c
	}
	return &Counts{}
}

// empty removes all, and keeps the room.
func (p *pack) empty() {
	for _, e := range p.entries {
		p.spare = append(p.spare, e.Counts)
	}
	p.entries, p.touches = p.entries[:0], p.touches[:0]
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

// read reads what append wrote into an empty pack.
func (p *pack) read(b []byte) error {
	rest, err := scanPack(b, true, p.room, func(e entry) { p.entries = append(p.entries, e) })
	if err != nil {
		return err
	}
	return scanTouches(rest, func(t touch) { p.touches = append(p.touches, t) })
}

// scanPack calls each for every entry of what append wrote, with the counts
// that room gives for it; it returns what follows them, the touches. Durations
// cost most: where they are not asked for, they stay empty.
func scanPack(b []byte, withDurations bool, room func() *Counts, each func(entry)) (rest []byte, err error) {
	r := &reader{b: b}
	for range r.uvarint() {
		e := entry{entryKey{slot: uint16(r.uvarint())}, room()}
		key := r.take(3)
		if r.err != nil {
			return nil, r.err
		}
		e.service, e.version, e.owner = roc.Service(key[0]), roc.Version(key[1]), key[2]
		e.code = uint16(r.uvarint())
		numbers, durations := e.numbers(), e.all()
		there := r.uvarint()
		for i, n := range numbers {
			if *n = 0; there>>i&1 == 1 {
				*n = int64(r.uvarint())
			}
		}
		for i, d := range durations {
			d.empty()
			switch {
			case there>>(len(numbers)+i)&1 == 0:
			case withDurations:
				d.read(r)
			default:
				r.skip()
			}
		}
		if r.err != nil {
			return nil, r.err
		}
		each(e)
	}
	return r.b[r.at:], r.err
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
