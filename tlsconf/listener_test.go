package tlsconf_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/tlsconf"
	"github.com/piano-roc/rpn/tlsconf/identity"
	"github.com/piano-roc/rpn/tlsconf/tlstest"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// Each client certificate at the door of the RPN, in TLS 1.2 and 1.3.
func TestWhoMayConnect(t *testing.T) {
	t.Parallel()
	p := tlstest.NewPKI()
	d := tlstest.GoodDoor(t, p)
	for _, c := range []struct {
		name string
		pair igc.Pair
		want trust.Reason // "": accepted
	}{
		{"good", p.Auth(chu, "CH"), ""},
		{"good rsa 2048", p.Auth(chu, "CH", igc.RSA(2048)), ""},
		{"semicolon in the cn", p.Auth(chu, "CH", igc.CN("rpps.tra.henix;asipsante.fr")), ""},
		{"leaf alone, its intermediate is in our store", p.Auth(chu, "CH", igc.NoChain()), ""},
		{"no structure id: the register answers that", p.Auth(chu, "CH", igc.NoOU()), ""},

		{"expired", p.Auth(chu, "CH", igc.Expired()), trust.Expired},
		{"not yet valid", p.Auth(chu, "CH", igc.NotYet()), trust.NotYetValid},
		{"other ca", p.Auth(chu, "CH", igc.OtherCA()), trust.UnknownCA},
		{"ca of the same name", p.Auth(chu, "CH", igc.Impostor()), trust.UnknownCA},
		{"self-signed", p.Auth(chu, "CH", igc.SelfSigned()), trust.UnknownCA},
		{"signature certificate", p.Sign(chu, "CH"), trust.UnknownCA},
		{"server of an amc", p.Server(igc.AMCTLS, "amc.test"), trust.UnknownCA},
		{"wrong extended key usage", p.Auth(chu, "CH", igc.WrongEKU()), trust.WrongUsage},
		{"no extended key usage", p.Auth(chu, "CH", igc.NoEKU()), trust.WrongUsage},
		{"wrong key usage", p.Auth(chu, "CH", igc.WrongKU()), trust.WrongUsage},
		{"no key usage", p.Auth(chu, "CH", igc.NoKU()), trust.WrongUsage},
		{"rsa 1024", p.Auth(chu, "CH", igc.WeakRSA()), trust.WeakKey},
		{"sha-1", p.Auth(chu, "CH", igc.SHA1()), trust.WeakKey},
		// crypto/tls offers these two in its CertificateRequest, and leaves no choice
		{"p-521", p.Auth(chu, "CH", igc.KeyIs(newP521(t))), trust.WeakKey},
		{"ed25519", p.Auth(chu, "CH", igc.KeyIs(tlstest.NewEd25519(t))), trust.WeakKey},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			config := tlstest.Client(p, c.pair)
			config.MinVersion, config.MaxVersion = version, version
			greeting, err := d.Knock(config)
			if c.want == "" {
				if err != nil || greeting != "bonjour "+c.pair.Cert.Subject.CommonName {
					t.Errorf("%s, %s: %q, %v", c.name, tls.VersionName(version), greeting, err)
				} else {
					<-d.Welcomes
				}
				continue
			}
			if err == nil {
				t.Errorf("%s, %s: accepted", c.name, tls.VersionName(version))
				continue
			}
			if !strings.Contains(err.Error(), "bad certificate") {
				t.Errorf("%s, %s: the client is told %q, want %q", c.name, tls.VersionName(version), err, "bad certificate")
			}
			f := d.Failure(t)
			if f.Reason != c.want || f.Subject == "" || f.Issuer == "" || f.Peer == "" || f.Detail == "" {
				t.Errorf("%s, %s: %+v, want reason %s and who it was", c.name, tls.VersionName(version), f, c.want)
			}
		}
	}
}

func TestNoCertificate(t *testing.T) {
	t.Parallel()
	p := tlstest.NewPKI()
	d := tlstest.GoodDoor(t, p)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		config := tlstest.Client(p)
		config.MinVersion, config.MaxVersion = version, version
		if _, err := d.Knock(config); err == nil {
			t.Fatal("accepted without a certificate")
		}
		f := d.Failure(t)
		// GnuTLS 3.7 holds an RSA certificate back in TLS 1.3 (docs/interop.md)
		if hint := strings.Contains(f.Detail, "GnuTLS 3.7"); f.Reason != trust.NoCertificate || hint != (version == tls.VersionTLS13) {
			t.Errorf("%s: %v", tls.VersionName(version), f)
		}
	}
	if log := d.Log.String(); strings.Count(log, "\n") != 2 || !strings.Contains(log, `"reason":"no-certificate"`) {
		t.Errorf("log: %s", log)
	}
}

