package tlsconf_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/tlsconf/identity"
	"github.com/piano-roc/rpn/tlsconf/tlstest"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

func TestTrustStoresFromFiles(t *testing.T) {
	t.Parallel()
	p, dir := tlstest.NewPKI(), t.TempDir()
	roots, inter := p.Roots(igc.EtablissementTLS), p.Intermediates(igc.EtablissementTLS)
	leaf := p.Auth(chu, "CH")
	for _, c := range []struct {
		name  string
		files map[string]string
		want  string // part of the error; "": read
	}{
		{"root and intermediate", map[string]string{"a.pem": tlstest.PEM(roots[0], inter[0])}, ""},
		{"der, as IGC-Sante publishes them", map[string]string{"a.cer": string(roots[0].Raw), "b.cer": string(inter[0].Raw)}, ""},
		{"twice the same", map[string]string{"a.pem": tlstest.PEM(roots[0]), "b.crt": tlstest.PEM(roots[0])}, ""},
		{"other files beside", map[string]string{"a.pem": tlstest.PEM(roots[0]), "README": "?", "a.pem.bak": "?", ".hidden.pem": "?"}, ""},

		{"empty folder", nil, "holds no certificate file"},
		{"not a certificate", map[string]string{"a.pem": "hello"}, "a.pem: holds no certificate"},
		{"broken certificate", map[string]string{"a.pem": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}, "a.pem: line 1: certificate 1 cannot be read"},
		{"leaf", map[string]string{"a.pem": tlstest.PEM(roots[0], leaf.Cert)}, "a.pem: C=FR, ST=Paris (75), O=CH, OU=1010000008, CN=auth.1010000008.test: is not a CA"},
		{"private key", map[string]string{"a.pem": tlstest.PEM(roots[0]) + tlstest.KeyPEM(t, leaf)}, "a.pem: holds a private key"},
		{"no root", map[string]string{"a.pem": tlstest.PEM(inter[0])}, "holds no root"},
		{"intermediate of another root", map[string]string{"a.pem": tlstest.PEM(roots[0], p.Intermediates(igc.AMCTLS)[0])}, "is not in this store"},
		{"one bad file among good ones", map[string]string{"a.pem": tlstest.PEM(roots[0]), "b.pem": "?"}, "b.pem: holds no certificate"},
	} {
		folder := filepath.Join(dir, strings.ReplaceAll(c.name, " ", "-"))
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		for name, text := range c.files {
			tlstest.Write(t, filepath.Join(folder, name), text)
		}
		s, err := trust.OpenStore(trust.StoreOptions{Name: "trust.etablissements_tls", Paths: []string{folder}})
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want == "" && len(s.Trust().Roots()) != 1:
			t.Errorf("%s: %d roots", c.name, len(s.Trust().Roots()))
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "trust.etablissements_tls")):
			t.Errorf("%s: %v, want ...%s...", c.name, err, c.want)
		}
	}
	far := func() time.Time { return time.Now().AddDate(30, 0, 0) }
	file := tlstest.Write(t, filepath.Join(dir, "old.pem"), tlstest.PEM(roots[0]))
	if _, err := trust.OpenStore(trust.StoreOptions{Name: "x", Paths: []string{file}, Now: far}); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("an expired root: %v", err)
	}
}

func TestTheFourStoresSayAllThatIsWrong(t *testing.T) {
	t.Parallel()
	p, dir := tlstest.NewPKI(), t.TempDir()
	if err := p.Write(dir); err != nil {
		t.Fatal(err)
	}
	paths := func(s igc.Side) []string { return []string{igc.StoreFile(dir, s)} }
	good := trust.StorePaths{
		EtablissementTLS: paths(igc.EtablissementTLS), EtablissementSignature: paths(igc.EtablissementSignature),
		AMCTLS: paths(igc.AMCTLS), AMCSignature: paths(igc.AMCSignature),
	}
	plain := func(_ string, o trust.StoreOptions) trust.StoreOptions { return o }
	stores, err := trust.OpenStores("trust.", good, plain)
	if err != nil {
		t.Fatal(err)
	}
	before, signature := stores.AMCTLS.Trust(), stores.AMCSignature.Trust()
	tlstest.Write(t, igc.StoreFile(dir, igc.AMCTLS), "?")
	tlstest.Write(t, igc.StoreFile(dir, igc.AMCSignature), tlstest.PEM(tlstest.NewPKI().Roots(igc.AMCSignature)...))
	if _, err := stores.Prepare(false); err == nil || !strings.Contains(err.Error(), "trust.amc_tls") {
		t.Errorf("reload: %v", err)
	}
	if stores.AMCTLS.Trust() != before || stores.AMCSignature.Trust() != signature {
		t.Error("a bad file replaced a store, or a good one was read beside it: all or none")
	}
	tlstest.Write(t, igc.StoreFile(dir, igc.AMCTLS), tlstest.PEM(p.Roots(igc.AMCTLS)...))
	change, err := stores.Prepare(false)
	if err != nil || len(change.What) != 4 || stores.AMCSignature.Trust() != signature {
		t.Fatalf("%q, %v, want two authorities that go, one that comes and one that goes, and nothing done yet", change.What, err)
	}
	if change.Commit(); stores.AMCSignature.Trust() == signature || stores.AMCTLS.Trust() == before {
		t.Error("the change was not made")
	}

	bad := good
	bad.EtablissementTLS, bad.AMCSignature = nil, []string{filepath.Join(dir, "absent.pem")}
	_, err = trust.OpenStores("trust.", bad, plain)
	for _, want := range []string{"trust.etablissements_tls: no file is configured", "trust.amc_signature", "absent.pem: no such file"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want ...%s...", err, want)
		}
	}
}

