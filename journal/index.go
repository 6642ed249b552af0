package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"slices"
	"time"
)

// The index of a closed segment lets a search read a few columns instead of
// every record. It can be rebuilt from the records. Each of its sections has
// its own checksum, so that a damaged one is reported and never searched.
const indexMagic = "RPNJIDX1"

// The sections of an index.
const (
	secStructures = iota // 15 bytes each
	secAMCs              // 10 bytes each
	secTimes             // per record: milliseconds after From
	secStructure         // per record: number in secStructures, from 1; 0: none
	secAMC               // per record: number in secAMCs, from 1; 0: none
	secKinds             // per record: service, version, outcome, kind in 4 bits each, code in 16
	secIDs               // sorted: 32 bits of the exchange id, then the number of the record
	secMessageIDs        // the same of the MessageID
	sections
)

// An indexer collects the columns of a segment.
type indexer struct {
	first      uint64
	from, to   int64 // unix microseconds
	at         []int64
	structures dictionary
	amcs       dictionary
	structure  []uint32
	amc        []uint32
	kinds      []uint32
	ids, msgs  []uint64
}

type dictionary struct {
	size   int
	words  []byte
	number map[string]uint32
}

// of is the number of a word, from 1; an all-zero word is 0.
func (d *dictionary) of(word []byte) uint32 {
	if word[0] == 0 {
		return 0
	}
	n, ok := d.number[string(word)]
	if !ok {
		n = uint32(len(d.number)) + 1
		d.number[string(word)] = n
		d.words = append(d.words, word...)
	}
	return n
}

func newIndexer(first uint64, count int) *indexer {
	column := func() []uint32 { return make([]uint32, 0, count) }
	return &indexer{
		first: first, from: math.MaxInt64, to: math.MinInt64, at: make([]int64, 0, count),
		structures: dictionary{size: 15, number: map[string]uint32{}}, amcs: dictionary{size: 10, number: map[string]uint32{}},
		structure: column(), amc: column(), kinds: column(), ids: make([]uint64, 0, count), msgs: make([]uint64, 0, count),
	}
}

func (x *indexer) times() (from, to time.Time) {
	if x.from > x.to {
		return time.UnixMicro(0).UTC(), time.UnixMicro(0).UTC()
	}
	return time.UnixMicro(x.from).UTC(), time.UnixMicro(x.to).UTC()
}

// add takes the next record; a record that cannot be decoded gets its number
// and no other value.
func (x *indexer) add(raw []byte) {
	be := binary.BigEndian
	i := uint64(len(x.at))
	var at int64
	var structure, amc, kind uint32
	switch {
	case len(raw) == exchangeSize && raw[0] == kindExchange:
		at = int64(be.Uint64(raw[36:]))
		structure, amc = x.structures.of(raw[96:111]), x.amcs.of(raw[111:121])
		kind = uint32(raw[90]&15)<<28 | uint32(raw[91]&15)<<24 | uint32(raw[93]&15)<<20 | kindExchange<<16 | uint32(be.Uint16(raw[86:]))
		x.ids = append(x.ids, fingerprint(raw[4:20])<<32|i)
		if [16]byte(raw[20:36]) != [16]byte{} {
			x.msgs = append(x.msgs, fingerprint(raw[20:36])<<32|i)
		}
	case len(raw) == amendmentSize && raw[0] == kindAmendment:
		at, kind = int64(be.Uint64(raw[20:])), kindAmendment<<16
		x.ids = append(x.ids, fingerprint(raw[4:20])<<32|i)
	case len(raw) == markSize && raw[0] == kindMark:
		at, kind = int64(be.Uint64(raw[20:])), kindMark<<16
	}
	if kind != 0 {
		x.from, x.to = min(x.from, at), max(x.to, at)
	}
	x.at = append(x.at, at)
	x.structure, x.amc, x.kinds = append(x.structure, structure), append(x.amc, amc), append(x.kinds, kind)
}

// fingerprint is 32 bits of a UUID.
func fingerprint(uuid []byte) uint64 { return uint64(crc32.ChecksumIEEE(uuid)) }

func fingerprintOf(uuid string) uint64 {
	var b [16]byte
	putUUID(b[:], uuid)
	return fingerprint(b[:])
}

