package tlsconf_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/tlsconf"
	"github.com/piano-roc/rpn/tlsconf/identity"
	"github.com/piano-roc/rpn/tlsconf/tlstest"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

func writeStore(t *testing.T, dir string, side igc.Side, roots, intermediates []*x509.Certificate) string {
	t.Helper()
	var text []byte
	for _, c := range append(append([]*x509.Certificate{}, roots...), intermediates...) {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	file := filepath.Join(dir, side.String()+".pem")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func openStore(t *testing.T, p *igc.PKI, dir string, side igc.Side) *trust.Store {
	t.Helper()
	file := writeStore(t, dir, side, p.Roots(side), p.Intermediates(side))
	s, err := trust.OpenStore(trust.StoreOptions{Name: "trust." + side.String(), Paths: []string{file}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// golang/go#77217: a session must not outlive the CA that vouched for it.
func TestASessionEndsWithItsTrust(t *testing.T) {
	t.Parallel()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		p, other, dir := tlstest.NewPKI(), tlstest.NewPKI(), t.TempDir()
		store := openStore(t, p, dir, igc.EtablissementTLS)
		d := tlstest.OpenDoor(t, tlsconf.ServerOptions{
			Certificate: identity.FixedSource(p.Server(igc.EtablissementTLS, "rpn.test").TLS()),
			Clients:     store,
		}, nil)
		config := tlstest.Client(p, p.Auth(chu, "CH"))
		config.MinVersion, config.MaxVersion = version, version
		config.ClientSessionCache = tls.NewLRUClientSessionCache(8)
		want := func(when, welcome string) {
			t.Helper()
			if _, err := d.Knock(config); err != nil {
				t.Errorf("%s: %v", when, err)
				return
			}
			if got := <-d.Welcomes; got != tls.VersionName(version)+welcome {
				t.Errorf("%s: %s", when, got)
			}
		}
		want("first", "")
		want("second", " resumed")

		writeStore(t, dir, igc.EtablissementTLS, p.Roots(igc.EtablissementTLS), p.Intermediates(igc.EtablissementTLS))
		if changed, err := store.Reload(); changed || err != nil {
			t.Fatal(changed, err)
		}
		want("the same CAs were read again", " resumed")

		writeStore(t, dir, igc.EtablissementTLS, append(p.Roots(igc.EtablissementTLS), other.Roots(igc.EtablissementTLS)...), nil)
		if changed, err := store.Reload(); !changed || err != nil {
			t.Fatal(changed, err)
		}
		want("a CA was added", "")
		want("and again", " resumed")

		writeStore(t, dir, igc.EtablissementTLS, other.Roots(igc.EtablissementTLS), nil)
		if _, err := store.Reload(); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Knock(config); err == nil {
			t.Error("its CA was removed, and it still comes in")
		}
		if f := d.Failure(t); f.Reason != trust.UnknownCA {
			t.Errorf("its CA was removed: %v", f)
		}
	}
}

// A resumed session is verified by the clock of the moment too, and ticket keys
// rotate without losing sessions.
func TestASessionAgesWithTheClock(t *testing.T) {
	t.Parallel()
	p, at := tlstest.NewPKI(), &tlstest.Clock{}
	d := tlstest.OpenDoor(t, tlsconf.ServerOptions{
		Certificate: identity.FixedSource(p.Server(igc.EtablissementTLS, "rpn.test").TLS()),
		Clients:     trust.FixedStore(tlstest.Trust(p, igc.EtablissementTLS)),
		Now:         at.Now,
	}, nil)
	end := time.Now().Add(40 * time.Hour)
	config := tlstest.Client(p, p.Auth(chu, "CH", igc.Valid(time.Now().Add(-time.Hour), end)))
	config.ClientSessionCache = tls.NewLRUClientSessionCache(8)
	want := func(when, welcome string) {
		t.Helper()
		if _, err := d.Knock(config); err != nil {
			t.Errorf("%s: %v", when, err)
			return
		}
		if got := <-d.Welcomes; got != "TLS 1.3"+welcome {
			t.Errorf("%s: %s", when, got)
		}
	}
	want("first", "")
	at.Forward(13 * time.Hour)
	want("after one rotation of the keys", " resumed")
	at.Forward(13 * time.Hour)
	want("a session sealed after it", " resumed")
	config.ClientSessionCache = keepFirst{config.ClientSessionCache}
	at.Forward(13 * time.Hour)
	want("once more", " resumed")
	at.Forward(2 * time.Hour)
	if _, err := d.Knock(config); err == nil {
		t.Error("its certificate has ended, and it still comes in")
	}
	if f := d.Failure(t); f.Reason != trust.Expired {
		t.Error(f)
	}
}

// keepFirst is a client that never takes a newer session.
type keepFirst struct{ tls.ClientSessionCache }

func (keepFirst) Put(string, *tls.ClientSessionState) {}

// A handshake is verified by what the files hold at that moment, the
// certificate we present too.
func TestAReloadIsSeenByTheNextHandshake(t *testing.T) {
	t.Parallel()
	p, dir := tlstest.NewPKI(), t.TempDir()
	certFile, keyFile, err := p.Server(igc.EtablissementTLS, "rpn.test").Write(dir, "rpn")
	if err != nil {
		t.Fatal(err)
	}
	source, err := identity.OpenSource(identity.SourceOptions{Name: "listener", CertFile: certFile, KeyFile: keyFile, Purpose: identity.ForServer})
	if err != nil {
		t.Fatal(err)
	}
	d := tlstest.OpenDoor(t, tlsconf.ServerOptions{Certificate: source, Clients: trust.FixedStore(tlstest.Trust(p, igc.EtablissementTLS))}, nil)
	presented := func() string {
		var serial string
		config := tlstest.Client(p, p.Auth(chu, "CH"))
		config.VerifyConnection = func(cs tls.ConnectionState) error {
			serial = cs.PeerCertificates[0].SerialNumber.String()
			return nil
		}
		if _, err := d.Knock(config); err != nil {
			t.Error(err)
		}
		return serial
	}
	first := presented()

	next := p.Server(igc.EtablissementTLS, "rpn.test", igc.Key("renewed"))
	if err := os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: next.Cert.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	if changed, err := source.Reload(); changed || err == nil || !strings.Contains(err.Error(), keyFile+" is not the private key of "+certFile) {
		t.Errorf("half a renewal: %t, %v", changed, err)
	}
	if got := presented(); got != first {
		t.Error("a bad reload replaced the certificate")
	}
	if _, _, err := next.Write(dir, "rpn"); err != nil {
		t.Fatal(err)
	}
	if changed, err := source.Reload(); !changed || err != nil {
		t.Fatal(changed, err)
	}
	if got := presented(); got != next.Cert.SerialNumber.String() {
		t.Error("the renewed certificate is not presented")
	}
}
