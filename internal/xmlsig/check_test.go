package xmlsig

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

var testNow = time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC)

const testStructure roc.StructureID = "1010003812"

// A testCA signs the certificates of these tests; internal/igc has the whole
// shape of the real PKIs, this is the least that a signature check needs.
type testCA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newCA(name string) testCA {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	tpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name, Country: []string{"FR"}},
		NotBefore: testNow.AddDate(-1, 0, 0), NotAfter: testNow.AddDate(5, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tpl, tpl, key.Public(), key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return testCA{cert, key}
}

func (ca testCA) issue(key crypto.Signer, change func(*x509.Certificate)) Key {
	tpl := &x509.Certificate{
		SerialNumber: big.NewInt(0xA1B2), Subject: pkix.Name{CommonName: "sign;test", Country: []string{"FR"}, Organization: []string{"HOPITAL FICTIF"}, OrganizationalUnit: []string{string(testStructure)}},
		NotBefore: testNow.AddDate(0, -1, 0), NotAfter: testNow.AddDate(1, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
	}
	if change != nil {
		change(tpl)
	}
	der, err := x509.CreateCertificate(rand.Reader, tpl, ca.cert, key.Public(), ca.key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return Key{Certificate: cert, Chain: []*x509.Certificate{ca.cert}, Signer: key}
}

var testKeys = sync.OnceValue(func() (k struct {
	ca, otherCA testCA
	rsa         *rsa.PrivateKey
	rsaKey      Key
	ecKey       Key
}) {
	k.ca, k.otherCA = newCA("TEST AC SIGNATURE"), newCA("TEST AC AUTRE")
	var err error
	if k.rsa, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		panic(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	k.rsaKey, k.ecKey = k.ca.issue(k.rsa, nil), k.ca.issue(ec, nil)
	return k
})

func testVerifier() *Verifier {
	trust := NewTrust(trust.NewTrust([]*x509.Certificate{testKeys().ca.cert}, nil).Signature(nil))
	return NewVerifier(Options{Trust: func() *Trust { return trust }})
}

const message12 = `<?xml version="1.0" encoding="UTF-8"?>
<soap:Envelope xmlns:soap="http://www.w3.org/2003/05/soap-envelope">
  <soap:Header/>
  <soap:Body>
    <idb:interroger xmlns:idb="urn:roc:idb:1.0.0"><etablissement><finess_ej>010003812</finess_ej></etablissement><nom>FICTIF &amp; Fils</nom></idb:interroger>
  </soap:Body>
</soap:Envelope>
`

const message11 = `<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body Id="corps"><a xmlns="urn:x:y"/></Body></Envelope>`

func check(t *testing.T, m []byte, p Policy, e Expect) (*Checked, error) {
	t.Helper()
	env, err := soap.Read(roc.NewContent(m), soap.DefaultLimits)
	if err != nil {
		return nil, err
	}
	return testVerifier().Check(env, p, e, testNow)
}

func signed(t *testing.T, m string, k Key, o SignOptions) []byte {
	t.Helper()
	if o.At.IsZero() {
		o.At = testNow
	}
	out, err := Sign(roc.NewContent([]byte(m)), k, o)
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func wantRefused(t *testing.T, err error, want roc.Reason) {
	t.Helper()
	if err == nil {
		t.Fatalf("accepted, want %s", want)
	}
	if !roc.IsRefused(err, want) {
		t.Fatalf("refused by %v, want %s", err, want)
	}
}

func TestEveryFormWeSignIsAccepted(t *testing.T) {
	t.Parallel()
	k := testKeys()
	for name, key := range map[string]Key{"rsa": k.rsaKey, "ecdsa": k.ecKey} {
		for _, token := range []TokenForm{BinarySecurityToken, PKIPath, KeyIdentifier, X509Data, STRX509Data} {
			for _, digest := range []crypto.Hash{crypto.SHA256, crypto.SHA512} {
				for _, m := range []string{message11, message12} {
					out := signed(t, m, key, SignOptions{Token: token, Digest: digest})
					c, err := check(t, out, Policy{}, Expect{Structure: testStructure})
					if err != nil {
						var r *roc.Refusal
						errors.As(err, &r)
						t.Fatalf("%s, form %d, %v: %v (%s)", name, token, digest, err, r.Detail)
					}
					if c.SignerStructure() != testStructure || c.SignerSerial() != "a1b2" || !c.Created().Equal(testNow) || c.Body().IsZero() {
						t.Errorf("%s, form %d: not all is known of the signer", name, token)
					}
					if !bytes.Equal(c.Content().Bytes(), out) {
						t.Error("the checked bytes are not those that came")
					}
				}
			}
		}
	}
}

func TestAnAlteredByteIsRefused(t *testing.T) {
	t.Parallel()
	out := string(signed(t, message12, testKeys().rsaKey, SignOptions{}))
	for from, to := range map[string]string{
		"FICTIF &amp; Fils":        "FICTIF &amp; Fille",
		"010003812":                "010003820",
		"<soap:Body":               "<soap:Body x='1'",
		"2026-11-21T09:35:00.000Z": "2026-11-21T09:36:00.000Z",
		"<ds:SignedInfo>":          "<ds:SignedInfo >\n",
	} {
		_, err := check(t, []byte(strings.Replace(out, from, to, 1)), Policy{}, Expect{})
		wantRefused(t, err, roc.BadSignature)
	}
}

func TestWhoseSignature(t *testing.T) {
	t.Parallel()
	k := testKeys()
	for _, c := range []struct {
		name   string
		key    Key
		expect Expect
		want   roc.Reason
	}{
		{"same structure", k.rsaKey, Expect{Structure: testStructure}, ""},
		{"not compared", k.rsaKey, Expect{}, ""},
		{"another structure", k.rsaKey, Expect{Structure: "1010003820"}, roc.SignerMismatch},
		{"another, with a mandate", k.rsaKey, Expect{Structure: "1010003820", Mandate: func(s roc.StructureID) bool { return s == testStructure }}, ""},
		{"another, mandate of a third", k.rsaKey, Expect{Structure: "1010003820", Mandate: func(s roc.StructureID) bool { return s == "2123456789" }}, roc.SignerMismatch},
		{"another CA", k.otherCA.issue(k.rsa, nil), Expect{}, roc.UntrustedSigner},
		{"expired", k.ca.issue(k.rsa, func(c *x509.Certificate) { c.NotAfter = testNow.Add(-time.Hour) }), Expect{}, roc.UntrustedSigner},
		{"not yet valid", k.ca.issue(k.rsa, func(c *x509.Certificate) { c.NotBefore = testNow.Add(time.Hour) }), Expect{}, roc.UntrustedSigner},
		{"serverAuth only", k.ca.issue(k.rsa, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), Expect{}, roc.UntrustedSigner},
		{"no signing usage", k.ca.issue(k.rsa, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }), Expect{}, roc.UntrustedSigner},
		{"no structure", k.ca.issue(k.rsa, func(c *x509.Certificate) { c.Subject.OrganizationalUnit = nil }), Expect{Structure: testStructure}, roc.UntrustedSigner},
		{"structure in the CN only", k.ca.issue(k.rsa, func(c *x509.Certificate) {
			c.Subject.OrganizationalUnit = nil
			c.Subject.CommonName = "x;OU=1010003812,OU=1010003812"
		}), Expect{Structure: testStructure}, roc.UntrustedSigner},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := check(t, signed(t, message12, c.key, SignOptions{}), Policy{}, c.expect)
			if c.want != "" {
				wantRefused(t, err, c.want)
			} else if err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestTheClock(t *testing.T) {
	t.Parallel()
	key := testKeys().rsaKey
	for _, c := range []struct {
		name    string
		created time.Duration // from now
		life    time.Duration
		want    roc.Reason
		says    string
	}{
		{"now", 0, 5 * time.Minute, "", ""},
		{"ahead within the tolerance", 5 * time.Minute, 5 * time.Minute, "", ""},
		{"ahead", 7*time.Minute + 12*time.Second, 5 * time.Minute, roc.StaleTimestamp, "Votre horloge avance de 7 min 12 s."},
		{"expired within the tolerance", -10 * time.Minute, 5 * time.Minute, "", ""},
		{"expired", -10*time.Minute - time.Second, 5 * time.Minute, roc.StaleTimestamp, "expiré"},
		{"one hour", 0, time.Hour, "", ""},
		{"more than one hour", 0, time.Hour + time.Millisecond, roc.StaleTimestamp, "durée de vie"},
		{"expires before it was created", 0, -time.Second, roc.StaleTimestamp, "après"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			out := signed(t, message12, key, SignOptions{At: testNow.Add(c.created), Life: c.life})
			_, err := check(t, out, Policy{}, Expect{})
			if c.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			wantRefused(t, err, c.want)
			if d := roc.RefusalOf(err).Detail; !strings.Contains(d, c.says) {
				t.Errorf("the caller is told %q, want %q in it", d, c.says)
			}
		})
	}
}

func TestWithoutSignatureOrTimestamp(t *testing.T) {
	t.Parallel()
	key := testKeys().rsaKey
	_, err := check(t, []byte(message12), Policy{}, Expect{})
	wantRefused(t, err, roc.NotSigned)
	c, err := check(t, []byte(message12), Policy{Optional: true}, Expect{})
	if err != nil || c.Signed() || !c.Body().IsZero() {
		t.Errorf("an unsigned message under an optional policy: %v, signed %v", err, c.Signed())
	}
	bare := signed(t, message12, key, SignOptions{NoTimestamp: true})
	_, err = check(t, bare, Policy{}, Expect{})
	wantRefused(t, err, roc.PartNotSigned)
	if _, err = check(t, bare, Policy{TimestampOptional: true}, Expect{}); err != nil {
		t.Error(err)
	}
}

func TestStrictBase64(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"": "", "YQ==": "a", "YWI=": "ab", "YWJj": "abc", " Y W\nJ\tj\r\n": "abc", "YQ = =": "a",
		"YQ": "!", "YQ=": "!", "YR==": "!", "YWJ=": "!", "YQ==YQ==": "!", "====": "!", "Y=": "!", "YW-_": "!", "YWJj=": "!", "YQ===": "!",
	} {
		got, err := appendBase64(nil, []byte(s))
		if (err != nil) != (want == "!") || err == nil && string(got) != want {
			t.Errorf("%q: got %q %v, want %q", s, got, err, want)
		}
	}
}

// A prefix of ours must not take the place of one the message uses.
func TestSigningRebindsNoPrefix(t *testing.T) {
	t.Parallel()
	m := `<s:Envelope xmlns:s="` + soap.NS12 + `" xmlns:rpnu="urn:x:y"><s:Body><rpnu:a/></s:Body></s:Envelope>`
	c, err := check(t, signed(t, m, testKeys().ecKey, SignOptions{}), Policy{}, Expect{})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Envelope().Operation(); got != (soap.Name{Space: "urn:x:y", Local: "a"}) {
		t.Errorf("once signed, the operation is %v", got)
	}
}
