package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/piano-roc/rpn/annuaire"
	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/xmlsig"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A site is a folder with everything `annuaire serve` reads.
type site struct {
	pki *igc.PKI
	dir string
}

const (
	header = "numero_amc;nom;service;version;url;debut;fin\n"
	one    = "0077565712;Mutuelle fictive une;IDB;V1;https://une.example/;2020-01-01;2099-12-31\n"
	two    = "0088888888;Mutuelle fictive deux;IDB;V1;https://deux.example/;2020-01-01;2099-12-31\n"
)

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{igc.New(igc.Options{ECDSA: true}), t.TempDir()}
	s.write(t, "annuaire", s.pki.Server(igc.AMCTLS, "localhost"))
	s.write(t, "signature", s.pki.AMCSigner("2000000018", "ANNUAIRE FICTIF"))
	if err := s.pki.Write(s.dir); err != nil {
		t.Fatal(err)
	}
	s.rows(t, header+one)
	return s
}

func (s *site) write(t *testing.T, name string, p igc.Pair) {
	t.Helper()
	if _, _, err := p.Write(s.dir, name); err != nil {
		t.Fatal(err)
	}
}

func (s *site) rows(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, "lignes.csv"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (s *site) file(name string) string { return filepath.Join(s.dir, name) }

func (s *site) args() []string {
	return []string{"serve", "--listen", "127.0.0.1:0",
		"--cert", s.file("annuaire.pem"), "--key", s.file("annuaire.key"),
		"--client-ca", igc.StoreFile(s.dir, igc.EtablissementTLS),
		"--sign-cert", s.file("signature.pem"), "--sign-key", s.file("signature.key"),
		"--rows", s.file("lignes.csv")}
}

// client asks the annuaire at that address as the RPN does.
func (s *site) client(t *testing.T, addr string) *annuaire.Client {
	t.Helper()
	own := s.pki.Auth("318751275100020", "RPN ROC").TLS()
	trust := xmlsig.NewTrust(trust.NewTrust(s.pki.Roots(igc.AMCSignature), s.pki.Intermediates(igc.AMCSignature)).Signature(nil))
	_, port, _ := net.SplitHostPort(addr)
	c, err := annuaire.NewClient(annuaire.ClientOptions{
		URL: "https://localhost:" + port + "/annuaire",
		Handshake: func(ctx context.Context, conn net.Conn, name string) (*tls.Conn, error) {
			c := tls.Client(conn, &tls.Config{RootCAs: s.pki.Pool(igc.AMCTLS), ServerName: name, Certificates: []tls.Certificate{own}})
			return c, c.HandshakeContext(ctx)
		},
		Verifier: xmlsig.NewVerifier(xmlsig.Options{Trust: func() *xmlsig.Trust { return trust }}),
		Timeout:  time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// log collects the program's log and waits for lines of it.
type log struct {
	mu    sync.Mutex
	text  bytes.Buffer
	grown chan struct{}
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case l.grown <- struct{}{}:
	default:
	}
	return l.text.Write(b)
}

func (l *log) wait(t *testing.T, words string) {
	t.Helper()
	for {
		l.mu.Lock()
		found := strings.Contains(l.text.String(), words)
		l.mu.Unlock()
		if found {
			return
		}
		select {
		case <-l.grown:
		case <-t.Context().Done():
			t.Fatalf("the log never said %q", words)
		}
	}
}

func TestServe(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ctx, stop := context.WithCancel(t.Context())
	hangup := make(chan os.Signal)
	stdout, out := io.Pipe()
	stderr := &log{grown: make(chan struct{}, 1)}
	cmd := command(hangup)
	cmd.SetArgs(s.args())
	cmd.SetOut(out)
	cmd.SetErr(stderr)
	ended := make(chan error, 1)
	go func() {
		err := cmd.ExecuteContext(ctx)
		out.CloseWithError(io.EOF)
		ended <- err
	}()
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("it never listened: %v", <-ended)
	}
	addr := strings.TrimSuffix(strings.TrimPrefix(line, "annuaire: listens on https://"), "/\n")

	c := s.client(t, addr)
	ask := func(amc roc.NumeroAMC) (annuaire.Entry, error) {
		return c.Ask(t.Context(), roc.Key{AMC: amc, Domaine: roc.HOSP, Service: roc.IDB, Version: roc.V1})
	}
	if e, err := ask("0077565712"); err != nil || len(e.Adresses) != 1 || e.Adresses[0].URL != "https://une.example/" {
		t.Errorf("found %+v, %v", e, err)
	}

	s.rows(t, header+"12;illisible\n")
	hangup <- syscall.SIGHUP
	stderr.wait(t, "kept as they were")
	if _, err := ask("0077565712"); err != nil {
		t.Errorf("a bad file of rows changed something: %v", err)
	}

	s.rows(t, header+two)
	hangup <- syscall.SIGHUP
	stderr.wait(t, "read again")
	if _, err := ask("0088888888"); err != nil {
		t.Errorf("the new rows do not serve: %v", err)
	}
	if _, err := ask("0077565712"); !roc.IsRefused(err, roc.UnknownAMC) {
		t.Errorf("the old rows still serve: %v", err)
	}

	c.Close()
	stop()
	if err := <-ended; err != nil {
		t.Errorf("stopped with %v", err)
	}
	if _, err := ask("0088888888"); !roc.IsRefused(err, roc.AnnuaireSilent) {
		t.Errorf("it still answers: %v", err)
	}
}

func TestWhatItIsToldBadly(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() })
	bad := s.file("bad.csv")
	if err := os.WriteFile(bad, []byte("nom\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, flag, value string
		want              []string
	}{
		{"no certificate", "--cert", "", []string{"missing --cert"}},
		{"a certificate that is not there", "--cert", s.file("none.pem"), []string{"--cert", "none.pem"}},
		{"a key of another certificate", "--key", s.file("signature.key"), []string{"--cert and --key", "annuaire.pem"}},
		{"a CA file that is not there", "--client-ca", s.file("none.pem"), []string{"--client-ca", "none.pem"}},
		{"a server certificate that is to sign", "--sign-cert", s.file("annuaire.pem"), []string{"--sign-cert"}},
		{"rows that are not there", "--rows", s.file("none.csv"), []string{"--rows", "none.csv"}},
		{"rows that are bad", "--rows", bad, []string{"--rows", "bad.csv:1", "numero_amc"}},
		{"a port in use", "--listen", taken.Addr().String(), []string{"--listen", taken.Addr().String(), "in use"}},
	} {
		cmd := command(nil)
		args := s.args()
		for i := range args {
			if args[i] == c.flag {
				args[i+1] = c.value
			}
		}
		cmd.SetArgs(args)
		cmd.SetOut(io.Discard)
		cmd.SetErr(io.Discard)
		err := cmd.ExecuteContext(t.Context())
		if err == nil {
			t.Errorf("%s: accepted", c.name)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q does not say %q", c.name, err, w)
			}
		}
	}
}