func TestOwnCertificatesFromFiles(t *testing.T) {
	t.Parallel()
	p, dir := tlstest.NewPKI(), t.TempDir()
	good := p.Server(igc.EtablissementTLS, "rpn.test")
	ca := p.Intermediates(igc.EtablissementTLS)[0]
	cert, key := tlstest.PEM(good.Cert, ca), tlstest.KeyPEM(t, good)
	const encrypted = "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00000000000000000000000000000000\n\nAAAA\n-----END EC PRIVATE KEY-----\n"
	for _, c := range []struct {
		name, cert, key string
		purpose         identity.Purpose
		want            string
	}{
		{"good", cert, key, identity.ForServer, ""},
		{"key in the same file", cert + key, cert + key, identity.ForServer, ""},
		{"client", tlstest.PEM(p.Auth(chu, "CH").Cert), tlstest.KeyPEM(t, p.Auth(chu, "CH")), identity.ForClient, ""},
		{"signature", tlstest.PEM(p.Sign(chu, "CH").Cert), tlstest.KeyPEM(t, p.Sign(chu, "CH")), identity.ForSignature, ""},

		{"key of another", cert, tlstest.KeyPEM(t, p.Auth(chu, "CH")), identity.ForServer, "is not the private key of"},
		{"ca first", tlstest.PEM(ca, good.Cert), key, identity.ForServer, "must come first"},
		{"swapped", key, cert, identity.ForServer, "swapped"},
		{"no key", cert, "hello", identity.ForServer, "key.pem: holds no private key"},
		{"encrypted key", cert, encrypted, identity.ForServer, "is encrypted"},
		{"encrypted pkcs8 key", cert, "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", identity.ForServer, "is encrypted"},
		{"broken key", cert, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", identity.ForServer, "cannot be read"},
		{"expired", tlstest.PEM(p.Server(igc.EtablissementTLS, "rpn.test", igc.Expired()).Cert), key, identity.ForServer, "ended on"},
		{"not yet valid", tlstest.PEM(p.Server(igc.EtablissementTLS, "rpn.test", igc.NotYet()).Cert), key, identity.ForServer, "check the clock"},
		{"client certificate on the listener", tlstest.PEM(p.Auth(chu, "CH").Cert), tlstest.KeyPEM(t, p.Auth(chu, "CH")), identity.ForServer, "lacks serverAuth"},
		{"signature certificate toward the amc", tlstest.PEM(p.Sign(chu, "CH").Cert), tlstest.KeyPEM(t, p.Sign(chu, "CH")), identity.ForClient, "lacks clientAuth"},
		{"rsa 1024", tlstest.PEM(p.Server(igc.EtablissementTLS, "rpn.test", igc.WeakRSA()).Cert), tlstest.KeyPEM(t, p.Server(igc.EtablissementTLS, "rpn.test", igc.WeakRSA())), identity.ForServer, "1024 bits"},
	} {
		folder := filepath.Join(dir, strings.ReplaceAll(c.name, " ", "-"))
		_, err := identity.OpenSource(identity.SourceOptions{
			Name:     "listener.certificate",
			CertFile: tlstest.Write(t, filepath.Join(folder, "cert.pem"), c.cert),
			KeyFile:  tlstest.Write(t, filepath.Join(folder, "key.pem"), c.key),
			Purpose:  c.purpose,
		})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%s: %v, want ...%s...", c.name, err, c.want)
		}
		if err != nil && !strings.Contains(err.Error(), folder) {
			t.Errorf("%s: the error names no file: %v", c.name, err)
		}
	}
	_, err := identity.OpenSource(identity.SourceOptions{Name: "listener.certificate", CertFile: filepath.Join(dir, "absent.pem"), KeyFile: "x"})
	if err == nil || !strings.Contains(err.Error(), "absent.pem: no such file") {
		t.Errorf("absent file: %v", err)
	}
}
