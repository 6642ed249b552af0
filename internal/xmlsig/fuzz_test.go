package xmlsig

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"math/big"
	mathrand "math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
)

// FuzzCheck: nobody holds the signer's key here, so whatever is accepted holds
// the Body of one of the seeds, and its Timestamp.
func FuzzCheck(f *testing.F) {
	v := forgeVerifier()
	seeds, known := attackSeeds(f, v)
	for i, m := range seeds {
		f.Add(m, uint64(0))
		f.Add(m, uint64(i+1))
	}
	f.Fuzz(func(t *testing.T, m []byte, seed uint64) {
		// The fuzzer changes bytes; the seed changes elements, Ids, algorithms.
		m = bytes.Clone(m)
		if seed > 0 {
			m = mutateSome(m, mathrand.New(mathrand.NewPCG(seed, 0)))
		}
		onlyWhatWasSigned(t, v, known, m)
	})
}

// attackSeeds returns the messages of the attack files, and the digests of the
// Bodies of those that are accepted.
func attackSeeds(t testing.TB, v *Verifier) (seeds [][]byte, known map[[32]byte]bool) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "attacks", "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("the attack files are not there: %v", err)
	}
	known = map[[32]byte]bool{}
	for _, file := range files {
		m := readAttack(t, file).message
		if body, err := bodyOf(t, v, m); err == nil {
			known[body] = true
		}
		seeds = append(seeds, m)
	}
	return seeds, known
}

// bodyOf returns the digest of the Body of a message that is accepted.
func bodyOf(t testing.TB, v *Verifier, m []byte) (body [32]byte, err error) {
	env, err := soap.Read(roc.NewContent(m), soap.DefaultLimits)
	if err != nil {
		return body, err
	}
	defer env.Release()
	c, err := v.Check(env, Policy{}, Expect{Structure: testStructure}, testNow)
	if err != nil {
		return body, err
	}
	if c.Created().Sub(testNow).Abs() > time.Minute || c.SignerStructure() != testStructure {
		t.Error("accepted with another Timestamp or signer")
	}
	return sha256.Sum256(canonicalOf(env.Body(), soap.C14N{})), nil
}

// mutateSome changes a message one to three times.
func mutateSome(m []byte, r *mathrand.Rand) []byte {
	for range 1 + r.IntN(3) {
		if len(m) > 0 {
			m = mutate(m, r)
		}
	}
	return m
}

// onlyWhatWasSigned fails when a message is accepted with a Body that is none
// of the known ones, or refused by something that is no refusal.
func onlyWhatWasSigned(t testing.TB, v *Verifier, known map[[32]byte]bool, m []byte) {
	body, err := bodyOf(t, v, m)
	if err == nil && !known[body] {
		t.Errorf("accepted with a Body that nobody signed: %q", m)
	}
	if err != nil && roc.RefusalOf(err).Reason == roc.Internal {
		t.Errorf("an error that is no refusal: %v", err)
	}
}

// FuzzBase64: strict base64, white space apart, as encoding/base64 reads it.
func FuzzBase64(f *testing.F) {
	for _, s := range []string{"", "YQ==", "YWI=", "YWJj", " Y Q\n=\t=\r", "YQ", "YR==", "YQ==YQ==", "YW-_", "====", "=", "YWJj="} {
		f.Add(s)
	}
	white := strings.NewReplacer(" ", "", "\t", "", "\r", "", "\n", "")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := appendBase64(nil, []byte(s))
		want, werr := base64.StdEncoding.Strict().DecodeString(white.Replace(s))
		if (err != nil) != (werr != nil) || err == nil && !bytes.Equal(got, want) {
			t.Errorf("%q: %x %v, to encoding/base64 %x %v", s, got, err, want, werr)
		}
	})
}

// FuzzCertificateSubject: whatever the subject, the structure found is the
// whole value of an OU of it, and the only one of that form.
func FuzzCertificateSubject(f *testing.F) {
	for _, n := range []pkix.Name{
		{OrganizationalUnit: []string{"1010003812"}},
		{OrganizationalUnit: []string{"318751275100020", "1010003812"}},
		{CommonName: "x;OU=1010003812,OU=1010003812/OU=1010003812"},
		{OrganizationalUnit: []string{"DSI", "1010003812"}, Organization: []string{"1010003820"}},
		{OrganizationalUnit: []string{" 1010003812"}}, {OrganizationalUnit: []string{"1010003812\x00"}},
	} {
		der, err := asn1.Marshal(n.ToRDNSequence())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(der)
	}
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	f.Fuzz(func(t *testing.T, subject []byte) {
		tpl := &x509.Certificate{SerialNumber: big.NewInt(1), RawSubject: subject, NotBefore: testNow, NotAfter: testNow.AddDate(1, 0, 0)}
		der, err := x509.CreateCertificate(rand.Reader, tpl, tpl, key.Public(), key)
		if err != nil {
			return
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return
		}
		got, err := roc.StructureOfCertificate(c)
		found := map[string]bool{}
		for _, a := range c.Subject.Names {
			if s, ok := a.Value.(string); ok && a.Type.String() == "2.5.4.11" {
				if _, err := roc.ParseStructureID(s); err == nil {
					found[s] = true
				}
			}
		}
		if err == nil && (len(found) != 1 || !found[string(got)]) || err != nil && len(found) == 1 {
			t.Errorf("structure %q %v of the OUs %v", got, err, found)
		}
	})
}
