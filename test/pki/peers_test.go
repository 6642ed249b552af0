package pki

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/tlsconf/revocation"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// A frontier is a door that a real program knocks at, and the deny list.
type frontier struct {
	*door
	t             *testing.T
	dir           string
	host, port    string
	cert, key, ca string
	r             *revocation.Checker
	private       ed25519.PrivateKey
	sequence      uint64
}

func newFrontier(t *testing.T) *frontier {
	t.Helper()
	pki := igc.New(igc.Options{Keys: keys, ECDSA: true})
	f := &frontier{t: t, dir: t.TempDir()}
	if err := pki.Write(f.dir); err != nil {
		t.Fatal(err)
	}
	var err error
	if f.cert, f.key, err = pki.Auth(structure, "CH FICTIF", igc.RSA(2048)).Write(f.dir, "ch"); err != nil {
		t.Fatal(err)
	}
	f.ca = igc.StoreFile(f.dir, igc.EtablissementTLS)
	if _, f.private, err = ed25519.GenerateKey(rand.Reader); err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(f.private.Public())
	if err != nil {
		t.Fatal(err)
	}
	signer := filepath.Join(f.dir, "signer.pem")
	if err := os.WriteFile(signer, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	f.r, err = revocation.Open(t.Context(), revocation.Options{
		Authorities: func() []*x509.Certificate { return pki.Roots(igc.EtablissementTLS) },
		Log:         quiet, Deny: &revocation.DenyOptions{File: filepath.Join(f.dir, "deny"), Signers: []string{signer}},
	})
	if err != nil {
		t.Fatal(err)
	}
	f.door = openDoor(t, pki, f.r, igc.RSA(2048))
	f.host, f.port, _ = net.SplitHostPort(f.Addr().String())
	return f
}

func (f *frontier) deny() {
	f.t.Helper()
	f.sequence++
	list, err := revocation.SignDenyList([]byte("structure "+string(structure)), f.sequence, time.Now(), f.private)
	if err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(f.dir, "deny"), list, 0o600); err != nil {
		f.t.Fatal(err)
	}
	if err := f.r.Reload(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
	f.server.Sweep(nil)
}

func (f *frontier) next(what <-chan string) string {
	f.t.Helper()
	select {
	case s := <-what:
		return s
	case bad := <-f.failures:
		f.t.Fatalf("refused: %v", bad)
	case <-time.After(30 * time.Second):
		f.t.Fatal("nobody came in")
	}
	return ""
}

func (f *frontier) refused() trust.Reason {
	f.t.Helper()
	select {
	case bad := <-f.failures:
		return bad.Reason
	case <-f.made:
		return "welcomed"
	case <-time.After(30 * time.Second):
		f.t.Fatal("nobody was refused")
	}
	return ""
}

func run(t *testing.T, stdin, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is needed: make deps", name)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, _ := cmd.CombinedOutput() // its exit status says less than its words
	return string(bytes.ToValidUTF8(out, []byte("?")))
}

// openssl keeps its session in a file: before the revocation it is resumed,
// after it neither that session nor a new one comes in.
func TestOpenSSLIsNotResumedOnceDenied(t *testing.T) {
	t.Parallel()
	for version, flag := range map[string]string{"TLS 1.2": "-tls1_2", "TLS 1.3": "-tls1_3"} {
		f := newFrontier(t)
		session := filepath.Join(f.dir, "session")
		args := []string{"s_client", "-connect", f.Addr().String(), flag, "-cert", f.cert, "-key", f.key, "-CAfile", f.ca, "-ign_eof", "-sess_out", session}
		if out := run(t, "", "openssl", args...); f.next(f.made) != version {
			t.Fatalf("%s: %s", version, out)
		}
		args = append(args, "-sess_in", session)
		out := run(t, "", "openssl", args...)
		if got := f.next(f.made); got != version+" resumed" || !strings.Contains(out, "bonjour") {
			t.Errorf("%s, before: %s\n%s", version, got, out)
		}
		f.deny()
		if out := run(t, "", "openssl", args...); f.refused() != trust.Denied || strings.Contains(out, "bonjour") {
			t.Errorf("%s, its session after: \n%s", version, out)
		}
		if out := run(t, "", "openssl", args[:len(args)-4]...); f.refused() != trust.Denied || strings.Contains(out, "bonjour") {
			t.Errorf("%s, a new one after: \n%s", version, out)
		}
	}
}

// gnutls-cli connects twice and resumes; it is denied between the two.
func TestGnuTLSIsNotResumedOnceDenied(t *testing.T) {
	t.Parallel()
	for version, priority := range map[string]string{"TLS 1.2": "NORMAL:-VERS-ALL:+VERS-TLS1.2", "TLS 1.3": "NORMAL:-VERS-ALL:+VERS-TLS1.3"} {
		for _, denied := range []bool{false, true} {
			f := newFrontier(t)
			args := []string{"--resume", "--waitresumption", "--priority", priority, "--x509cafile", f.ca, "--x509certfile", f.cert, "--x509keyfile", f.key, "--port", f.port, f.host}
			if !denied {
				out := run(t, "", "gnutls-cli", args...)
				if first, second := f.next(f.made), f.next(f.made); first != version || second != version+" resumed" || !strings.Contains(out, "This is a resumed session") {
					t.Errorf("%s: %s, %s\n%s", version, first, second, out)
				}
				continue
			}
			done := make(chan string, 1)
			gate := f.holdWhoComes()
			go func() { done <- run(t, "", "gnutls-cli", args...) }()
			f.next(f.made)
			f.deny()
			close(gate)
			// The change may have come before, in the middle of or after the second
			// handshake: in no case is it served.
			if out := <-done; strings.Contains(out, "bonjour") {
				t.Errorf("%s: served\n%s", version, out)
			}
			await.Until(t, "its connections are closed", func() bool { return f.server.Open() == 0 })
			for len(f.made) > 0 {
				<-f.made
			}
			for len(f.failures) > 0 {
				<-f.failures
			}
			if run(t, "", "gnutls-cli", args[2:]...); f.refused() != trust.Denied { // --waitresumption would wait for ever
				t.Errorf("%s: it comes in afterwards", version)
			}
		}
	}
}

// TLS 1.2 renegotiation, asked by GnuTLS: the door ends the connection.
func TestGnuTLSMayNotRenegotiate(t *testing.T) {
	t.Parallel()
	f := newFrontier(t)
	out := run(t, "", "gnutls-cli", "--rehandshake", "--priority", "NORMAL:-VERS-ALL:+VERS-TLS1.2", "--x509cafile", f.ca, "--x509certfile", f.cert, "--x509keyfile", f.key, "--port", f.port, f.host)
	if f.next(f.made) != "TLS 1.2" || !strings.Contains(out, "ReHandshake has failed") {
		t.Error(out)
	}
}

func TestCurlIsOutOnceDenied(t *testing.T) {
	t.Parallel()
	f := newFrontier(t)
	args := []string{"-sS", "--cacert", f.ca, "--cert", f.cert, "--key", f.key, "https://" + f.Addr().String() + "/"}
	if out := run(t, "", "curl", args...); !strings.Contains(out, "bonjour") {
		t.Fatal(out)
	}
	f.next(f.made)
	f.deny()
	if out := run(t, "", "curl", args...); f.refused() != trust.Denied || strings.Contains(out, "bonjour") {
		t.Error(out)
	}
}
