package igc_test

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/roc"
)

var keys = igc.NewKeys()

func verify(p *igc.PKI, side igc.Side, pair igc.Pair, eku x509.ExtKeyUsage) error {
	inter := x509.NewCertPool()
	for _, c := range pair.Chain {
		inter.AddCert(c)
	}
	_, err := pair.Cert.Verify(x509.VerifyOptions{Roots: p.Pool(side), Intermediates: inter, KeyUsages: []x509.ExtKeyUsage{eku}})
	return err
}

func TestEachSideIsTrustedByItsOwnRootOnly(t *testing.T) {
	t.Parallel()
	p := igc.New(igc.Options{Keys: keys})
	auth, sign := p.Establishment("1010000008", "CH FICTIF")
	pairs := map[igc.Side]igc.Pair{
		igc.EtablissementTLS:       auth,
		igc.EtablissementSignature: sign,
		igc.AMCTLS:                 p.Server(igc.AMCTLS, "amc.test"),
		igc.AMCSignature:           p.AMCSigner(igc.AMC, "AMC FICTIVE"),
	}
	for side, pair := range pairs {
		for store := range pairs {
			err := verify(p, store, pair, x509.ExtKeyUsageAny)
			if (err == nil) != (store == side) {
				t.Errorf("certificate of %s against the roots of %s: %v", side, store, err)
			}
		}
	}
}

func TestAnEstablishmentLooksLikeIGCSante(t *testing.T) {
	t.Parallel()
	p := igc.New(igc.Options{Keys: keys})
	auth, sign := p.Establishment("1010000008", "CH FICTIF", igc.CN("rpps.tra.henix;asipsante.fr"))

	for name, c := range map[string]*x509.Certificate{"auth": auth.Cert, "sign": sign.Cert} {
		if id, err := roc.StructureOfCertificate(c); err != nil || id != "1010000008" {
			t.Errorf("%s: structure %q, %v", name, id, err)
		}
		if c.Subject.CommonName != "rpps.tra.henix;asipsante.fr" {
			t.Errorf("%s: CN %q", name, c.Subject.CommonName)
		}
		if got := c.SignatureAlgorithm; got != x509.ECDSAWithSHA256 {
			t.Errorf("%s: signed with %s", name, got)
		}
		if !strings.Contains(c.Issuer.CommonName, "TEST") {
			t.Errorf("%s: the issuer is not called TEST: %s", name, c.Issuer)
		}
	}
	if auth.Cert.KeyUsage != x509.KeyUsageDigitalSignature || auth.Cert.ExtKeyUsage[0] != x509.ExtKeyUsageClientAuth {
		t.Errorf("auth: usages %v %v", auth.Cert.KeyUsage, auth.Cert.ExtKeyUsage)
	}
	if sign.Cert.KeyUsage != x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment || sign.Cert.ExtKeyUsage[0] != x509.ExtKeyUsageEmailProtection {
		t.Errorf("sign: usages %v %v", sign.Cert.KeyUsage, sign.Cert.ExtKeyUsage)
	}
	// C, ST, O, OU, CN, in this order (domain 4.2).
	var order []string
	for _, a := range auth.Cert.Subject.Names {
		order = append(order, a.Type.String())
	}
	if got := strings.Join(order, " "); got != "2.5.4.6 2.5.4.8 2.5.4.10 2.5.4.11 2.5.4.3" {
		t.Errorf("order of the subject: %s", got)
	}
}

func TestTheWrittenPKIIsReadBackAndOpenSSLAgrees(t *testing.T) {
	t.Parallel()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Fatal("openssl is needed: apt-get install openssl")
	}
	dir := t.TempDir()
	p := igc.New(igc.Options{Keys: keys})
	if err := p.Write(dir); err != nil {
		t.Fatal(err)
	}
	p, err = igc.Open(dir, igc.Options{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile, err := p.Auth("1010000008", "CH FICTIF").Write(dir, "ch")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tls.LoadX509KeyPair(certFile, keyFile); err != nil {
		t.Error(err)
	}
	out, err := exec.Command(openssl, "verify", "-x509_strict", "-purpose", "sslclient",
		"-CAfile", igc.StoreFile(dir, igc.EtablissementTLS), certFile).CombinedOutput()
	if err != nil {
		t.Errorf("openssl verify: %v\n%s", err, out)
	}
	files, err := filepath.Glob(filepath.Join(dir, "autorites", "*.key"))
	if err != nil || len(files) != 8 {
		t.Fatalf("%d CA keys, want 8 (%v)", len(files), err)
	}
	for _, f := range append(files, keyFile) {
		if info, err := os.Stat(f); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", f, info.Mode(), err)
		}
	}
}

// Each bad one is bad in its own way, and only in that way.
func TestVariants(t *testing.T) {
	t.Parallel()
	p := igc.New(igc.Options{Keys: keys, ECDSA: true})
	for _, c := range []struct {
		name string
		pair igc.Pair
		want string // part of x509's complaint; "": none
	}{
		{"good", p.Auth("1010000008", "CH"), ""},
		{"ecdsa", p.Auth("1010000008", "CH", igc.ECDSA()), ""},
		{"semicolon", p.Auth("1010000008", "CH", igc.CN("a;b")), ""},
		{"expired", p.Auth("1010000008", "CH", igc.Expired()), "after"},
		{"not yet", p.Auth("1010000008", "CH", igc.NotYet()), "before"},
		{"wrong eku", p.Auth("1010000008", "CH", igc.WrongEKU()), "incompatible key usage"},
		{"other ca", p.Auth("1010000008", "CH", igc.OtherCA()), "unknown authority"},
		{"impostor", p.Auth("1010000008", "CH", igc.Impostor()), "unknown authority"},
		{"self-signed", p.Auth("1010000008", "CH", igc.SelfSigned()), "unknown authority"},
		{"sha1", p.Auth("1010000008", "CH", igc.SHA1()), "SHA1"},
		{"no chain", p.Auth("1010000008", "CH", igc.NoChain()), "unknown authority"},
	} {
		err := verify(p, igc.EtablissementTLS, c.pair, x509.ExtKeyUsageClientAuth)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	if _, err := roc.StructureOfCertificate(p.Auth("1010000008", "CH", igc.TwoOUs("1020000009")).Cert); err == nil {
		t.Error("two structure ids pass for one")
	}
	if _, err := roc.StructureOfCertificate(p.Auth("1010000008", "CH", igc.NoOU()).Cert); err == nil {
		t.Error("no structure id passes for one")
	}
	at := time.Date(2031, 2, 3, 4, 5, 6, 0, time.UTC)
	old := igc.New(igc.Options{Keys: keys, ECDSA: true, Now: func() time.Time { return at }})
	if c := old.Auth("1010000008", "CH").Cert; at.Before(c.NotBefore) || at.After(c.NotAfter) {
		t.Errorf("valid %s to %s, not at %s", c.NotBefore, c.NotAfter, at)
	}
}