// Peers that do not get as far as a certificate.
func TestWhatIsNotAHandshakeIsNamed(t *testing.T) {
	t.Parallel()
	p := tlstest.NewPKI()
	d := tlstest.GoodDoor(t, p)
	good := p.Auth(chu, "CH")
	config := func(change func(*tls.Config)) func(*testing.T) {
		return func(t *testing.T) {
			c := tlstest.Client(p, good)
			change(c)
			if _, err := d.Knock(c); err == nil {
				t.Error("accepted")
			}
		}
	}
	for _, c := range []struct {
		name   string
		act    func(*testing.T)
		want   trust.Reason
		detail string
	}{
		{"tls 1.1", config(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }), trust.Protocol, "TLS 1.1"},
		{"cbc only", config(func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}
		}), trust.NoCommonSuite, "AES-GCM"},
		{"rsa server only", config(func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
		}), trust.NoCommonSuite, ""},
		{"http/2 only", config(func(c *tls.Config) { c.NextProtos = []string{"h2"} }), trust.Protocol, "protocol"},
		{"does not trust us", config(func(c *tls.Config) { c.RootCAs = p.Pool(igc.AMCTLS) }), trust.PeerRefused, "trust"},
		{"plain http", func(t *testing.T) {
			answer, err := http.Get("http://" + d.Addr().String() + "/roc")
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			body, _ := io.ReadAll(answer.Body)
			if answer.StatusCode != 400 || !strings.Contains(string(body), "https://") {
				t.Errorf("%s: %s", answer.Status, body)
			}
		}, trust.Protocol, "https://"},
		{"garbage", say("\x00\x01\x02 NOT TLS AT ALL \n\n\n\n", d), trust.Protocol, "does not speak TLS"},
		{"half a record", say("\x16\x03\x01\x02\x00\x01", d), trust.Closed, "closed"},
		{"gone at once", say("", d), trust.Closed, "before it said anything"},
	} {
		c.act(t)
		if f := d.Failure(t); f.Reason != c.want || !strings.Contains(f.Detail, c.detail) {
			t.Errorf("%s: %s: %s, want %s: ...%s...", c.name, f.Reason, f.Detail, c.want, c.detail)
		}
	}
}

func newP521(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func say(words string, d *tlstest.Door) func(*testing.T) {
	return func(t *testing.T) {
		c, err := net.Dial("tcp", d.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, words)
		c.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, c)
		c.Close()
	}
}

func TestWhatThePeerWroteIsSafeInTheLog(t *testing.T) {
	t.Parallel()
	p := tlstest.NewPKI()
	d := tlstest.OpenDoor(t, tlsconf.ServerOptions{
		Certificate: identity.FixedSource(p.Server(igc.EtablissementTLS, "rpn.test").TLS()),
		Clients:     trust.FixedStore(tlstest.Trust(p, igc.EtablissementTLS)),
	}, nil)
	evil := "x\r\nreason=none \x1b[31m\u202e" + strings.Repeat("A", 2000)
	if _, err := d.Knock(tlstest.Client(p, p.Auth(chu, "CH", igc.CN(evil), igc.OtherCA()))); err == nil {
		t.Fatal("accepted")
	}
	f := d.Failure(t)
	for _, text := range []string{f.Subject, f.Error(), d.Log.String()} {
		if strings.ContainsAny(strings.TrimSuffix(text, "\n"), "\r\n\x1b\u202e") || len(text) > 2000 {
			t.Errorf("not safe: %q", text)
		}
	}
	if !strings.Contains(f.Subject, "OU="+chu) {
		t.Errorf("subject: %q", f.Subject)
	}
}

