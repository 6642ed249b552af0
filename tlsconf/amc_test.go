package tlsconf_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/tlsconf"
	"github.com/piano-roc/rpn/tlsconf/identity"
	"github.com/piano-roc/rpn/tlsconf/tlstest"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// server is a TLS server on loopback that is set up as told, and says "ok".
func server(t *testing.T, config *tls.Config) string {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, "ok")
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

func newClient(t *testing.T, p *igc.PKI, servers *trust.Store) *tlsconf.Client {
	t.Helper()
	c, err := tlsconf.NewClient(tlsconf.ClientOptions{
		Certificate: identity.FixedSource(p.Auth(igc.RPN, "RPN FICTIF").TLS()),
		Servers:     servers,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// visit connects, and reads to the end: TLS 1.3 refusals come with the first read.
func visit(c *tlsconf.Client, addr, name string) (tls.ConnectionState, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	raw, err := net.Dial("tcp", addr)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	conn, err := c.Handshake(ctx, raw, name)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer conn.Close()
	_, err = io.ReadAll(conn)
	return conn.ConnectionState(), err
}

// Each server certificate before our client.
func TestToWhomWeConnect(t *testing.T) {
	t.Parallel()
	p := tlstest.NewPKI()
	client := newClient(t, p, trust.FixedStore(tlstest.Trust(p, igc.AMCTLS)))
	with := func(pair igc.Pair) *tls.Config {
		return &tls.Config{
			Certificates: []tls.Certificate{pair.TLS()},
			ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: p.Pool(igc.EtablissementTLS),
		}
	}
	change := func(c *tls.Config, f func(*tls.Config)) *tls.Config { f(c); return c }
	for _, c := range []struct {
		name   string
		config *tls.Config
		want   trust.Reason
		detail string
	}{
		{"good", with(p.Server(igc.AMCTLS, "amc.test")), "", ""},
		{"good rsa", with(p.Server(igc.AMCTLS, "amc.test", igc.RSA(2048))), "", ""},
		{"no key usage", with(p.Server(igc.AMCTLS, "amc.test", igc.NoKU())), "", ""},
		{"leaf alone", with(p.Server(igc.AMCTLS, "amc.test", igc.NoChain())), "", ""},
		{"tls 1.2", change(with(p.Server(igc.AMCTLS, "amc.test")), func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }), "", ""},

		{"another name", with(p.Server(igc.AMCTLS, "autre.test")), trust.BadName, "amc.test"},
		{"expired", with(p.Server(igc.AMCTLS, "amc.test", igc.Expired())), trust.Expired, "ended on"},
		{"not yet valid", with(p.Server(igc.AMCTLS, "amc.test", igc.NotYet())), trust.NotYetValid, "clock"},
		{"other ca", with(p.Server(igc.AMCTLS, "amc.test", igc.OtherCA())), trust.UnknownCA, "root"},
		{"ca of the same name", with(p.Server(igc.AMCTLS, "amc.test", igc.Impostor())), trust.UnknownCA, "root"},
		{"igc-sante instead of osi", with(p.Server(igc.EtablissementTLS, "amc.test")), trust.UnknownCA, "root"},
		{"signature certificate of an amc", with(p.AMCSigner(igc.AMC, "AMC", igc.Names("amc.test"))), trust.UnknownCA, "root"},
		{"made for a client", with(p.Server(igc.AMCTLS, "amc.test", igc.WrongEKU())), trust.WrongUsage, "serverAuth"},
		{"wrong key usage", with(p.Server(igc.AMCTLS, "amc.test", igc.WrongKU())), trust.WrongUsage, "digitalSignature"},
		{"rsa 1024", with(p.Server(igc.AMCTLS, "amc.test", igc.WeakRSA())), trust.WeakKey, "1024"},
		{"sha-1", with(p.Server(igc.AMCTLS, "amc.test", igc.SHA1())), trust.WeakKey, "SHA1"},
		{"tls 1.1", change(with(p.Server(igc.AMCTLS, "amc.test")), func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }), trust.PeerRefused, "protocol version"},
		{"does not accept us", change(with(p.Server(igc.AMCTLS, "amc.test")), func(c *tls.Config) { c.ClientCAs, c.MaxVersion = p.Pool(igc.AMCTLS), tls.VersionTLS12 }), trust.PeerRefused, "our certificate"},
	} {
		_, err := visit(client, server(t, c.config), "amc.test")
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		var f *trust.Failure
		if !errors.As(err, &f) || f.Reason != c.want || !strings.Contains(f.Detail, c.detail) {
			t.Errorf("%s: %v, want %s: ...%s...", c.name, err, c.want, c.detail)
		}
	}
}

func TestAServerThatSaysNothingIsGivenUp(t *testing.T) {
	t.Parallel()
	p := tlstest.NewPKI()
	client := newClient(t, p, trust.FixedStore(tlstest.Trust(p, igc.AMCTLS)))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	raw, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, err = client.Handshake(ctx, raw, "amc.test")
	var f *trust.Failure
	if !errors.As(err, &f) || f.Reason != trust.TimedOut || f.Peer != l.Addr().String() {
		t.Errorf("%v", err)
	}
}

// Our client resumes its sessions, until the AMC's CAs or our certificate change.
func TestOurSessionsEndWithTheirTrust(t *testing.T) {
	t.Parallel()
	p, dir := tlstest.NewPKI(), t.TempDir()
	store := openStore(t, p, dir, igc.AMCTLS)
	certFile, keyFile, err := p.Auth(igc.RPN, "RPN FICTIF").Write(dir, "rpn")
	if err != nil {
		t.Fatal(err)
	}
	source, err := identity.OpenSource(identity.SourceOptions{Name: "client", CertFile: certFile, KeyFile: keyFile, Purpose: identity.ForClient})
	if err != nil {
		t.Fatal(err)
	}
	client, err := tlsconf.NewClient(tlsconf.ClientOptions{Certificate: source, Servers: store})
	if err != nil {
		t.Fatal(err)
	}
	addr := server(t, &tls.Config{
		Certificates: []tls.Certificate{p.Server(igc.AMCTLS, "amc.test").TLS()},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: p.Pool(igc.EtablissementTLS),
	})
	want := func(when string, resumed bool) {
		t.Helper()
		state, err := visit(client, addr, "amc.test")
		if err != nil || state.DidResume != resumed {
			t.Errorf("%s: resumed %t, %v", when, state.DidResume, err)
		}
	}
	want("first", false)
	want("second", true)

	if _, _, err := p.Auth(igc.RPN, "RPN FICTIF").Write(dir, "rpn"); err != nil {
		t.Fatal(err)
	}
	if changed, err := source.Reload(); !changed || err != nil {
		t.Fatal(changed, err)
	}
	want("our certificate was renewed", false)
	want("and again", true)

	other := tlstest.NewPKI()
	writeStore(t, dir, igc.AMCTLS, append(p.Roots(igc.AMCTLS), other.Roots(igc.AMCTLS)...), nil)
	if changed, err := store.Reload(); !changed || err != nil {
		t.Fatal(changed, err)
	}
	want("a CA was added", false)
	want("and again", true)

	writeStore(t, dir, igc.AMCTLS, other.Roots(igc.AMCTLS), nil)
	if _, err := store.Reload(); err != nil {
		t.Fatal(err)
	}
	_, err = visit(client, addr, "amc.test")
	var f *trust.Failure
	if !errors.As(err, &f) || f.Reason != trust.UnknownCA {
		t.Errorf("its CA was removed: %v", err)
	}
}

// The hello of a row with post_quantum: false fits one packet, the first time and
// the next ones: a session's ticket would make it large again.
func TestTheClassicHelloFitsOnePacket(t *testing.T) {
	t.Parallel()
	p := tlstest.NewPKI()
	own := p.Server(igc.AMCTLS, "amc.test").TLS()
	addr := server(t, &tls.Config{Certificates: []tls.Certificate{own}, ClientAuth: tls.RequireAnyClientCert})
	c := newClient(t, p, trust.FixedStore(tlstest.Trust(p, igc.AMCTLS)))
	for round := range 3 {
		for _, classic := range []bool{true, false} {
			raw, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			first, handshake := &firstWrite{Conn: raw}, c.Handshake
			if classic {
				handshake = c.ClassicHandshake
			}
			conn, err := handshake(t.Context(), first, "amc.test")
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, conn) // the ticket comes with what is read
			conn.Close()
			if small := first.bytes <= 1400; small != classic {
				t.Errorf("round %d, classic %v: a ClientHello of %d bytes", round, classic, first.bytes)
			}
		}
	}
}

type firstWrite struct {
	net.Conn
	bytes int
}

func (f *firstWrite) Write(b []byte) (int, error) {
	if f.bytes == 0 {
		f.bytes = len(b)
	}
	return f.Conn.Write(b)
}
