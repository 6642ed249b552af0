package tlsconf_test

import (
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/tlsconf"
	"github.com/piano-roc/rpn/tlsconf/tlstest"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// An outpost is a frontier that a real program knocks at.
type outpost struct {
	*frontier
	dir           string
	host, port    string
	cert, key, ca string
}

// newOutpost answers as an HTTP server does, since curl is among who knocks.
func newOutpost(t *testing.T) *outpost {
	t.Helper()
	f := &outpost{frontier: newFrontier(t, igc.RSA(2048), igc.Names("127.0.0.1")), dir: t.TempDir()}
	if err := f.PKI.Write(f.dir); err != nil {
		t.Fatal(err)
	}
	var err error
	if f.cert, f.key, err = f.PKI.Auth(chu, "CH FICTIF", igc.RSA(2048)).Write(f.dir, "ch"); err != nil {
		t.Fatal(err)
	}
	f.ca = igc.StoreFile(f.dir, es)
	f.Stays.Store(false)
	f.Greet(answer)
	f.host, f.port, _ = net.SplitHostPort(f.Addr().String())
	return f
}

func answer(c *tlsconf.Conn) {
	io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\nbonjour\n")
}

// out puts the establishment on the deny list, as the application does.
func (f *outpost) out() {
	f.deny(1, "structure "+chu)
	f.Server.Sweep(nil)
}

func (f *outpost) next(what <-chan string) string {
	f.t.Helper()
	select {
	case s := <-what:
		return s
	case bad := <-f.Failures:
		f.t.Fatalf("refused: %v", bad)
	case <-time.After(30 * time.Second):
		f.t.Fatal("nobody came in")
	}
	return ""
}

func (f *outpost) refused() trust.Reason {
	f.t.Helper()
	select {
	case bad := <-f.Failures:
		return bad.Reason
	case <-f.Welcomes:
		return "welcomed"
	case <-time.After(30 * time.Second):
		f.t.Fatal("nobody was refused")
	}
	return ""
}

// openssl keeps its session in a file: before the revocation it is resumed,
// after it neither that session nor a new one comes in.
func TestOpenSSLIsNotResumedOnceDenied(t *testing.T) {
	t.Parallel()
	for version, flag := range map[string]string{"TLS 1.2": "-tls1_2", "TLS 1.3": "-tls1_3"} {
		f := newOutpost(t)
		session := filepath.Join(f.dir, "session")
		args := []string{"s_client", "-connect", f.Addr().String(), flag, "-cert", f.cert, "-key", f.key, "-CAfile", f.ca, "-ign_eof", "-sess_out", session}
		if out := tlstest.Run(t, "openssl", args...); f.next(f.Welcomes) != version {
			t.Fatalf("%s: %s", version, out)
		}
		args = append(args, "-sess_in", session)
		out := tlstest.Run(t, "openssl", args...)
		if got := f.next(f.Welcomes); got != version+" resumed" || !strings.Contains(out, "bonjour") {
			t.Errorf("%s, before: %s\n%s", version, got, out)
		}
		f.out()
		if out := tlstest.Run(t, "openssl", args...); f.refused() != trust.Denied || strings.Contains(out, "bonjour") {
			t.Errorf("%s, its session after: \n%s", version, out)
		}
		if out := tlstest.Run(t, "openssl", args[:len(args)-4]...); f.refused() != trust.Denied || strings.Contains(out, "bonjour") {
			t.Errorf("%s, a new one after: \n%s", version, out)
		}
	}
}

// gnutls-cli connects twice and resumes; it is denied between the two.
func TestGnuTLSIsNotResumedOnceDenied(t *testing.T) {
	t.Parallel()
	for version, priority := range map[string]string{"TLS 1.2": "NORMAL:-VERS-ALL:+VERS-TLS1.2", "TLS 1.3": "NORMAL:-VERS-ALL:+VERS-TLS1.3"} {
		for _, denied := range []bool{false, true} {
			f := newOutpost(t)
			args := []string{"--resume", "--waitresumption", "--priority", priority, "--x509cafile", f.ca, "--x509certfile", f.cert, "--x509keyfile", f.key, "--port", f.port, f.host}
			if !denied {
				out := tlstest.Run(t, "gnutls-cli", args...)
				if first, second := f.next(f.Welcomes), f.next(f.Welcomes); first != version || second != version+" resumed" || !strings.Contains(out, "This is a resumed session") {
					t.Errorf("%s: %s, %s\n%s", version, first, second, out)
				}
				continue
			}
			done := make(chan string, 1)
			gate := make(chan struct{})
			f.Greet(func(c *tlsconf.Conn) { <-gate; answer(c) })
			go func() { done <- tlstest.Run(t, "gnutls-cli", args...) }()
			f.next(f.Welcomes)
			f.out()
			close(gate)
			// The change may have come before, in the middle of or after the second
			// handshake: in no case is it served.
			if out := <-done; strings.Contains(out, "bonjour") {
				t.Errorf("%s: served\n%s", version, out)
			}
			await.Until(t, "its connections are closed", func() bool { return f.Server.Open() == 0 })
			for len(f.Welcomes) > 0 {
				<-f.Welcomes
			}
			for len(f.Failures) > 0 {
				<-f.Failures
			}
			if tlstest.Run(t, "gnutls-cli", args[2:]...); f.refused() != trust.Denied { // --waitresumption would wait for ever
				t.Errorf("%s: it comes in afterwards", version)
			}
		}
	}
}

// TLS 1.2 renegotiation, asked by GnuTLS: the door ends the connection.
func TestGnuTLSMayNotRenegotiate(t *testing.T) {
	t.Parallel()
	f := newOutpost(t)
	out := tlstest.Run(t, "gnutls-cli", "--rehandshake", "--priority", "NORMAL:-VERS-ALL:+VERS-TLS1.2", "--x509cafile", f.ca, "--x509certfile", f.cert, "--x509keyfile", f.key, "--port", f.port, f.host)
	if f.next(f.Welcomes) != "TLS 1.2" || !strings.Contains(out, "ReHandshake has failed") {
		t.Error(out)
	}
}

func TestCurlIsOutOnceDenied(t *testing.T) {
	t.Parallel()
	f := newOutpost(t)
	args := []string{"-sS", "--cacert", f.ca, "--cert", f.cert, "--key", f.key, "https://" + f.Addr().String() + "/"}
	if out := tlstest.Run(t, "curl", args...); !strings.Contains(out, "bonjour") {
		t.Fatal(out)
	}
	f.next(f.Welcomes)
	f.out()
	if out := tlstest.Run(t, "curl", args...); f.refused() != trust.Denied || strings.Contains(out, "bonjour") {
		t.Error(out)
	}
}
