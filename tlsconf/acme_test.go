package tlsconf_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/egress"
	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/tlsconf"
	"github.com/piano-roc/rpn/tlsconf/identity"
	"github.com/piano-roc/rpn/tlsconf/tlstest"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// pebbleDir is removed by TestMain.
var pebbleDir = filepath.Join(os.TempDir(), fmt.Sprintf("rpn-pebble-%d", os.Getpid()))

// buildPebble builds Let's Encrypt's test CA once, at the version that
// tools/go.mod pins.
var buildPebble = sync.OnceValues(func() (string, error) {
	file := filepath.Join(pebbleDir, "pebble")
	out, err := exec.Command("go", "build", "-C", "../tools", "-o", file, "github.com/letsencrypt/pebble/v2/cmd/pebble").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build pebble: %w\n%s", err, out)
	}
	return file, nil
})

// A pebble is a running ACME CA, and the name server it asks.
type pebble struct {
	directory string
	https     []*x509.Certificate // whom its own server is believed by
	manage    string
	client    *http.Client
	stop      func()
}

func startPebble(t *testing.T, challengePort int, validity time.Duration) *pebble {
	t.Helper()
	binary, err := buildPebble()
	if err != nil {
		t.Fatal(err)
	}
	p, dir := tlstest.NewPKI(), t.TempDir()
	cert, key, err := p.Server(igc.AMCTLS, "127.0.0.1").Write(dir, "pebble")
	if err != nil {
		t.Fatal(err)
	}
	acmePort, managePort := freePort(t), freePort(t)
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": fmt.Sprintf("127.0.0.1:%d", acmePort), "managementListenAddress": fmt.Sprintf("127.0.0.1:%d", managePort),
		"certificate": cert, "privateKey": key, "httpPort": challengePort, "tlsPort": challengePort, "keyAlgorithm": "ecdsa",
		"retryAfter": map[string]int{"authz": 1, "order": 1},
		"profiles":   map[string]any{"default": map[string]any{"description": "all", "validityPeriod": int(validity.Seconds())}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var said tlstest.Buffer
	cmd := exec.Command(binary, "-config", tlstest.Write(t, filepath.Join(dir, "pebble.json"), string(config)), "-dnsserver", nameServer(t))
	cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=20") // 20 % of the nonces are refused, as a CA may
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	b := &pebble{
		directory: fmt.Sprintf("https://127.0.0.1:%d/dir", acmePort), https: p.Roots(igc.AMCTLS), manage: fmt.Sprintf("https://127.0.0.1:%d", managePort),
		client: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: p.Pool(igc.AMCTLS)}, DisableKeepAlives: true}},
	}
	b.stop = sync.OnceFunc(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("pebble:\n%s", said.String())
		}
	})
	t.Cleanup(b.stop)
	await.Until(t, "pebble answers", func() bool {
		answer, err := b.client.Get(b.directory)
		if err == nil {
			answer.Body.Close()
		}
		return err == nil
	})
	return b
}

// roots returns who issues: another root at each start.
func (b *pebble) roots(t *testing.T) *x509.CertPool {
	t.Helper()
	answer, err := b.client.Get(b.manage + "/roots/0")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatalf("pebble's root: %s", text)
	}
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(root)
	return pool
}

// nameServer answers 127.0.0.1 to every question for an address.
func nameServer(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") // pebble asks by TCP
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{Listener: l, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		a := new(dns.Msg).SetReply(q)
		if len(q.Question) == 1 && q.Question[0].Qtype == dns.TypeA {
			a.Answer = append(a.Answer, &dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.IPv4(127, 0, 0, 1)})
		}
		w.WriteMsg(a)
	})}
	done := make(chan struct{})
	go func() { defer close(done); server.ActivateAndServe() }()
	t.Cleanup(func() { server.Shutdown(); l.Close(); <-done })
	return l.Addr().String()
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// acmeSource opens a source that obtains its certificates.
func acmeSource(t *testing.T, o identity.ACMEOptions) (*identity.ACME, *identity.Source) {
	t.Helper()
	tunnel, err := (&egress.Filter{Allow: egress.Everywhere()}).OpenTunnel(o.Directory)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tunnel.Close)
	o.Proxy = tunnel.Proxy
	a, err := identity.NewACME(o)
	if err != nil {
		t.Fatal(err)
	}
	s, err := identity.OpenSource(identity.SourceOptions{Name: "server", ACME: a})
	if err != nil {
		t.Fatal(err)
	}
	return a, s
}

