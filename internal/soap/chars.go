package soap

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// Classes of bytes below 0x80, by table.
const (
	nameStart = 1 << iota
	nameChar
	space
)

var class = func() (t [256]uint8) {
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-32] = nameStart|nameChar, nameStart|nameChar
	}
	for c := '0'; c <= '9'; c++ {
		t[c] = nameChar
	}
	t['_'] = nameStart | nameChar
	t['-'], t['.'] = nameChar, nameChar
	t[' '], t['\t'], t['\n'], t['\r'] = space, space, space, space
	return t
}()

// isNameRune says whether a rune beyond ASCII may stand in a name
// (XML 1.0, fifth edition, productions 4 and 4a).
func isNameRune(r rune, first bool) bool {
	switch {
	case r >= 0xC0 && r <= 0xD6, r >= 0xD8 && r <= 0xF6, r >= 0xF8 && r <= 0x2FF,
		r >= 0x370 && r <= 0x37D, r >= 0x37F && r <= 0x1FFF, r >= 0x200C && r <= 0x200D,
		r >= 0x2070 && r <= 0x218F, r >= 0x2C00 && r <= 0x2FEF, r >= 0x3001 && r <= 0xD7FF,
		r >= 0xF900 && r <= 0xFDCF, r >= 0xFDF0 && r <= 0xFFFD, r >= 0x10000 && r <= 0xEFFFF:
		return true
	case r == 0xB7, r >= 0x300 && r <= 0x36F, r >= 0x203F && r <= 0x2040:
		return !first
	}
	return false
}

// isChar says whether a character reference may name r (XML 1.0, production 2).
func isChar(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' || r >= 0x20 && r <= 0xD7FF || r >= 0xE000 && r <= 0xFFFD || r >= 0x10000 && r <= 0x10FFFF
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// skipPlain returns the offset of the first byte from i on that a text cannot
// carry as it is: '<', '>', '&', a carriage return or another control
// character but tab and newline; len(b) when there is none. It looks at eight
// bytes at a time: in each word the lowest set bit of the mask is exact.
func skipPlain(b []byte, i int) int {
	for i+8 <= len(b) {
		v := binary.LittleEndian.Uint64(b[i:])
		amp := v ^ ones*'&'
		tag := (v | ones*2) ^ ones*'>' // '<' and '>' differ by that bit
		m := ((amp-ones)&^amp | (tag-ones)&^tag | (v-ones*0x20)&^v) & highs
		if m == 0 {
			i += 8
			continue
		}
		i += bits.TrailingZeros64(m) >> 3
		if c := b[i]; c != '\n' && c != '\t' {
			return i
		}
		i++
	}
	for ; i < len(b); i++ {
		switch c := b[i]; {
		case c == '<', c == '>', c == '&', c < 0x20 && c != '\n' && c != '\t':
			return i
		}
	}
	return i
}

// skipValue returns the offset of the first byte of an attribute's value that
// needs a look: '<', '&' or a control character.
func skipValue(b []byte, i int) int {
	for i+8 <= len(b) {
		v := binary.LittleEndian.Uint64(b[i:])
		amp, lt := v^ones*'&', v^ones*'<'
		m := ((amp-ones)&^amp | (lt-ones)&^lt | (v-ones*0x20)&^v) & highs
		if m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
		i += 8
	}
	for ; i < len(b); i++ {
		if c := b[i]; c == '<' || c == '&' || c < 0x20 {
			return i
		}
	}
	return i
}

// decodeReference reads the reference at the start of b, which holds at least
// its '&', and returns the character and the length of the reference; 0 when
// it is none that XML allows without a DTD.
func decodeReference(b []byte) (r rune, n int) {
	if len(b) < 4 {
		return 0, 0
	}
	if b[1] == '#' {
		return decodeCharacter(b)
	}
	for _, e := range [...]struct {
		name string
		r    rune
	}{{"&lt;", '<'}, {"&gt;", '>'}, {"&amp;", '&'}, {"&quot;", '"'}, {"&apos;", '\''}} {
		if len(b) >= len(e.name) && string(b[:len(e.name)]) == e.name {
			return e.r, len(e.name)
		}
	}
	return 0, 0
}

func decodeCharacter(b []byte) (rune, int) {
	i, base := 2, rune(10)
	if b[2] == 'x' {
		i, base = 3, 16
	}
	var r rune
	first := i
	for ; i < len(b); i++ {
		var d rune
		switch c := rune(b[i]); {
		case c >= '0' && c <= '9':
			d = c - '0'
		case base == 16 && c >= 'a' && c <= 'f':
			d = c - 'a' + 10
		case base == 16 && c >= 'A' && c <= 'F':
			d = c - 'A' + 10
		case c == ';' && i > first && isChar(r):
			return r, i + 1
		default:
			return 0, 0
		}
		if r = r*base + d; r > utf8.MaxRune {
			return 0, 0
		}
	}
	return 0, 0
}
