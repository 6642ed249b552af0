package xmlsig

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"math/big"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/rsaverify"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// agree compares our verdict on a signature with crypto/rsa's, by the vector
// instructions where there are, and by bigmod.
func agree(t *testing.T, key *rsa.PublicKey, hash crypto.Hash, digest, value []byte) {
	t.Helper()
	kept, err := newRSAKey(&x509.Certificate{PublicKey: key})
	if err != nil {
		t.Fatal(err)
	}
	if vector := rsaverify.NewKey(key.N, key.E) != nil; vector != (kept.vector != nil) {
		t.Fatalf("vector instructions serve this key: %v, and are used: %v", vector, kept.vector != nil)
	}
	bigmodOnly := *kept
	bigmodOnly.vector = nil
	var scratch, other rsaScratch
	ours := kept.verify(&scratch, hash, digest, value) == nil
	fallback := bigmodOnly.verify(&other, hash, digest, value) == nil
	theirs := rsa.VerifyPKCS1v15(key, hash, digest, value) == nil
	if ours != theirs || fallback != theirs {
		t.Fatalf("we say %v, by bigmod %v, crypto/rsa says %v, for %v and a value of %d bytes", ours, fallback, theirs, hash, len(value))
	}
}

func TestRSAVerdictIsThatOfCryptoRSA(t *testing.T) {
	t.Parallel()
	for _, bits := range []int{2048, 2056, 3072} {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		for _, hash := range []crypto.Hash{crypto.SHA256, crypto.SHA512} {
			digest := sha256.Sum256([]byte("fictif"))
			sum := digest[:]
			if hash == crypto.SHA512 {
				long := sha512.Sum512([]byte("fictif"))
				sum = long[:]
			}
			value, err := key.Sign(rand.Reader, sum, hash)
			if err != nil {
				t.Fatal(err)
			}
			plus := new(big.Int).Add(new(big.Int).SetBytes(value), key.N)
			for _, v := range [][]byte{
				value, nil, value[1:], append([]byte{0}, value...), append(bytes.Clone(value), 0),
				make([]byte, len(value)), key.N.Bytes(), plus.Bytes(), bytes.Repeat([]byte{0xFF}, len(value)), {1},
			} {
				agree(t, &key.PublicKey, hash, sum, v)
				agree(t, &key.PublicKey, hash, sum[1:], v)
			}
			for i := 0; i < len(value); i += 37 {
				bad := bytes.Clone(value)
				bad[i] ^= 1 << (i % 8)
				agree(t, &key.PublicKey, hash, sum, bad)
			}
		}
	}
}

func TestRSAKeyThatBigmodCannotTakeIsRefused(t *testing.T) {
	t.Parallel()
	n := new(big.Int).Lsh(big.NewInt(1), 2047)
	for name, key := range map[string]*rsa.PublicKey{
		"even modulus":  {N: new(big.Int).Add(n, big.NewInt(2)), E: 65537},
		"zero modulus":  {N: new(big.Int), E: 65537},
		"even exponent": {N: new(big.Int).Add(n, big.NewInt(1)), E: 4},
		"exponent 1":    {N: new(big.Int).Add(n, big.NewInt(1)), E: 1},
	} {
		if _, err := newRSAKey(&x509.Certificate{PublicKey: key}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// FuzzRSA holds our verdicts, both ways, to crypto/rsa's on any value, digest
// and modulus. rsaverify's FuzzMatches finds the values that do match.
func FuzzRSA(f *testing.F) {
	key := testKeys().rsa
	digest := sha256.Sum256(nil)
	value, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(value, digest[:], []byte{0})
	f.Add(value, digest[1:], []byte{2})
	f.Add([]byte{}, []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, value, digest, change []byte) {
		n := new(big.Int).Set(key.N)
		if len(change) <= 256 {
			n.Xor(n, new(big.Int).SetBytes(change))
		}
		n.SetBit(n, 2047, 1).SetBit(n, 0, 1)
		if n.BitLen() != 2048 {
			return
		}
		agree(t, &rsa.PublicKey{N: n, E: 65537}, crypto.SHA256, digest, value)
	})
}

// Arithmetic of ours that is wrong refuses nobody: crypto/rsa is asked before
// a refusal, its word holds, and somebody hears.
func TestWrongArithmeticOfOursRefusesNobody(t *testing.T) {
	t.Parallel()
	k := testKeys()
	heard := 0
	trust := NewTrust(trust.NewTrust([]*x509.Certificate{k.ca.cert}, nil).Signature(nil))
	v := NewVerifier(Options{Trust: func() *Trust { return trust }, OnDisagreement: func() { heard++ }})
	out := signed(t, message12, k.rsaKey, SignOptions{})
	verify := func(m []byte) error {
		env, err := soap.Read(roc.NewContent(m), soap.DefaultLimits)
		if err != nil {
			t.Fatal(err)
		}
		_, err = v.Check(env, Policy{}, Expect{Structure: testStructure}, testNow)
		return err
	}
	if err := verify(out); err != nil || heard != 0 {
		t.Fatalf("%v, %d disagreements", err, heard)
	}
	other, err := newRSAKey(k.ca.issue(newRSA(2048), nil).Certificate)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range trust.memory.known { // as a processor that multiplies wrongly would
		e.signer.rsa = &rsaKey{other.modulus, other.e, other.vector, e.signer.rsa.public}
	}
	if err := verify(out); err != nil || heard != 1 {
		t.Errorf("with wrong arithmetic: %v, %d disagreements, want accepted and 1", err, heard)
	}
	value := part(string(out), "<ds:SignatureValue>", "</ds:SignatureValue>")
	forged := strings.Replace(string(out), value, strings.Replace(value, value[40:44], "AAAA", 1), 1)
	if err := verify([]byte(forged)); !roc.IsRefused(err, roc.BadSignature) || heard != 1 {
		t.Errorf("a forged value: %v, %d disagreements", err, heard)
	}
}
