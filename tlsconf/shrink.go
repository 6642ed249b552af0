package tlsconf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/piano-roc/rpn/tlsconf/trust"
)

// A dictionary makes the state of a session short by what the store's CAs
// already say: a peer presents its certificate and the CAs above it, and those
// are in the store, byte for byte. What is short must be made long again with
// the same dictionary, so the keys of tickets belong to one set of CAs. It does
// not change.
type dictionary struct {
	text  []byte
	place map[uint64]int // where in text, of the words that begin at a multiple of wordSize
}

const (
	wordSize      = 8
	maxDictionary = 64 << 10
	maxState      = 64 << 10
)

// dictionaryOf is the same for the same CAs, in whatever order they were read.
func dictionaryOf(t *trust.Trust) *dictionary {
	var cas [][]byte
	for _, c := range slices.Concat(t.Roots(), t.Intermediates()) {
		cas = append(cas, c.Raw)
	}
	slices.SortFunc(cas, bytes.Compare)
	d := &dictionary{place: map[uint64]int{}}
	for _, ca := range slices.CompactFunc(cas, bytes.Equal) {
		if len(d.text)+len(ca) <= maxDictionary {
			d.text = append(d.text, ca...)
		}
	}
	for at := 0; at+wordSize <= len(d.text); at += wordSize {
		word := binary.LittleEndian.Uint64(d.text[at:])
		if _, known := d.place[word]; !known {
			d.place[word] = at
		}
	}
	return d
}

// shrink writes long as pieces of its own and copies from the dictionary, in
// turn: the length and the bytes of a piece, the length of a copy and its place.
func (d *dictionary) shrink(long []byte) []byte {
	short := make([]byte, 0, len(long)/2)
	written := 0 // of long
	for at := 0; at+wordSize <= len(long); {
		from, known := d.place[binary.LittleEndian.Uint64(long[at:])]
		if !known {
			at++
			continue
		}
		for at > written && from > 0 && long[at-1] == d.text[from-1] {
			at, from = at-1, from-1
		}
		n := wordSize
		for at+n < len(long) && from+n < len(d.text) && long[at+n] == d.text[from+n] {
			n++
		}
		short = append(binary.AppendUvarint(short, uint64(at-written)), long[written:at]...)
		short = binary.AppendUvarint(binary.AppendUvarint(short, uint64(n)), uint64(from))
		at += n
		written = at
	}
	return append(binary.AppendUvarint(short, uint64(len(long)-written)), long[written:]...)
}

var errShrunk = errors.New("tlsconf: not what was shrunk")

// grow is the inverse of shrink.
func (d *dictionary) grow(short []byte) ([]byte, error) {
	var long []byte
	number := func() (int, bool) {
		v, n := binary.Uvarint(short)
		if n <= 0 || v > maxState {
			return 0, false
		}
		short = short[n:]
		return int(v), true
	}
	for {
		n, ok := number()
		if !ok || n > len(short) || len(long)+n > maxState {
			return nil, errShrunk
		}
		long, short = append(long, short[:n]...), short[n:]
		if len(short) == 0 {
			return long, nil
		}
		n, ok = number()
		from, alsoOK := number()
		if !ok || !alsoOK || from+n > len(d.text) || len(long)+n > maxState {
			return nil, errShrunk
		}
		long = append(long, d.text[from:from+n]...)
	}
}