func (x *indexer) bytes() []byte {
	slices.Sort(x.ids)
	slices.Sort(x.msgs)
	from, _ := x.times()
	times := make([]uint32, len(x.at))
	for i, t := range x.at {
		times[i] = uint32(max(0, min(math.MaxUint32, (t-from.UnixMicro())/1000)))
	}
	var parts [sections][]byte
	parts[secStructures], parts[secAMCs] = x.structures.words, x.amcs.words
	parts[secTimes], parts[secStructure], parts[secAMC], parts[secKinds] = columnOf(times), columnOf(x.structure), columnOf(x.amc), columnOf(x.kinds)
	parts[secIDs], parts[secMessageIDs] = pairsOf(x.ids), pairsOf(x.msgs)

	size := indexHead
	for _, p := range parts {
		size += len(p)
	}
	be := binary.BigEndian
	b := append(make([]byte, 0, size), indexMagic...)
	b = be.AppendUint64(b, x.first)
	b = be.AppendUint64(b, uint64(len(x.at)))
	b = be.AppendUint64(b, uint64(from.UnixMicro()))
	for _, p := range parts {
		b = be.AppendUint64(b, uint64(len(p)))
		b = be.AppendUint32(b, crc32.ChecksumIEEE(p))
	}
	b = be.AppendUint32(b, crc32.ChecksumIEEE(b))
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

func columnOf(list []uint32) []byte {
	b := make([]byte, 0, 4*len(list))
	for _, v := range list {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return b
}

func pairsOf(list []uint64) []byte {
	b := make([]byte, 0, 8*len(list))
	for _, v := range list {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return b
}

// An index is the index of a closed segment, read section by section.
type index struct {
	f     *os.File
	first uint64
	count int
	from  time.Time
	at    [sections + 1]int64
	sums  [sections]uint32
}

const indexHead = 8 + 3*8 + sections*12 + 4

// errIndex is an index that is damaged. Whatever keeps an index from being read,
// the records are read instead: nothing depends on it.
var errIndex = errors.New("the index is damaged")

func openIndex(path string) (*index, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	x := &index{f: f}
	var h [indexHead]byte
	be := binary.BigEndian
	if err := readAt(f, h[:], 0, errIndex); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if string(h[:8]) != indexMagic || crc32.ChecksumIEEE(h[:indexHead-4]) != be.Uint32(h[indexHead-4:]) {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, errIndex)
	}
	x.first, x.count, x.from = be.Uint64(h[8:]), int(be.Uint64(h[16:])), time.UnixMicro(int64(be.Uint64(h[24:])))
	x.at[0] = indexHead
	for i := range sections {
		x.at[i+1] = x.at[i] + int64(be.Uint64(h[32+12*i:]))
		x.sums[i] = be.Uint32(h[32+12*i+8:])
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	if info.Size() != x.at[sections] || !slices.IsSorted(x.at[:]) || x.count < 0 || x.at[secStructure]-x.at[secTimes] != 4*int64(x.count) {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, errIndex)
	}
	return x, nil
}

func (x *index) close() { x.f.Close() }

// section reads one section and checks it.
func (x *index) section(i int) ([]byte, error) {
	b := make([]byte, x.at[i+1]-x.at[i])
	err := readAt(x.f, b, x.at[i], errIndex)
	if err == nil && crc32.ChecksumIEEE(b) != x.sums[i] {
		err = errIndex
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", x.f.Name(), err)
	}
	return b, nil
}

// word returns the number of a word in a dictionary; 0: not found.
func (x *index) word(section, size int, word string) (uint32, error) {
	b, err := x.section(section)
	if err != nil {
		return 0, err
	}
	for i := 0; i+size <= len(b); i += size {
		if text(b[i:i+size]) == word {
			return uint32(i/size) + 1, nil
		}
	}
	return 0, nil
}

// lookup returns the numbers of the records whose id may be the given one.
func (x *index) lookup(section int, uuid string) ([]int, error) {
	b, err := x.section(section)
	if err != nil {
		return nil, err
	}
	le, fp := binary.LittleEndian, fingerprintOf(uuid)
	lo, hi := 0, len(b)/8
	for lo < hi {
		if m := (lo + hi) / 2; le.Uint64(b[8*m:])>>32 < fp {
			lo = m + 1
		} else {
			hi = m
		}
	}
	var list []int
	for ; 8*lo < len(b) && le.Uint64(b[8*lo:])>>32 == fp; lo++ {
		list = append(list, int(uint32(le.Uint64(b[8*lo:]))))
	}
	return list, nil
}
