package xmlsig

import (
	"bytes"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"math/big"
	"runtime"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// checkWith checks a message under a trust.
func checkWith(t *testing.T, trust *Trust, m []byte) error {
	t.Helper()
	env, err := soap.Read(roc.NewContent(m), soap.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	defer env.Release()
	_, err = NewVerifier(Options{Trust: func() *Trust { return trust }}).Check(env, Policy{}, Expect{}, testNow)
	return err
}

// 200 messages with certificates that a CA of ours issued, and signatures by
// keys that are not theirs, leave nothing behind; the first right one does.
func TestNothingIsRememberedBeforeTheSignatureIsVerified(t *testing.T) {
	t.Parallel()
	k := testKeys()
	var proved []*x509.Certificate
	trust := NewTrust(trust.NewTrust([]*x509.Certificate{k.ca.cert}, nil).Signature(nil)).OnProved(func(chain []*x509.Certificate) { proved = append(proved, chain[0]) })
	right := signed(t, message12, k.ecKey, SignOptions{})
	var certs []Key
	for i := range 200 {
		certs = append(certs, k.ca.issue(k.rsa, func(c *x509.Certificate) { c.SerialNumber = big.NewInt(int64(1000 + i)) }))
		forged := strings.Replace(string(right), base64.StdEncoding.EncodeToString(k.ecKey.Certificate.Raw), base64.StdEncoding.EncodeToString(certs[i].Certificate.Raw), 1)
		if forged == string(right) {
			t.Fatal("the certificate does not stand in the message in one line")
		}
		if err := checkWith(t, trust, []byte(forged)); err == nil {
			t.Fatal("a message signed by another key was accepted")
		}
	}
	// Digests that do not match, too.
	if err := checkWith(t, trust, bytes.Replace(right, []byte("010003812"), []byte("010003820"), 1)); err == nil {
		t.Fatal("an altered message was accepted")
	}
	if n := len(trust.memory.known) + len(trust.memory.texts) + len(trust.memory.owners) + trust.memory.bytes + len(proved); n != 0 {
		t.Errorf("refused messages left %d certificates, %d texts, %d owners, %d bytes and %d lines of the expiry inventory",
			len(trust.memory.known), len(trust.memory.texts), len(trust.memory.owners), trust.memory.bytes, len(proved))
	}
	for range 2 {
		if err := checkWith(t, trust, right); err != nil {
			t.Fatal(err)
		}
	}
	if len(trust.memory.known) != 1 || len(proved) != 1 || !proved[0].Equal(k.ecKey.Certificate) {
		t.Errorf("after a right message, twice: %d certificates remembered and %d told, want 1 and 1", len(trust.memory.known), len(proved))
	}
}

// Whoever breaks the lines of one certificate in ever new ways fills no memory.
func TestACertificateIsKeptOnce(t *testing.T) {
	t.Parallel()
	k := testKeys().ecKey
	trust := NewTrust(trust.NewTrust([]*x509.Certificate{testKeys().ca.cert}, nil).Signature(nil))
	text := base64.StdEncoding.EncodeToString(k.Certificate.Raw)
	for i := range 200 {
		c, err := trust.signerOf(X509Data, []byte(text[:i]+"\n"+text[i:]), testNow)
		if err != nil {
			t.Fatal(err)
		}
		trust.remember(&c)
	}
	if len(trust.memory.known) != 1 || len(trust.memory.texts) != 1 {
		t.Errorf("one certificate takes %d and %d places", len(trust.memory.known), len(trust.memory.texts))
	}
}

// The other value (r, n-s) of the issuer's ECDSA signature verifies too. It
// makes no second certificate: what it says was said already.
func TestTheOtherValueOfTheIssuerMakesNoSecondCertificate(t *testing.T) {
	t.Parallel()
	k := testKeys().ecKey
	other := otherIssuerValue(t, k.Certificate)
	trust := NewTrust(trust.NewTrust([]*x509.Certificate{testKeys().ca.cert}, nil).Signature(nil))
	for _, der := range [][]byte{k.Certificate.Raw, other, k.Certificate.Raw} {
		c, err := trust.signerOf(X509Data, []byte(base64.StdEncoding.EncodeToString(der)), testNow)
		if err != nil {
			t.Fatal(err)
		}
		trust.remember(&c)
		if len(trust.memory.known) != 1 || len(trust.memory.texts) != 1 {
			t.Errorf("one tbsCertificate takes %d and %d places", len(trust.memory.known), len(trust.memory.texts))
		}
	}
	// A value that does not verify is refused, remembered tbsCertificate or not.
	broken := bytes.Clone(k.Certificate.Raw)
	broken[len(broken)-1] ^= 1
	if _, err := trust.signerOf(X509Data, []byte(base64.StdEncoding.EncodeToString(broken)), testNow); err == nil {
		t.Error("a certificate whose issuer's signature is broken was taken for the one remembered")
	}
}

func otherIssuerValue(t *testing.T, c *x509.Certificate) []byte {
	t.Helper()
	var signed struct {
		TBS, Algorithm asn1.RawValue
		Signature      asn1.BitString
	}
	var value struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(c.Raw, &signed); err != nil {
		t.Fatal(err)
	}
	if _, err := asn1.Unmarshal(signed.Signature.Bytes, &value); err != nil {
		t.Fatal(err)
	}
	value.S.Sub(elliptic.P256().Params().N, value.S)
	der, err := asn1.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	signed.Signature = asn1.BitString{Bytes: der, BitLength: 8 * len(der)}
	out, err := asn1.Marshal(signed)
	if err != nil || bytes.Equal(out, c.Raw) {
		t.Fatal("no other value", err)
	}
	return out
}

// filled makes the claim of a proved signer of that structure and number, with
// a certificate of that many bytes.
func filled(owner roc.StructureID, n, size int) claim {
	raw := make([]byte, size)
	big.NewInt(int64(n)).FillBytes(raw[:8])
	c := &x509.Certificate{Raw: raw, RawTBSCertificate: raw}
	return claim{
		signer: &signer{cert: c, structure: owner, from: testNow.AddDate(-1, 0, 0), to: testNow.AddDate(1, 0, 0)},
		cert:   certKey(X509Data, c), text: textKey(X509Data, raw),
	}
}

func TestOneOwnerFillsItsOwnPartOfTheMemoryOnly(t *testing.T) {
	t.Parallel()
	m := newMemory()
	quiet := filled("1020000019", 0, 1000)
	m.remember(&quiet)
	for n := range 10_000 {
		c := filled(testStructure, n+1, 1000)
		m.remember(&c)
	}
	if len(m.known) != maxKnownPerOwner+1 || len(m.texts) != maxKnownPerOwner+1 || len(m.owners[testStructure]) != maxKnownPerOwner {
		t.Errorf("%d certificates, %d texts are kept, want %d of the noisy owner and 1", len(m.known), len(m.texts), maxKnownPerOwner)
	}
	if want := (maxKnownPerOwner + 1) * quiet.signer.size(); m.bytes != want {
		t.Errorf("%d bytes are counted, want %d", m.bytes, want)
	}
	if m.byText(quiet.text, testNow) == nil {
		t.Error("a noisy owner made the memory forget another")
	}
	last := filled(testStructure, 10_000, 1000)
	if m.byText(last.text, testNow) == nil {
		t.Error("the newest certificate of the noisy owner is not kept")
	}
}

// The bounds of the whole, filled: certificates in number, and in bytes. The
// heap holds what the memory counts. Not parallel: it measures the heap.
func TestTheMemoryOfSignersIsBounded(t *testing.T) {
	for _, size := range []int{1_000, 40_000} {
		m := newMemory()
		heap := liveHeap()
		most := 0
		for n := range maxKnown + 100 {
			c := filled(roc.StructureID(big.NewInt(int64(n)).String()), n, size)
			m.remember(&c)
			most = max(most, len(m.known))
			if m.bytes > maxKnownBytes || len(m.known) > maxKnown || len(m.texts) != len(m.known) || len(m.owners) > len(m.known) {
				t.Fatalf("certificates of %d bytes: %d known, %d texts, %d owners, %d bytes", size, len(m.known), len(m.texts), len(m.owners), m.bytes)
			}
		}
		if grown := liveHeap() - heap; grown > maxKnownBytes {
			t.Errorf("certificates of %d bytes: the heap grew by %d MiB, the bound is %d", size, grown>>20, maxKnownBytes>>20)
		}
		t.Logf("certificates of %d bytes: at most %d at once", size, most)
		runtime.KeepAlive(&m)
	}
}

func liveHeap() int {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int(s.HeapAlloc)
}
