package revocation

import (
	"bytes"
	"hash/maphash"
	"time"

	"github.com/piano-roc/rpn/tlsconf/trust"
)

// serials is the serial numbers of one revocation list, each with its date and
// reason: exact, some 40 bytes each, found in two memory accesses and missed in
// one. A national list may hold a million. Once built it does not change.
type serials struct {
	seed  maphash.Seed // random: who chooses serial numbers cannot make them collide
	table []uint64     // open addressing: 0, or half of the hash and 1 + the place in slab
	slab  []byte       // for each: length, serial number, minutes since 1970 (4 bytes), reason
	count int
}

// A revocation is when and why a certificate was revoked.
type revocation struct {
	at     time.Time // to the minute
	reason byte      // RFC 5280 section 5.3.1
}

// removeFromCRL is the reason of a delta list that takes an entry back.
const removeFromCRL = 8

const afterSerial = 5 // bytes of the date and the reason

func newSerials(n int) *serials {
	size := 8
	for size < n+n/2 {
		size *= 2
	}
	return &serials{seed: maphash.MakeSeed(), table: make([]uint64, size), slab: make([]byte, 0, n*(1+16+afterSerial))}
}

// add takes a serial number as big.Int.Bytes writes it, of at most 255 bytes.
// A second entry for the same one replaces the first. Past the number that
// newSerials was told, lookups get slow.
func (s *serials) add(serial []byte, r revocation) {
	hash := maphash.Bytes(s.seed, serial)
	i, found := s.slot(hash, serial)
	if !found {
		s.count++
	}
	s.table[i] = hash&^uint64(places) | uint64(len(s.slab)+1)
	minutes := uint32(r.at.Unix() / 60)
	s.slab = append(s.slab, byte(len(serial)))
	s.slab = append(s.slab, serial...)
	s.slab = append(s.slab, byte(minutes>>24), byte(minutes>>16), byte(minutes>>8), byte(minutes), r.reason)
}

func (s *serials) find(serial []byte) (revocation, bool) {
	if s == nil || s.count == 0 {
		return revocation{}, false
	}
	i, found := s.slot(maphash.Bytes(s.seed, serial), serial)
	if !found {
		return revocation{}, false
	}
	b := s.entry(i)[1+len(serial):]
	minutes := int64(b[0])<<24 | int64(b[1])<<16 | int64(b[2])<<8 | int64(b[3])
	return revocation{time.Unix(minutes*60, 0), b[4]}, true
}

const places = 1<<32 - 1 // a slab is far smaller: MaxBytes bounds a list

// entry is what the slab holds for a slot that is taken.
func (s *serials) entry(i int) []byte { return s.slab[s.table[i]&places-1:] }

// slot returns where serial is in the table, or would be.
func (s *serials) slot(hash uint64, serial []byte) (int, bool) {
	mask := len(s.table) - 1
	for i := int(hash) & mask; ; i = (i + 1) & mask {
		switch here := s.table[i]; {
		case here == 0:
			return i, false
		case here>>32 != hash>>32:
			continue
		}
		entry := s.entry(i)
		if int(entry[0]) == len(serial) && bytes.Equal(entry[1:1+len(serial)], serial) {
			return i, true
		}
	}
}

// bytes is the memory it takes.
func (s *serials) bytes() int { return 8*len(s.table) + cap(s.slab) }

var revocationReasons = map[byte]string{
	1: "key compromise", 2: "CA compromise", 3: "affiliation changed", 4: "superseded",
	5: "cessation of operation", 6: "on hold", 9: "privilege withdrawn", 10: "AA compromise",
}

func (r revocation) String() string {
	text := "since " + trust.Day(r.at)
	if why := revocationReasons[r.reason]; why != "" {
		text += " (" + why + ")"
	}
	return text
}