func TestCertificatesByACME(t *testing.T) {
	t.Parallel()
	var log tlstest.Buffer
	port := freePort(t)
	ca := startPebble(t, port, 90*24*time.Hour)
	o := identity.ACMEOptions{
		Directory: ca.directory, Roots: ca.https, Names: []string{"rpn.example.test"}, AgreedTerms: true, RSA: true,
		Storage: t.TempDir(), TLSALPN: fmt.Sprintf("127.0.0.1:%d", port), Log: slog.New(slog.NewTextHandler(&log, nil)),
	}
	a, s := acmeSource(t, o)
	if s.Certificate() != nil {
		t.Error("a certificate before Start")
	}
	p := tlstest.NewPKI()
	d := tlstest.OpenDoor(t, tlsconf.ServerOptions{Certificate: s, Clients: trust.FixedStore(tlstest.Trust(p, igc.EtablissementTLS))}, nil)
	config := tlstest.Client(p, p.Auth(chu, "CH"))
	config.RootCAs, config.ServerName = ca.roots(t), "rpn.example.test"
	if _, err := d.Knock(config); err == nil {
		t.Error("somebody came in while there is no certificate")
	}
	if err := a.Start(func() { s.Reload() }); err != nil {
		t.Fatal(err)
	}
	await.Until(t, "an RSA and an ECDSA certificate", func() bool { return len(s.Certificates()) == 2 })
	if _, err := d.Knock(config); err != nil {
		t.Errorf("%v\n%s", err, log.String())
	}
	if k := s.Certificate().Leaf.PublicKeyAlgorithm; k != x509.ECDSA {
		t.Errorf("the preferred one is %s", k)
	}
	a.Stop()

	// After a restart with a CA that is down, what was obtained is still there.
	ca.stop()
	again, s2 := acmeSource(t, o)
	defer again.Stop()
	if len(s2.Certificates()) != 2 || !s2.Certificate().Leaf.Equal(s.Certificate().Leaf) {
		t.Errorf("after a restart: %d certificates", len(s2.Certificates()))
	}
}

func TestACMERenewsByHTTPWhileServing(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	ca := startPebble(t, port, 15*time.Second)
	a, s := acmeSource(t, identity.ACMEOptions{
		Directory: ca.directory, Roots: ca.https, Names: []string{"renewed.example.test"}, AgreedTerms: true,
		Storage: t.TempDir(), HTTP: fmt.Sprintf("127.0.0.1:%d", port), RenewEvery: time.Second, Log: slog.New(slog.DiscardHandler),
	})
	defer a.Stop()
	if err := a.Start(func() { s.Reload() }); err != nil {
		t.Fatal(err)
	}
	await.Until(t, "a certificate", func() bool { return s.Certificate() != nil })
	first := s.Certificate().Leaf
	await.Until(t, "its renewal", func() bool { return !s.Certificate().Leaf.Equal(first) })
	if bytes.Equal(s.Certificate().Leaf.RawSubjectPublicKeyInfo, first.RawSubjectPublicKeyInfo) {
		t.Error("the renewal kept the key")
	}
}

func TestACMEThatCannotWorkIsRefused(t *testing.T) {
	t.Parallel()
	good := identity.ACMEOptions{
		Proxy:     func(*http.Request) (*url.URL, error) { return nil, nil },
		Directory: "https://acme.example/dir", Names: []string{"rpn.example"}, AgreedTerms: true,
		Storage: t.TempDir(), HTTP: "0.0.0.0:80", Log: slog.New(slog.DiscardHandler),
	}
	for _, c := range []struct {
		name   string
		change func(*identity.ACMEOptions)
		want   string
	}{
		{"plain http", func(o *identity.ACMEOptions) { o.Directory = "http://acme.example/dir" }, "https URL"},
		{"no name", func(o *identity.ACMEOptions) { o.Names = nil }, "no name"},
		{"no storage", func(o *identity.ACMEOptions) { o.Storage = "" }, "no storage"},
		{"terms not agreed to", func(o *identity.ACMEOptions) { o.AgreedTerms = false }, "agree_terms"},
		{"two challenges", func(o *identity.ACMEOptions) { o.TLSALPN = "0.0.0.0:443" }, "one of them"},
		{"no challenge", func(o *identity.ACMEOptions) { o.HTTP = "" }, "one of them"},
		{"no port", func(o *identity.ACMEOptions) { o.HTTP = "0.0.0.0" }, "host:port"},
		{"half an account", func(o *identity.ACMEOptions) { o.EABKeyID = "x" }, "both"},
		{"not a name", func(o *identity.ACMEOptions) { o.Names = []string{"not a name"} }, "not a DNS name"},
	} {
		o := good
		c.change(&o)
		if a, err := identity.NewACME(o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want ...%s...", c.name, err, c.want)
			if err == nil {
				a.Stop()
			}
		}
	}
}
