package timestamp

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smallstep/pkcs7"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/test/tsa"
)

// stamp asks an authority for a token of data.
func stamp(t *testing.T, s *tsa.TSA, data []byte) []byte {
	t.Helper()
	r, err := NewRequest(data)
	if err != nil {
		t.Fatal(err)
	}
	return s.Reply(r.DER)
}

func authority(t *testing.T, s *tsa.TSA) *Authority {
	t.Helper()
	a, err := NewAuthority([]*x509.Certificate{s.Cert, s.Root})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

var data = []byte("rpn.example/journal/test\n12\nAAAA\n")

func TestATokenOfOpenSSLIsVerifiedAsOpenSSLDoes(t *testing.T) {
	t.Parallel()
	s := tsa.Usual(t)
	r, err := NewRequest(data)
	if err != nil {
		t.Fatal(err)
	}
	response := s.Reply(r.DER)
	token, err := authority(t, s).Answer(r, response, data)
	if err != nil || !s.Oracle(response, data) {
		t.Fatalf("%v; openssl: %v", err, s.Oracle(response, data))
	}
	if d := time.Since(token.At); d < -time.Second || d > time.Minute || !strings.Contains(token.By, "HORODATAGE FICTIF") {
		t.Errorf("%+v", token)
	}
	// Other bytes, another request, any byte of the response: none is a token.
	other := append([]byte{1}, data...)
	if _, err := authority(t, s).Verify(response, other); err == nil || s.Oracle(response, other) {
		t.Errorf("of other bytes: %v", err)
	}
	again, _ := NewRequest(data)
	if _, err := authority(t, s).Answer(again, response, data); err == nil {
		t.Error("it answers another request")
	}
	accepted := 0
	for i := range response {
		changed := slices.Clone(response)
		changed[i] ^= 4
		if got, err := authority(t, s).Verify(changed, data); err == nil {
			if accepted++; *got != *token {
				t.Errorf("changed at %d it says something else: %+v", i, got)
			}
		}
	}
	t.Logf("%d of %d changed bytes are outside what is signed", accepted, len(response))
}

// The certificates in the token are not trusted for who signed: with that of
// another authority in the bag, before or after, the token is what it is.
func TestACertificateInTheBagChangesNothing(t *testing.T) {
	t.Parallel()
	root := tsa.NewRoot(t)
	from, to := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	ours, other := tsa.New(t, "HORODATAGE FICTIF", root, from, to), tsa.New(t, "AUTRE HORODATAGE FICTIF", root, from, to)
	ours.Bag(other.Cert, root.Cert)
	response := stamp(t, ours, data)
	if got, err := authority(t, ours).Verify(response, data); err != nil || !strings.Contains(got.By, "CN=HORODATAGE") || !ours.Oracle(response, data) {
		t.Errorf("with another certificate in its bag: %+v, %v", got, err)
	}
	// The other authority signs, and puts ours in the bag.
	other.Bag(ours.Cert, root.Cert)
	if _, err := authority(t, ours).Verify(stamp(t, other, data), data); err == nil {
		t.Error("a token of another authority counts as ours by its bag")
	}
	// The other authority signs, and refers to our certificate; or to its own, and
	// names ours as the signer.
	for name, forged := range map[string][]byte{
		"refers to ours":           forge(t, other, ours.Cert, other.Cert),
		"names ours":               forge(t, other, other.Cert, ours.Cert),
		"names and refers to ours": forge(t, other, ours.Cert, ours.Cert),
	} {
		if _, err := authority(t, ours).Verify(forged, data); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := authority(t, other).Verify(forge(t, other, other.Cert, other.Cert), data); err != nil {
		t.Errorf("the forger's own tokens are not well made: %v", err)
	}
}

// forge makes a token by hand: signed by s, that refers to one certificate and
// names one as its signer.
func forge(t *testing.T, s *tsa.TSA, refers, names *x509.Certificate) []byte {
	t.Helper()
	sum := sha256.Sum256(data)
	info, err := asn1.Marshal(struct {
		Version int
		Policy  asn1.ObjectIdentifier
		Imprint imprint
		Serial  *big.Int
		GenTime asn1.RawValue
	}{1, asn1.ObjectIdentifier{1, 2, 3}, imprint{pkix.AlgorithmIdentifier{Algorithm: oidSHA256}, sum[:]}, big.NewInt(7),
		asn1.RawValue{Tag: asn1.TagGeneralizedTime, Bytes: []byte(time.Now().UTC().Format("20060102150405Z"))}})
	if err != nil {
		t.Fatal(err)
	}
	sd, err := pkcs7.NewSignedData(info)
	if err != nil {
		t.Fatal(err)
	}
	sd.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
	sd.GetSignedData().ContentInfo.ContentType = oidTSTInfo
	hash := sha256.Sum256(refers.Raw)
	type essCertIDv2 struct{ Hash []byte }
	attribute := struct{ Certs []essCertIDv2 }{[]essCertIDv2{{hash[:]}}}
	if err := sd.AddSigner(names, s.Key, pkcs7.SignerInfoConfig{ExtraSignedAttributes: []pkcs7.Attribute{{Type: oidSigningV2, Value: attribute}}}); err != nil {
		t.Fatal(err)
	}
	token, err := sd.Finish()
	if err != nil {
		t.Fatal(err)
	}
	der, err := asn1.Marshal(struct {
		Status struct{ Status int }
		Token  asn1.RawValue
	}{Token: asn1.RawValue{FullBytes: token}})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// A certificate that has ended since vouches for the tokens of its time, and for
// no other.
func TestATokenOfATimeWhenTheCertificateWasValid(t *testing.T) {
	t.Parallel()
	root := tsa.NewRoot(t)
	s := tsa.New(t, "HORODATAGE FICTIF", root, time.Now().Add(-time.Hour), time.Now().Add(3*time.Second))
	response := stamp(t, s, data)
	token, err := authority(t, s).Verify(response, data)
	if err != nil {
		t.Fatal(err)
	}
	await.Until(t, "the certificate has ended", func() bool { return time.Now().After(s.Cert.NotAfter.Add(time.Second)) })
	if _, err := authority(t, s).Verify(response, data); err != nil {
		t.Errorf("once the certificate has ended: %v", err)
	}
	at := token.At.Unix()
	if s.Oracle(response, data) || !s.Oracle(response, data, "-attime", big.NewInt(at).String()) {
		t.Error("openssl does not say the same: no today, yes at the instant of the token")
	}
	if _, err := authority(t, s).Verify(stamp(t, s, data), data); err == nil {
		t.Error("a token that was made after the end of the certificate is accepted")
	}
	late := tsa.New(t, "HORODATAGE FICTIF", root, time.Now().Add(time.Hour), time.Now().Add(2*time.Hour))
	if _, err := authority(t, late).Verify(stamp(t, late, data), data); err == nil {
		t.Error("a token that was made before the beginning of the certificate is accepted")
	}
}

// A token of another authority that the same root vouches for is not one of the
// authority that was asked.
func TestATokenOfAnotherAcceptedAuthorityIsRefused(t *testing.T) {
	t.Parallel()
	root := tsa.NewRoot(t)
	from, to := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	ours, other := tsa.New(t, "HORODATAGE FICTIF", root, from, to), tsa.New(t, "AUTRE HORODATAGE FICTIF", root, from, to)
	response := stamp(t, other, data)
	if _, err := authority(t, other).Verify(response, data); err != nil || !ours.Oracle(response, data) {
		t.Fatalf("the token is not a good one: %v", err)
	}
	if _, err := authority(t, ours).Verify(response, data); err == nil || !strings.Contains(err.Error(), "another authority") {
		t.Errorf("%v", err)
	}
}

func TestTheCertificatesOfAnAuthorityAreChecked(t *testing.T) {
	t.Parallel()
	s := tsa.Usual(t)
	for want, certs := range map[string][]*x509.Certificate{
		"no certificate for time-stamping": {s.Root},
		"no root":                          {s.Cert},
		"neither of a CA nor":              {s.Root, {Raw: s.Cert.Raw}},
	} {
		if _, err := NewAuthority(certs); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// The checkpoint of the day is stamped once, by a server that fails at first; what
// is kept verifies, also by openssl.
func TestTheCheckpointOfTheDayIsStampedOnce(t *testing.T) {
	t.Parallel()
	s := tsa.Usual(t)
	asked := make(chan int, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := len(asked)
		asked <- n
		if n < 2 { // it is in trouble
			http.Error(w, "later", http.StatusServiceUnavailable)
			return
		}
		s.Handler().ServeHTTP(w, r)
	}))
	defer server.Close()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "checkpoint"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	k := NewKeeper(Options{Dir: dir, URL: server.URL, Authority: authority(t, s), Client: server.Client(), Retry: time.Millisecond, Look: time.Millisecond,
		Log: slog.New(slog.DiscardHandler), Now: time.Now})
	done := make(chan struct{})
	go func() { defer close(done); k.Run(t.Context()) }()
	await.Until(t, "it has failed twice", func() bool { return k.State().Failures >= 2 })
	await.Until(t, "there is a token", func() bool { return !k.State().At.IsZero() && k.State().Err == nil && k.State().Since.IsZero() })
	list, err := Kept(dir)
	if err != nil || len(list) != 1 || !bytes.Equal(list[0].Checkpoint, data) || !s.Oracle(list[0].Response, list[0].Checkpoint) {
		t.Fatalf("%d are kept, %v", len(list), err)
	}
	if n := len(asked); n != 3 {
		t.Errorf("it was asked %d times", n)
	}
	// Another process of the same day knows it, and asks for nothing.
	if err := NewKeeper(k.o).today(t.Context()); err != nil || len(asked) != 3 {
		t.Errorf("%v, asked %d times", err, len(asked))
	}
}

func FuzzVerify(f *testing.F) {
	f.Add([]byte{0x30, 3, 2, 1, 0})
	b, err := os.ReadFile(filepath.Join("testdata", "response.tsr"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	a := &Authority{roots: x509.NewCertPool(), between: x509.NewCertPool()}
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := a.Verify(b, data); err == nil {
			t.Error("a token of nobody is accepted")
		}
		infoOf(&pkcs7.PKCS7{Content: b})
	})
}

// What is nested deep, and would take a second to read, is refused at once.
func TestATokenThatIsNestedDeepIsRefused(t *testing.T) {
	t.Parallel()
	token := []byte{5, 0}
	for range 2000 {
		b, err := asn1.Marshal(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: token})
		if err != nil {
			t.Fatal(err)
		}
		token = b
	}
	der, err := asn1.Marshal(struct {
		Status struct{ Status int }
		Token  asn1.RawValue
	}{Token: asn1.RawValue{FullBytes: token}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := new(Authority).Verify(der, data); err == nil || !strings.Contains(err.Error(), "nested") {
		t.Errorf("%v", err)
	}
}
