package tlsconf_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/tlsconf"
	"github.com/piano-roc/rpn/tlsconf/identity"
	"github.com/piano-roc/rpn/tlsconf/revocation"
	"github.com/piano-roc/rpn/tlsconf/tlstest"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// A certificate that is denied is out in every form in which it can be shown:
// by the lines that name its tbsCertificate, and by those of before, which name
// the whole.
func TestADeniedCertificateIsOutInAllItsForms(t *testing.T) {
	t.Parallel()
	for name, line := range map[string]func(c *x509.Certificate) string{
		"by its tbsCertificate": revocation.DenyLine,
		"by the whole":          func(c *x509.Certificate) string { return fmt.Sprintf("certificate %x", sha256.Sum256(c.Raw)) },
		"by serial and issuer":  func(c *x509.Certificate) string { return fmt.Sprintf("serial %x", c.SerialNumber) },
	} {
		f := newFrontier(t)
		pair := f.PKI.Auth(chu, "CH")
		f.deny(1, line(pair.Cert))
		for form, c := range map[string]struct {
			shown *x509.Certificate
			want  trust.Reason
		}{
			"as it is":                {pair.Cert, trust.Denied},
			"(r, n-s)":                {igc.Twin(pair.Cert), trust.Denied},
			"two bytes more":          {igc.Longer(pair.Cert, 5, 0), trust.Malformed},
			"a signature more":        {igc.Longer(pair.Cert, 3, 2, 0, 1), trust.Malformed},
			"both":                    {igc.Longer(igc.Twin(pair.Cert), 5, 0), trust.Malformed},
			"its intermediate longer": {nil, trust.Malformed},
		} {
			shown := igc.Pair{Cert: c.shown, Key: pair.Key, Chain: pair.Chain}
			if c.shown == nil {
				shown.Cert, shown.Chain = pair.Cert, []*x509.Certificate{igc.Longer(pair.Chain[0], 5, 0)}
			}
			if _, err := f.Knock(tlstest.Client(f.PKI, shown)); err == nil {
				t.Errorf("%s, %s: came in", name, form)
			} else if got := f.Failure(t); got.Reason != c.want {
				t.Errorf("%s, %s: %v, want %s", name, form, got, c.want)
			}
		}
		if _, err := f.Knock(tlstest.Client(f.PKI, f.PKI.Auth(autre, "AUTRE"))); err != nil {
			t.Errorf("%s: another one: %v", name, err)
		}
	}
}

// With a certificate that anybody can read and a key of one's own, a handshake
// leaves nothing behind; and what it may send is bounded.
func TestAHandshakeThatProvesNothingLeavesNothing(t *testing.T) {
	t.Parallel()
	p := tlstest.NewPKI()
	cas := tlstest.Trust(p, es)
	d := tlstest.OpenDoor(t, tlsconf.ServerOptions{
		Certificate: identity.FixedSource(p.Server(es, "rpn.test").TLS()), Clients: trust.FixedStore(cas),
	}, nil)
	stolen := p.Auth(chu, "CH")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		config := tlstest.Client(p)
		config.MinVersion, config.MaxVersion = version, version
		certificate := igc.Pair{Cert: stolen.Cert, Chain: stolen.Chain, Key: key}.TLS()
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certificate, nil }
		for range 20 {
			if _, err := d.Knock(config); err == nil {
				t.Fatal("it comes in with another key")
			}
			if f := d.Failure(t); f.Reason != trust.Protocol {
				t.Errorf("%v", f)
			}
		}
		if n, bytes := cas.Remembered(); n != 0 || bytes != 0 || d.Server.Open() != 0 {
			t.Errorf("%d leaves, %d bytes, %d connections are left", n, bytes, d.Server.Open())
		}
		certificate.Certificate = append(certificate.Certificate, make([]byte, 240_000))
		if _, err := d.Knock(config); err == nil {
			t.Fatal("it comes in with 240 kB of junk")
		}
		if f := d.Failure(t); f.Reason != trust.Oversized {
			t.Errorf("%v", f)
		}
	}
	if _, err := d.Knock(tlstest.Client(p, stolen)); err != nil {
		t.Error(err)
	}
	if n, _ := cas.Remembered(); n != 1 {
		t.Errorf("%d leaves are remembered of one that proved its key", n)
	}
}

// A certificate that ends takes its connections with it: what Sweep finds by
// verifying all of them, SweepEnded finds by the clock alone.
func TestAConnectionEndsWithItsCertificate(t *testing.T) {
	t.Parallel()
	f := newFrontier(t)
	short := f.PKI.Auth(chu, "CH", igc.Valid(time.Now().Add(-time.Hour), time.Now().Add(time.Hour)))
	one, other := f.connect(tlstest.Client(f.PKI, short)), f.connect(tlstest.Client(f.PKI, f.PKI.Auth(autre, "AUTRE")))
	if cuts := f.Server.SweepEnded(); len(cuts) != 0 {
		t.Errorf("too early: %+v", cuts)
	}
	f.Clock.Forward(time.Hour + time.Second)
	cuts := f.Server.SweepEnded()
	if len(cuts) != 1 || cuts[0].Reason != trust.Expired || cuts[0].Connections != 1 {
		t.Errorf("%+v", cuts)
	}
	wantClosed(t, one)
	wantOpen(t, other)
}

// The curves that are offered are those that are accepted.
func TestP521IsNeitherOfferedNorTaken(t *testing.T) {
	t.Parallel()
	p := tlstest.NewPKI()
	d := tlstest.GoodDoor(t, p)
	config := tlstest.Client(p, p.Auth(chu, "CH"))
	config.CurvePreferences = []tls.CurveID{tls.CurveP521}
	if _, err := d.Knock(config); err == nil {
		t.Error("a key exchange on P-521")
	} else if f := d.Failure(t); f.Reason != trust.NoCommonSuite {
		t.Errorf("%v", f)
	}
	config.CurvePreferences = []tls.CurveID{tls.CurveP384}
	if _, err := d.Knock(config); err != nil {
		t.Errorf("P-384: %v", err)
	}
}
