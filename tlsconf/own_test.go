package tlsconf_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"os/exec"
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

// openssl runs it; a machine without it fails the test.
func openssl(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("openssl", args...).CombinedOutput(); err != nil {
		t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestPKCS12OfOldAndNewKinds(t *testing.T) {
	t.Parallel()
	p, dir := tlstest.NewPKI(), t.TempDir()
	pair := p.Server(igc.EtablissementTLS, "rpn.test", igc.RSA(2048))
	cert, key, err := pair.Write(dir, "rpn")
	if err != nil {
		t.Fatal(err)
	}
	chain := tlstest.Write(t, filepath.Join(dir, "chain.pem"), tlstest.PEM(p.Roots(igc.EtablissementTLS)[0], p.Intermediates(igc.EtablissementTLS)[0]))
	secret := tlstest.Write(t, filepath.Join(dir, "passphrase"), "mot de passe fictif é\n")
	for _, c := range []struct {
		name string
		args []string
	}{
		{"aes-256, pbkdf2, sha-256: openssl 3", nil},
		{"rc2-40 and 3des, sha-1: what health PKIs hand out", []string{"-legacy"}},
		{"3des for both", []string{"-legacy", "-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1"}},
		{"rc2-40 for both", []string{"-legacy", "-keypbe", "PBE-SHA1-RC2-40", "-certpbe", "PBE-SHA1-RC2-40"}},
		{"with the root and in any order", []string{"-certfile", chain}},
	} {
		file := filepath.Join(dir, "a.p12")
		openssl(t, append([]string{"pkcs12", "-export", "-in", cert, "-inkey", key, "-out", file, "-passout", "file:" + secret}, c.args...)...)
		s, err := identity.OpenSource(identity.SourceOptions{Name: "server", Files: []identity.Files{{PKCS12: file, Passphrase: identity.Passphrase{File: secret}}}})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := s.Certificate(); !got.Leaf.Equal(pair.Cert) || len(got.Certificate) != 2 {
			t.Errorf("%s: %d certificates, leaf %s; want the leaf and its intermediate, without the root", c.name, len(got.Certificate), got.Leaf.Subject)
		}
	}
}

func TestAPassphraseIsInAFileOrACredential(t *testing.T) {
	p, dir := tlstest.NewPKI(), t.TempDir()
	cert, key, err := p.Server(igc.EtablissementTLS, "rpn.test").Write(dir, "rpn")
	if err != nil {
		t.Fatal(err)
	}
	const word = "secret-fictif"
	secret := tlstest.Write(t, filepath.Join(dir, "credentials", "p12"), word)
	wrong := tlstest.Write(t, filepath.Join(dir, "wrong"), "autre")
	file := filepath.Join(dir, "a.p12")
	openssl(t, "pkcs12", "-export", "-in", cert, "-inkey", key, "-out", file, "-passout", "file:"+secret)
	t.Setenv("CREDENTIALS_DIRECTORY", filepath.Join(dir, "credentials"))
	for _, c := range []struct {
		name       string
		passphrase identity.Passphrase
		file, want string
	}{
		{"credential of systemd", identity.Passphrase{Credential: "p12"}, file, ""},
		{"wrong", identity.Passphrase{File: wrong}, file, "wrong: "},
		{"none", identity.Passphrase{}, file, "passphrase_file"},
		{"absent file", identity.Passphrase{File: filepath.Join(dir, "absent")}, file, "no such file"},
		{"credential that climbs", identity.Passphrase{Credential: "../wrong"}, file, "plain name"},
		{"both", identity.Passphrase{File: secret, Credential: "p12"}, file, "not in both"},
		{"not a PKCS#12", identity.Passphrase{File: secret}, cert, "openssl pkcs12 -export"},
	} {
		_, err := identity.OpenSource(identity.SourceOptions{Name: "server", Files: []identity.Files{{PKCS12: c.file, Passphrase: c.passphrase}}})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), strings.TrimSuffix(c.want, ": "))) {
			t.Errorf("%s: %v, want ...%s...", c.name, err, c.want)
		}
		if err != nil && (strings.Contains(err.Error(), word) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%s: the error shows the passphrase or more than a line: %v", c.name, err)
		}
	}
}

