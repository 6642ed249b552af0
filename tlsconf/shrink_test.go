package tlsconf

import (
	"bytes"
	"crypto/x509"
	"slices"
	"testing"

	"github.com/piano-roc/rpn/tlsconf/trust"
)

func testDictionary(t testing.TB) *dictionary {
	t.Helper()
	var cas []*x509.Certificate
	for _, fill := range []string{"une autorité fictive, ", "une autre autorité fictive, "} {
		cas = append(cas, &x509.Certificate{Raw: []byte(fill + "qui délivre des certificats d'authentification et de signature")})
	}
	return dictionaryOf(trust.NewTrust(cas[:1], cas[1:]))
}

// What is made short is made long again, the same; what was never made short
// gives an error, or what it says, and reads nothing beyond.
func TestShrinkAndGrow(t *testing.T) {
	t.Parallel()
	d := testDictionary(t)
	for _, long := range [][]byte{
		nil, []byte("a"), []byte("12345678"), d.text, d.text[3:], d.text[:len(d.text)-5],
		slices.Concat([]byte("avant"), d.text[1:40], []byte("entre"), d.text, d.text, []byte("après")),
		bytes.Repeat([]byte("certificats "), 100),
	} {
		short := d.shrink(long)
		again, err := d.grow(short)
		if err != nil || !bytes.Equal(again, long) {
			t.Errorf("%q became %q: %v", long, again, err)
		}
		for i := range short {
			d.grow(short[:i])
		}
	}
	if short := d.shrink(slices.Concat([]byte("feuille"), d.text)); len(short) > 16 {
		t.Errorf("%d bytes where the dictionary holds all but 7", len(short))
	}
	for _, wrong := range []string{"", "\x05abc", "\x00\x08", "\x00\xff\xff\x03\x00\x00", "\x00\x08\xff\xff\x03\x00", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"} {
		if long, err := d.grow([]byte(wrong)); err == nil {
			t.Errorf("%q became %q", wrong, long)
		}
	}
}

func FuzzGrow(f *testing.F) {
	d := testDictionary(f)
	f.Add([]byte("\x05avant\x08\x00\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if long, err := d.grow(text); err == nil && len(long) > maxState {
			t.Errorf("%d bytes", len(long))
		}
		if long, err := d.grow(d.shrink(text)); len(text) <= maxState && (err != nil || !bytes.Equal(long, text)) {
			t.Errorf("%q became %q: %v", text, long, err)
		}
	})
}
