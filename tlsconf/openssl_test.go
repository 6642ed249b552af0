package tlsconf_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
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

// What another implementation gets from the door: versions, suites, what the
// CertificateRequest names.
func TestOpenSSLAtTheDoor(t *testing.T) {
	t.Parallel()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Fatal("openssl is needed: apt-get install openssl")
	}
	p, dir := tlstest.NewPKI(), t.TempDir()
	if err := p.Write(dir); err != nil {
		t.Fatal(err)
	}
	certFile, keyFile, err := p.Auth(chu, "CH FICTIF", igc.RSA(2048)).Write(dir, "ch")
	if err != nil {
		t.Fatal(err)
	}
	servers := map[string]*tlstest.Door{
		"ecdsa": tlstest.OpenDoor(t, tlsconf.ServerOptions{
			Certificate: identity.FixedSource(p.Server(igc.EtablissementTLS, "rpn.test").TLS()),
			Clients:     trust.FixedStore(tlstest.Trust(p, igc.EtablissementTLS)),
		}, nil),
		"rsa": tlstest.OpenDoor(t, tlsconf.ServerOptions{
			Certificate: identity.FixedSource(p.Server(igc.EtablissementTLS, "rpn.test", igc.RSA(2048)).TLS()),
			Clients:     trust.FixedStore(tlstest.Trust(p, igc.EtablissementTLS)),
		}, nil),
	}
	// -cipher ALL:@SECLEVEL=0 lets openssl offer what it no longer does by itself.
	const all = "ALL:@SECLEVEL=0"
	for _, c := range []struct {
		name, server string
		args         []string
		want         string // in what openssl says; "": refused
	}{
		{"tls 1.3", "ecdsa", []string{"-tls1_3"}, "New, TLSv1.3"},
		{"tls 1.3 chacha", "ecdsa", []string{"-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"}, "TLS_CHACHA20_POLY1305_SHA256"},
		{"tls 1.3 p-256", "rsa", []string{"-tls1_3", "-groups", "P-256"}, "prime256v1"},
		{"tls 1.2 ecdsa aes-256", "ecdsa", []string{"-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"}, "ECDHE-ECDSA-AES256-GCM-SHA384"},
		{"tls 1.2 ecdsa aes-128", "ecdsa", []string{"-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"}, "ECDHE-ECDSA-AES128-GCM-SHA256"},
		{"tls 1.2 ecdsa chacha", "ecdsa", []string{"-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"}, "ECDHE-ECDSA-CHACHA20-POLY1305"},
		{"tls 1.2 rsa aes-256", "rsa", []string{"-tls1_2", "-cipher", "ECDHE-RSA-AES256-GCM-SHA384"}, "ECDHE-RSA-AES256-GCM-SHA384"},
		{"tls 1.2 rsa aes-128", "rsa", []string{"-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"}, "ECDHE-RSA-AES128-GCM-SHA256"},
		{"tls 1.2 rsa chacha", "rsa", []string{"-tls1_2", "-cipher", "ECDHE-RSA-CHACHA20-POLY1305"}, "ECDHE-RSA-CHACHA20-POLY1305"},
		{"http/1.1 by alpn", "ecdsa", []string{"-alpn", "h2,http/1.1"}, "ALPN protocol: http/1.1"},
		{"our CAs are named to the client", "ecdsa", nil, "CN = TEST AC IGC-SANTE FICTIVE ORGANISATIONS AUTHENTIFICATION"},

		{"tls 1.1", "rsa", []string{"-tls1_1", "-cipher", all}, ""},
		{"tls 1.0", "rsa", []string{"-tls1", "-cipher", all}, ""},
		{"static rsa", "rsa", []string{"-tls1_2", "-cipher", "AES128-GCM-SHA256:AES256-SHA:@SECLEVEL=0"}, ""},
		{"cbc", "rsa", []string{"-tls1_2", "-cipher", "ECDHE-RSA-AES256-SHA384:ECDHE-RSA-AES128-SHA:@SECLEVEL=0"}, ""},
		{"dhe", "rsa", []string{"-tls1_2", "-cipher", "DHE-RSA-AES256-GCM-SHA384:@SECLEVEL=0"}, ""},
		{"sha-1 handshake signatures", "rsa", []string{"-tls1_2", "-sigalgs", "RSA+SHA1", "-cipher", all}, ""},
		{"http/2 only", "rsa", []string{"-alpn", "h2"}, ""},
	} {
		d := servers[c.server]
		args := append([]string{"s_client", "-connect", d.Addr().String(), "-servername", "rpn.test", "-verify_hostname", "rpn.test",
			"-verify_return_error", "-CAfile", igc.StoreFile(dir, igc.EtablissementTLS), "-cert", certFile, "-key", keyFile,
			"-cert_chain", filepath.Join(dir, "autorites", igc.EtablissementTLS.String()+"-intermediaire.pem"), "-ign_eof"}, c.args...)
		out := tlstest.Run(t, openssl, args...)
		greeted := strings.Contains(out, "bonjour auth."+chu)
		if c.want == "" {
			if greeted {
				t.Errorf("%s: accepted\n%s", c.name, out)
				continue
			}
			if f := d.Failure(t); f.Reason != trust.Protocol && f.Reason != trust.NoCommonSuite {
				t.Errorf("%s: %v", c.name, f)
			}
			continue
		}
		if !greeted || !strings.Contains(out, c.want) {
			t.Errorf("%s: want %q\n%s", c.name, c.want, out)
		}
	}

	d := servers["rsa"]
	out := tlstest.Run(t, openssl, "s_client", "-connect", d.Addr().String(), "-CAfile", igc.StoreFile(dir, igc.EtablissementTLS), "-ign_eof")
	if f := d.Failure(t); f.Reason != trust.NoCertificate || !strings.Contains(out, "certificate required") {
		t.Errorf("without a certificate: %v\n%s", f, out)
	}
}

// TLS 1.2 renegotiation would change who the peer is in the middle of a
// connection: the door ends it instead.
func TestOpenSSLMayNotRenegotiate(t *testing.T) {
	t.Parallel()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Fatal("openssl is needed: apt-get install openssl")
	}
	p, dir := tlstest.NewPKI(), t.TempDir()
	certFile, keyFile, err := p.Auth(chu, "CH FICTIF").Write(dir, "ch")
	if err != nil {
		t.Fatal(err)
	}
	d := tlstest.GoodDoor(t, p)
	d.Stays.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, openssl, "s_client", "-connect", d.Addr().String(), "-tls1_2", "-cert", certFile, "-key", keyFile)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.Contains(lines.Text(), "bonjour") {
	}
	io.WriteString(in, "R\n")
	rest, _ := io.ReadAll(out)
	if err := cmd.Wait(); err == nil || !strings.Contains(errs.String(), "alert") {
		t.Errorf("renegotiation: %v\n%s\n%s", err, rest, errs.String())
	}
	if ctx.Err() != nil {
		t.Error("the connection was not ended")
	}
}
