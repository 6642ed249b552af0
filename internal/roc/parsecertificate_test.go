package roc_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// der writes one element, its length as DER has it.
func der(tag byte, parts ...[]byte) []byte {
	content := bytes.Join(parts, nil)
	n := len(content)
	switch {
	case n < 0x80:
		return append([]byte{tag, byte(n)}, content...)
	case n < 0x100:
		return append([]byte{tag, 0x81, byte(n)}, content...)
	}
	return append([]byte{tag, 0x82, byte(n >> 8), byte(n)}, content...)
}

func selfSigned(t testing.TB) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "FICTIF"}, NotAfter: time.Now().Add(time.Hour)}
	raw, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// parts returns the three parts of a certificate, each whole.
func parts(t testing.TB, raw []byte) [3][]byte {
	t.Helper()
	var outer, one asn1.RawValue
	if _, err := asn1.Unmarshal(raw, &outer); err != nil {
		t.Fatal(err)
	}
	var all [3][]byte
	rest := outer.Bytes
	for i := range all {
		var err error
		if rest, err = asn1.Unmarshal(rest, &one); err != nil {
			t.Fatal(err)
		}
		all[i] = one.FullBytes
	}
	return all
}

// The two bytes that passed a deny list: what follows the signature inside the
// outer sequence, which crypto/x509 ignores.
func TestACertificateIsExactlyItsThreeParts(t *testing.T) {
	t.Parallel()
	c := selfSigned(t)
	p := parts(t, c.Raw)
	if got, err := roc.ParseCertificate(c.Raw); err != nil || !got.Equal(c) {
		t.Fatalf("as its CA made it: %v", err)
	}
	for name, raw := range map[string][]byte{
		"05 00 after the signature":     der(0x30, p[0], p[1], p[2], []byte{5, 0}),
		"a sequence after it":           der(0x30, p[0], p[1], p[2], der(0x30, []byte{2, 1, 1})),
		"the signature twice":           der(0x30, p[0], p[1], p[2], p[2]),
		"a byte after the certificate":  append(bytes.Clone(c.Raw), 0),
		"a second certificate after it": append(bytes.Clone(c.Raw), c.Raw...),
		"no signature":                  der(0x30, p[0], p[1]),
		"a length that is not the shortest": append([]byte{0x30, 0x83, 0, byte((len(c.Raw) - 4) >> 8), byte(len(c.Raw) - 4)},
			c.Raw[4:]...),
		"unused bits in the signature": der(0x30, p[0], p[1], der(3, []byte{1}, p[2][3:len(p[2])-1], []byte{p[2][len(p[2])-1] &^ 1})),
	} {
		if got, err := roc.ParseCertificate(raw); err == nil {
			t.Errorf("%s: it is a certificate, %x", name, roc.IDOfCertificate(got))
		}
	}
	ignored, err := x509.ParseCertificate(der(0x30, p[0], p[1], p[2], []byte{5, 0}))
	if err != nil {
		t.Fatal("crypto/x509 refuses the two bytes now: the check may go")
	}
	if err := roc.CheckCertificate(ignored); !errors.Is(err, roc.ErrNotACertificate) {
		t.Errorf("one that was parsed elsewhere: %v", err)
	}
}

// What is accepted is the concatenation of its three parts and nothing else.
func FuzzParseCertificate(f *testing.F) {
	c := selfSigned(f)
	p := parts(f, c.Raw)
	f.Add(c.Raw)
	f.Add(der(0x30, p[0], p[1], p[2], []byte{5, 0}))
	f.Add(der(0x30, p[0], p[1]))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := roc.ParseCertificate(raw)
		if err != nil {
			return
		}
		p := parts(t, raw)
		if again := der(0x30, p[0], p[1], p[2]); !bytes.Equal(again, raw) && len(raw) < 1<<16 {
			t.Errorf("accepted, and not its three parts:\n%x\n%x", raw, again)
		}
		if !bytes.Equal(p[0], c.RawTBSCertificate) {
			t.Error("the first part is not tbsCertificate")
		}
	})
}

// The name of a certificate is that of what its CA signed, whichever signature
// is beside it.
func TestTheNameOfACertificateIsThatOfWhatIsSigned(t *testing.T) {
	t.Parallel()
	c := selfSigned(t)
	p := parts(t, c.Raw)
	p[2][len(p[2])-1] ^= 1 // another value of the signature
	other, err := roc.ParseCertificate(der(0x30, p[0], p[1], p[2]))
	if err != nil {
		t.Fatal(err)
	}
	if roc.IDOfCertificate(c) != roc.IDOfCertificate(other) {
		t.Error("two names for one tbsCertificate")
	}
	if roc.IDOfCertificate(c) == roc.IDOfCertificate(selfSigned(t)) {
		t.Error("one name for two certificates")
	}
}

// The bytes around what the CA signed are the presenter's to choose: they make
// no other certificate. What the CA signed does.
func TestACertificateIsNamedByWhatItsCASigned(t *testing.T) {
	t.Parallel()
	c, other := selfSigned(t), selfSigned(t)
	twin := *c
	twin.Raw = append(bytes.Clone(c.Raw), 5, 0)
	if roc.IDOfCertificate(&twin) != roc.IDOfCertificate(c) {
		t.Error("other bytes around it make another certificate")
	}
	if roc.IDOfCertificate(other) == roc.IDOfCertificate(c) {
		t.Error("two certificates have one name")
	}
}
