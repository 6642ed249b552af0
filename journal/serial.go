package journal

import (
	"crypto/sha256"
	"encoding/hex"
)

// putSerial writes a serial number, hexadecimal, as its length and its bytes.
// RFC 5280 allows 20 bytes; of a longer one its SHA-256, cut to 20 bytes, is
// written and true is returned.
func putSerial(dst []byte, s string) (hashed bool) {
	if s == "" {
		return false
	}
	if len(s) > 40 {
		sum := sha256.Sum256([]byte(s))
		dst[0] = 20
		copy(dst[1:21], sum[:])
		return true
	}
	n := 0
	if len(s)%2 == 1 {
		dst[1] = nibble(s[0])
		s, n = s[1:], 1
	}
	for i := 0; i < len(s); i += 2 {
		dst[1+n] = nibble(s[i])<<4 | nibble(s[i+1])&15
		n++
	}
	dst[0] = byte(n)
	return false
}

// serialText is the number as big.Int writes it: no leading zero.
func serialText(b []byte) string {
	n := min(20, int(b[0]))
	if n == 0 {
		return ""
	}
	var t [40]byte
	text := t[:hex.Encode(t[:], b[1:1+n])]
	for len(text) > 1 && text[0] == '0' {
		text = text[1:]
	}
	return string(text)
}
