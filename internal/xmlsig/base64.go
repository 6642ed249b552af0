package xmlsig

import (
	"errors"

	"github.com/piano-roc/rpn/internal/soap"
)

var errBase64 = errors.New("not strict base64")

const b64Bad = 0xFF

var b64Value = func() (t [256]uint8) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for i := range t {
		t[i] = b64Bad
	}
	for i := range len(alphabet) {
		t[alphabet[i]] = uint8(i)
	}
	return t
}()

// appendBase64 decodes strict base64: the standard alphabet, padding where it
// is due, unused bits zero, and white space anywhere (profile section 3).
// encoding/base64 does not skip spaces and tabs, so it would need a copy.
func appendBase64(dst, b []byte) ([]byte, error) {
	var acc uint32
	n, pad := 0, 0
	for _, c := range b {
		v := b64Value[c]
		switch {
		case v != b64Bad && pad == 0:
			acc = acc<<6 | uint32(v)
			if n++; n == 4 {
				dst = append(dst, byte(acc>>16), byte(acc>>8), byte(acc))
				acc, n = 0, 0
			}
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
		case c == '=' && (n == 2 && pad < 2 || n == 3 && pad < 1):
			pad++
		default:
			return dst, errBase64
		}
	}
	switch {
	case n == 0:
	case n == 2 && pad == 2 && acc&0xF == 0:
		dst = append(dst, byte(acc>>4))
	case n == 3 && pad == 1 && acc&0x3 == 0:
		dst = append(dst, byte(acc>>10), byte(acc>>2))
	default:
		return dst, errBase64
	}
	return dst, nil
}

// base64Text returns the text of an element that holds base64. Lines may end
// in a carriage return, as bytes or as the "&#13;" that the JDK's XMLDSig
// writes; CDATA is refused, and more than most bytes.
func base64Text(n soap.Node, most int) ([]byte, bool) {
	if from, to := n.Inner(); to-from > most {
		return nil, false
	}
	if b, ok := n.RawText(); ok {
		return b, true
	}
	b, ok := n.AppendText(nil)
	if !ok || n.HasCDATA() {
		return nil, false
	}
	return b, true
}