// sideBySide is a source with an RSA and an ECDSA certificate, RSA named first.
func sideBySide(t *testing.T, p *igc.PKI, dir string) *identity.Source {
	t.Helper()
	files := func(name string, o igc.Option) identity.Files {
		cert, key, err := p.Server(igc.EtablissementTLS, "rpn.test", o).Write(dir, name)
		if err != nil {
			t.Fatal(err)
		}
		return identity.Files{Certificate: cert, Key: key}
	}
	s, err := identity.OpenSource(identity.SourceOptions{Name: "server", Files: []identity.Files{files("rsa", igc.RSA(2048)), files("ecdsa", igc.ECDSA())}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTheClientGetsTheKindOfKeyItCanCheck(t *testing.T) {
	t.Parallel()
	p, dir := tlstest.NewPKI(), t.TempDir()
	d := tlstest.OpenDoor(t, tlsconf.ServerOptions{Certificate: sideBySide(t, p, dir), Clients: trust.FixedStore(tlstest.Trust(p, igc.EtablissementTLS))}, nil)
	cert, key, err := p.Auth(chu, "CH").Write(dir, "es")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ args, want string }{
		{"-tls1_3", "ECDSA"},
		{"-tls1_2", "ECDSA"},
		{"-tls1_3 -sigalgs rsa_pss_rsae_sha256:RSA+SHA256:ECDSA+SHA384", "RSA-PSS"},
		{"-tls1_3 -sigalgs ecdsa_secp256r1_sha256", "ECDSA"},
		{"-tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256 -sigalgs RSA+SHA256:rsa_pss_rsae_sha256:ECDSA+SHA256", "RSA"},
		{"-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256", "ECDSA"},
		{"-tls1_3 -servername other.test", "ECDSA"}, // the client's to refuse
	} {
		args := append([]string{"s_client", "-connect", d.Addr().String(), "-cert", cert, "-key", key}, strings.Fields(c.args)...)
		cmd := exec.Command("openssl", args...)
		cmd.Stdin = strings.NewReader("")
		out, _ := cmd.CombinedOutput() // what it was shown is what counts
		if !strings.Contains(string(out), "Peer signature type: "+c.want) {
			t.Errorf("%s: no %s\n%s", c.args, c.want, out)
		}
	}
}

func TestTwoOfAKindAreNotSideBySide(t *testing.T) {
	t.Parallel()
	p, dir := tlstest.NewPKI(), t.TempDir()
	var files []identity.Files
	for _, name := range []string{"a", "b"} {
		cert, key, err := p.Server(igc.EtablissementTLS, name+".test").Write(dir, name)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, identity.Files{Certificate: cert, Key: key})
	}
	if _, err := identity.OpenSource(identity.SourceOptions{Name: "server", Files: files}); err == nil || !strings.Contains(err.Error(), "same kind of key") {
		t.Errorf("%v", err)
	}
}

func TestAClientPresentsTheKindThatTheServerCanCheck(t *testing.T) {
	t.Parallel()
	p, dir := tlstest.NewPKI(), t.TempDir()
	var files []identity.Files
	for name, o := range map[string]igc.Option{"rsa": igc.RSA(2048), "ecdsa": igc.ECDSA()} {
		cert, key, err := p.Auth(igc.RPN, "RPN FICTIF", o).Write(dir, name)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, identity.Files{Certificate: cert, Key: key})
	}
	s, err := identity.OpenSource(identity.SourceOptions{Name: "client", Files: files, Purpose: identity.ForClient})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		scheme tls.SignatureScheme
		want   x509.PublicKeyAlgorithm
	}{{tls.ECDSAWithP256AndSHA256, x509.ECDSA}, {tls.PSSWithSHA256, x509.RSA}} {
		got, err := s.GetClientCertificate(&tls.CertificateRequestInfo{Version: tls.VersionTLS13, SignatureSchemes: []tls.SignatureScheme{c.scheme}, AcceptableCAs: [][]byte{{0}}})
		if err != nil || got.Leaf.PublicKeyAlgorithm != c.want {
			t.Errorf("%s: %v, %v", c.scheme, got, err)
		}
	}
}

func TestAReloadThatIsWorseIsRefused(t *testing.T) {
	t.Parallel()
	p, dir := tlstest.NewPKI(), t.TempDir()
	good := p.Server(igc.EtablissementTLS, "rpn.test", igc.Names("rpn-bis.test"))
	certFile, keyFile := filepath.Join(dir, "rpn.pem"), filepath.Join(dir, "rpn.key")
	put := func(pair, key igc.Pair) {
		tlstest.Write(t, certFile, tlstest.PEM(pair.Cert, p.Intermediates(igc.EtablissementTLS)[0]))
		tlstest.Write(t, keyFile, tlstest.KeyPEM(t, key))
	}
	put(good, good)
	s, err := identity.OpenSource(identity.SourceOptions{Name: "server", CertFile: certFile, KeyFile: keyFile})
	if err != nil {
		t.Fatal(err)
	}
	other, expired, fewer := p.Server(igc.EtablissementTLS, "x.test"), p.Server(igc.EtablissementTLS, "rpn.test", igc.Names("rpn-bis.test"), igc.Expired()), p.Server(igc.EtablissementTLS, "rpn.test")
	for _, c := range []struct {
		name      string
		pair, key igc.Pair
		want      string
	}{
		{"key of another", good, other, "is not the private key"},
		{"ended", expired, expired, "ended on"},
		{"a name less", fewer, fewer, "lacks the names rpn-bis.test"},
	} {
		before := s.Certificate()
		put(c.pair, c.key)
		if _, err := s.Prepare(false); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want ...%s...", c.name, err, c.want)
		}
		if s.Certificate() != before {
			t.Errorf("%s: the old certificate is gone", c.name)
		}
	}
	change, err := s.Prepare(true)
	if err != nil || len(change.What) != 2 || !strings.Contains(change.What[0], "CN=rpn.test") {
		t.Fatalf("forced: %q, %v", change.What, err)
	}
	if change.Commit(); !s.Certificate().Leaf.Equal(fewer.Cert) {
		t.Error("forced, and not done")
	}
}