func TestASilentPeerDelaysNobodyAndTimesOut(t *testing.T) {
	t.Parallel()
	p := tlstest.NewPKI()
	d := tlstest.OpenDoor(t, tlsconf.ServerOptions{
		Certificate: identity.FixedSource(p.Server(igc.EtablissementTLS, "rpn.test").TLS()),
		Clients:     trust.FixedStore(tlstest.Trust(p, igc.EtablissementTLS)),
	}, func(o *tlsconf.ListenerOptions) { o.Deadline = 3 * time.Second })
	silent, err := net.Dial("tcp", d.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	if _, err := d.Knock(tlstest.Client(p, p.Auth(chu, "CH"))); err != nil {
		t.Error(err)
	}
	if f := d.Failure(t); f.Reason != trust.TimedOut {
		t.Error(f)
	}
	if _, err := silent.Read(make([]byte, 1)); err == nil {
		t.Error("the silent connection is still open")
	}
}

func TestAFullQueuePushesOutTheSilentAndNotThoseWhoSpeak(t *testing.T) {
	t.Parallel()
	p := tlstest.NewPKI()
	d := tlstest.OpenDoor(t, tlsconf.ServerOptions{
		Certificate: identity.FixedSource(p.Server(igc.EtablissementTLS, "rpn.test").TLS()),
		Clients:     trust.FixedStore(tlstest.Trust(p, igc.EtablissementTLS)),
	}, func(o *tlsconf.ListenerOptions) { o.Handshakes, o.Deadline = 4, time.Minute })
	own := p.Auth(chu, "CH").TLS()
	config := tlstest.Client(p)
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		// It has spoken, and its handshake is under way: the flood comes now.
		for range 12 {
			c, err := net.Dial("tcp", d.Addr().String())
			if err != nil {
				return nil, err
			}
			t.Cleanup(func() { c.Close() })
		}
		for range 9 {
			if f := d.Failure(t); f.Reason != trust.Overloaded {
				t.Error(f)
			}
		}
		return &own, nil
	}
	if _, err := d.Knock(config); err != nil {
		t.Errorf("an establishment whose handshake was under way: %v", err)
	}
	if _, err := d.Knock(tlstest.Client(p, p.Auth(chu, "CH"))); err != nil {
		t.Errorf("an establishment that comes after the flood: %v", err)
	}
}

// flaky fails some Accepts as a process without file descriptors does.
type flaky struct {
	net.Listener
	failures atomic.Int32
}

func (f *flaky) Accept() (net.Conn, error) {
	if f.failures.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: syscall.EMFILE}
	}
	return f.Listener.Accept()
}

func TestTooManyOpenFilesIsWaitedOut(t *testing.T) {
	t.Parallel()
	p := tlstest.NewPKI()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &flaky{Listener: inner}
	f.failures.Store(3)
	server, err := tlsconf.NewServer(tlsconf.ServerOptions{
		Certificate: identity.FixedSource(p.Server(igc.EtablissementTLS, "rpn.test").TLS()),
		Clients:     trust.FixedStore(tlstest.Trust(p, igc.EtablissementTLS)),
	})
	if err != nil {
		t.Fatal(err)
	}
	log := &tlstest.Buffer{}
	l, err := tlsconf.NewListener(f, tlstest.Listener(tlsconf.ListenerOptions{Server: server, Log: slog.New(slog.NewTextHandler(log, nil))}))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go tls.Dial("tcp", l.Addr().String(), tlstest.Client(p, p.Auth(chu, "CH")))
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if strings.Count(log.String(), "LimitNOFILE") != 3 {
		t.Errorf("log: %s", log)
	}
}

func TestABrokenListenerIsReported(t *testing.T) {
	t.Parallel()
	p := tlstest.NewPKI()
	server, err := tlsconf.NewServer(tlsconf.ServerOptions{
		Certificate: identity.FixedSource(p.Server(igc.EtablissementTLS, "rpn.test").TLS()),
		Clients:     trust.FixedStore(tlstest.Trust(p, igc.EtablissementTLS)),
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := tlsconf.NewListener(broken{}, tlstest.Listener(tlsconf.ListenerOptions{Server: server, Log: slog.New(slog.DiscardHandler)}))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := l.Accept(); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("Accept: %v", err)
		}
	}
}

type broken struct{}

func (broken) Accept() (net.Conn, error) { return nil, syscall.EINVAL }
func (broken) Close() error              { return nil }
func (broken) Addr() net.Addr            { return &net.TCPAddr{} }

// A handshake under way when the door closes still comes in.
func TestCloseLetsHandshakesUnderWayEnd(t *testing.T) {
	t.Parallel()
	p := tlstest.NewPKI()
	d := tlstest.OpenDoor(t, tlsconf.ServerOptions{
		Certificate: identity.FixedSource(p.Server(igc.EtablissementTLS, "rpn.test").TLS()),
		Clients:     trust.FixedStore(tlstest.Trust(p, igc.EtablissementTLS)),
	}, func(o *tlsconf.ListenerOptions) { o.Drain = 20 * time.Second })
	own := p.Auth(chu, "CH").TLS()
	config := tlstest.Client(p)
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		d.Close() // in the middle of the handshake
		return &own, nil
	}
	if greeting, err := d.Knock(config); err != nil {
		t.Errorf("%q, %v", greeting, err)
	}
	if _, err := net.Dial("tcp", d.Addr().String()); err == nil {
		t.Error("the door still accepts")
	}
}