func TestStoresAndCertificatesOfAnotherEnvironmentAreRefused(t *testing.T) {
	t.Parallel()
	p, dir := tlstest.NewPKI(), t.TempDir()
	if err := p.Write(dir); err != nil {
		t.Fatal(err)
	}
	open := func(file string, e trust.Environment) error {
		_, err := trust.OpenStore(trust.StoreOptions{Name: "trust.x", Paths: []string{file}, Environment: e})
		return err
	}
	test := igc.StoreFile(dir, igc.EtablissementTLS)
	if err := open(test, trust.Production); err == nil || !strings.Contains(err.Error(), "not for production") {
		t.Errorf("TEST AC in production: %v", err)
	}
	if err := open(test, trust.Testing); err != nil {
		t.Errorf("TEST AC in a test environment: %v", err)
	}
	// The names of the real root, under a key of ours (domain 4.1).
	real := rootNamed(t, "/C=FR/O=ASIP-SANTE/OU=0002 187512751/OU=IGC-SANTE/CN=AC RACINE IGC-SANTE ELEMENTAIRE", dir)
	if err := open(real, trust.Testing); err == nil || !strings.Contains(err.Error(), "is a production authority") {
		t.Errorf("a production authority in a test environment: %v", err)
	}
	if err := open(real, trust.Production); err != nil {
		t.Errorf("a production authority in production: %v", err)
	}
	both := tlstest.Write(t, filepath.Join(dir, "both.pem"), read(t, real)+read(t, test))
	for _, e := range []trust.Environment{trust.Production, trust.Testing} {
		if open(both, e) == nil {
			t.Errorf("test and production in one store, environment %d: accepted", e)
		}
	}
	cert, key, err := p.Server(igc.EtablissementTLS, "rpn.test").Write(dir, "rpn")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := identity.OpenSource(identity.SourceOptions{Name: "server", CertFile: cert, KeyFile: key, Production: true}); err == nil || !strings.Contains(err.Error(), "not for production") {
		t.Errorf("own certificate of a test authority: %v", err)
	}
}

func rootNamed(t *testing.T, subject, dir string) string {
	t.Helper()
	file := filepath.Join(dir, fmt.Sprintf("root-%d.pem", len(subject)))
	openssl(t, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", os.DevNull, "-out", file,
		"-days", "30", "-subj", subject, "-addext", "keyUsage=critical,keyCertSign,cRLSign")
	return file
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestRulesOfAStore(t *testing.T) {
	t.Parallel()
	p := tlstest.NewPKI()
	pair := p.Auth(chu, "CH", igc.RSA(2048))
	oid := func(parts ...uint64) x509.OID {
		o, err := x509.OIDFromInts(parts)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	igcPolicy := oid(1, 2, 250, 1, 213, 1, 7, 2, 1, 1, 1, 1) // what igc gives every leaf (domain 4.2)
	for _, c := range []struct {
		name  string
		rules trust.Rules
		want  trust.Reason // "": comes in
	}{
		{"none", trust.Rules{}, ""},
		{"its policy", trust.Rules{Policies: []x509.OID{oid(1, 2, 3), igcPolicy}}, ""},
		{"another policy", trust.Rules{Policies: []x509.OID{oid(1, 2, 250, 1, 213, 1, 7, 2, 1, 1, 1)}}, trust.WrongUsage},
		{"rsa 2048", trust.Rules{RSABits: 2048}, ""},
		{"rsa 3072", trust.Rules{RSABits: 3072}, trust.WeakKey},
		{"two CAs", trust.Rules{Depth: 2}, ""},
		{"one CA", trust.Rules{Depth: 1}, trust.UnknownCA},
	} {
		rules := trust.NewTrustWithRules(p.Roots(igc.EtablissementTLS), p.Intermediates(igc.EtablissementTLS), c.rules)
		d := tlstest.OpenDoor(t, tlsconf.ServerOptions{
			Certificate: identity.FixedSource(p.Server(igc.EtablissementTLS, "rpn.test").TLS()), Clients: trust.FixedStore(rules),
		}, nil)
		_, err := d.Knock(tlstest.Client(p, pair))
		if c.want == "" && err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if c.want != "" {
			if f := d.Failure(t); f.Reason != c.want {
				t.Errorf("%s: %v, want %s", c.name, f, c.want)
			}
		}
		// Signatures are asked the same rules.
		if _, _, _, err := rules.Signature(nil).Verify([]*x509.Certificate{pair.Cert}, time.Now()); (err == nil) != (c.want == "") {
			t.Errorf("%s: as a signer: %v", c.name, err)
		}
	}
}
