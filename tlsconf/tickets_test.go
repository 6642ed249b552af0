package tlsconf_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/tlsconf"
	"github.com/piano-roc/rpn/tlsconf/identity"
	"github.com/piano-roc/rpn/tlsconf/tlstest"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

func writeSecret(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "tickets.secret")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// A session begun with one instance is resumed with another that has the same
// secret and trusts the same CAs, and with no other.
func TestSessionsAreSharedByInstances(t *testing.T) {
	t.Parallel()
	p, other := tlstest.NewPKI(), tlstest.NewPKI()
	secret := strings.Repeat("secret-de-test-", 4)
	at := &tlstest.Clock{}
	instance := func(secret string, cas *trust.Trust, at *tlstest.Clock) *tlstest.Door {
		s, err := tlsconf.OpenTicketSecret(writeSecret(t, secret))
		if err != nil {
			t.Fatal(err)
		}
		return tlstest.OpenDoor(t, tlsconf.ServerOptions{
			Certificate: identity.FixedSource(p.Server(es, "rpn.test").TLS()),
			Clients:     trust.FixedStore(cas), Tickets: s, Now: at.Now,
		}, nil)
	}
	one := instance(secret, tlstest.Trust(p, es), at)
	both := trust.NewTrust(append(p.Roots(es), other.Roots(es)...), append(p.Intermediates(es), other.Intermediates(es)...))
	ahead := &tlstest.Clock{}
	ahead.Forward(12 * time.Hour)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, c := range []struct {
			name    string
			second  *tlstest.Door
			resumed bool
		}{
			{"the same secret and CAs", instance(secret, tlstest.Trust(p, es), at), true},
			{"its clock is half a day ahead", instance(secret, tlstest.Trust(p, es), ahead), true},
			{"another secret", instance(strings.Repeat("un-autre-secret-", 4), tlstest.Trust(p, es), at), false},
			{"one more CA", instance(secret, both, at), false},
		} {
			config := tlstest.Client(p, p.Auth(chu, "CH"))
			config.MinVersion, config.MaxVersion = version, version
			config.ClientSessionCache = tls.NewLRUClientSessionCache(8)
			for i, d := range []*tlstest.Door{one, c.second} {
				if _, err := d.Knock(config); err != nil {
					t.Fatalf("%s: %v", c.name, err)
				}
				got := <-d.Welcomes
				if i == 1 && strings.HasSuffix(got, " resumed") != c.resumed {
					t.Errorf("%s: %s", c.name, got)
				}
			}
		}
	}
}

func TestSharedTicketKeysRotate(t *testing.T) {
	t.Parallel()
	p, at := tlstest.NewPKI(), &tlstest.Clock{}
	file := writeSecret(t, strings.Repeat("a", 40))
	secret, err := tlsconf.OpenTicketSecret(file)
	if err != nil {
		t.Fatal(err)
	}
	d := tlstest.OpenDoor(t, tlsconf.ServerOptions{
		Certificate: identity.FixedSource(p.Server(es, "rpn.test").TLS()),
		Clients:     trust.FixedStore(tlstest.Trust(p, es)), Tickets: secret, Now: at.Now,
	}, nil)
	config := tlstest.Client(p, p.Auth(chu, "CH"))
	cache := tls.NewLRUClientSessionCache(8)
	config.ClientSessionCache = cache
	visit := func(when, want string) {
		t.Helper()
		if _, err := d.Knock(config); err != nil {
			t.Fatal(err)
		}
		if got := <-d.Welcomes; got != "TLS 1.3"+want {
			t.Errorf("%s: %s", when, got)
		}
	}
	visit("first", "")
	config.ClientSessionCache = keepFirst{cache}
	at.Forward(12 * time.Hour)
	visit("half a day later", " resumed")
	at.Forward(155 * time.Hour)
	visit("nearly seven days later", " resumed")
	at.Forward(2 * time.Hour)
	visit("seven days and an hour later", "")
	config.ClientSessionCache = cache
	visit("a new session", "")
	visit("and again", " resumed")
	if err := os.WriteFile(file, []byte(strings.Repeat("b", 40)), 0o600); err != nil {
		t.Fatal(err)
	}
	if changed, err := secret.Reload(); !changed || err != nil {
		t.Fatal(changed, err)
	}
	visit("the secret was changed", "")
	visit("and again", " resumed")
}

// A ticket is opened as long as it was told to be, seven days in TLS 1.3, by
// keys at random and by shared ones; in TLS 1.2, which tells nothing, for a day.
func TestATicketLivesAsLongAsItIsTold(t *testing.T) {
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
	for _, shared := range []bool{false, true} {
		for _, c := range []struct {
			version string
			told    string
			kept    time.Duration
		}{
			{"-tls1_3", "ticket lifetime hint: 604800 (seconds)", 7 * 24 * time.Hour},
			{"-tls1_2", "", 12 * time.Hour},
		} {
			at := &tlstest.Clock{}
			o := tlsconf.ServerOptions{
				Certificate: identity.FixedSource(p.Server(es, "rpn.test").TLS()),
				Clients:     trust.FixedStore(tlstest.Trust(p, es)), Now: at.Now,
			}
			if shared {
				if o.Tickets, err = tlsconf.OpenTicketSecret(writeSecret(t, strings.Repeat("a", 40))); err != nil {
					t.Fatal(err)
				}
			}
			d := tlstest.OpenDoor(t, o, nil)
			session := filepath.Join(t.TempDir(), "session")
			visit := func(more ...string) string {
				return tlstest.Run(t, openssl, append([]string{"s_client", "-connect", d.Addr().String(), c.version, "-cert", certFile, "-key", keyFile, "-ign_eof"}, more...)...)
			}
			said := visit("-sess_out", session)
			if c.told != "" && !strings.Contains(said, c.told) || c.told == "" && strings.Contains(said, "lifetime hint") {
				t.Errorf("%s, shared %v: told otherwise than %q\n%s", c.version, shared, c.told, said)
			}
			for _, when := range []struct {
				after   time.Duration
				resumed bool
			}{{c.kept - time.Minute, true}, {7*24*time.Hour + time.Minute, false}} {
				at.Forward(when.after - at.Ahead())
				if said := visit("-sess_in", session); strings.Contains(said, "Reused, TLSv1") != when.resumed || !strings.Contains(said, "bonjour") {
					t.Errorf("%s, shared %v, after %s: want resumed %v\n%s", c.version, shared, when.after, when.resumed, said)
				}
			}
		}
	}
}

// A TLS 1.2 ticket holds the secret of its session: two days later no key opens it.
func TestATicketOfTLS12OpensForADay(t *testing.T) {
	t.Parallel()
	p, at := tlstest.NewPKI(), &tlstest.Clock{}
	d := tlstest.OpenDoor(t, tlsconf.ServerOptions{
		Certificate: identity.FixedSource(p.Server(es, "rpn.test").TLS()),
		Clients:     trust.FixedStore(tlstest.Trust(p, es)), Now: at.Now,
	}, nil)
	config := tlstest.Client(p, p.Auth(chu, "CH"))
	cache := tls.NewLRUClientSessionCache(8)
	config.MaxVersion, config.ClientSessionCache = tls.VersionTLS12, cache
	for _, want := range []string{"TLS 1.2", "TLS 1.2 resumed", "TLS 1.2"} {
		if _, err := d.Knock(config); err != nil {
			t.Fatal(err)
		}
		if got := <-d.Welcomes; got != want {
			t.Errorf("at %s: %s, want %s", at.Ahead(), got, want)
		}
		config.ClientSessionCache = keepFirst{cache}
		at.Forward(12*time.Hour + time.Minute)
	}
}

// ticketOf is the ticket that the door gives for that configuration.
func ticketOf(t *testing.T, d *tlstest.Door, config *tls.Config) []byte {
	t.Helper()
	sessions := &lastSession{}
	config.ClientSessionCache = sessions
	if _, err := d.Knock(config); err != nil {
		t.Fatal(err)
	}
	<-d.Welcomes
	ticket, _, err := sessions.last.ResumptionState()
	if err != nil || len(ticket) == 0 {
		t.Fatal("no ticket", err)
	}
	return ticket
}

type lastSession struct{ last *tls.ClientSessionState }

func (l *lastSession) Get(string) (*tls.ClientSessionState, bool)    { return l.last, l.last != nil }
func (l *lastSession) Put(_ string, session *tls.ClientSessionState) { l.last = session }

// Old clients cannot bring a long ticket back (wolfSSL 5.5, Schannel): what the
// store's CAs say already is not in it.
func TestTicketsAreShort(t *testing.T) {
	t.Parallel()
	p := tlstest.NewPKI()
	d := tlstest.GoodDoor(t, p)
	for name, options := range map[string][]igc.Option{"P-256": nil, "RSA 2048": {igc.RSA(2048)}, "RSA 4096": {igc.RSA(4096)}} {
		own := p.Auth(chu, "CENTRE HOSPITALIER FICTIF", options...).TLS()
		whole := 0
		for _, c := range p.Roots(es) {
			own.Certificate = append(own.Certificate, c.Raw)
		}
		for _, c := range own.Certificate {
			whole += len(c)
		}
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			config := tlstest.Client(p)
			config.Certificates, config.MinVersion, config.MaxVersion = []tls.Certificate{own}, version, version
			n := len(ticketOf(t, d, config))
			t.Logf("%s, %s: %d bytes of certificates, a ticket of %d", tls.VersionName(version), name, whole, n)
			if n > 2<<10 {
				t.Errorf("%s, %s: a ticket of %d bytes", tls.VersionName(version), name, n)
			}
			if _, err := d.Knock(config); err != nil {
				t.Fatal(err)
			}
			if got := <-d.Welcomes; got != tls.VersionName(version)+" resumed" {
				t.Errorf("%s: %s", name, got)
			}
		}
	}
}

// Who presents what the store does not hold is let in, and gets no ticket that
// holds it.
func TestATicketThatWouldBeLongIsNotGiven(t *testing.T) {
	t.Parallel()
	p := tlstest.NewPKI()
	d := tlstest.GoodDoor(t, p)
	own := p.Auth(chu, "CH").TLS()
	for range 6 {
		own.Certificate = append(own.Certificate, tlstest.NewPKI().Auth(chu, strings.Repeat("X", 40), igc.RSA(2048)).TLS().Certificate[0])
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		config := tlstest.Client(p)
		config.Certificates, config.MinVersion, config.MaxVersion = []tls.Certificate{own}, version, version
		if n := len(ticketOf(t, d, config)); n > 16 {
			t.Errorf("a ticket of %d bytes", n)
		}
		if _, err := d.Knock(config); err != nil {
			t.Fatal(err)
		}
		if got := <-d.Welcomes; got != tls.VersionName(version) {
			t.Errorf("%s", got)
		}
	}
}

func TestTicketSecretsThatAreRefused(t *testing.T) {
	t.Parallel()
	short, open := writeSecret(t, "court"), writeSecret(t, strings.Repeat("a", 40))
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		short: "holds 5 bytes", open: "may be read by everybody", filepath.Join(t.TempDir(), "absent"): "no such file",
		writeSecret(t, strings.Repeat("\n", 40)): "32 random bytes",
	} {
		if _, err := tlsconf.OpenTicketSecret(file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// A storm of new connections, silent ones and full handshakes, does not starve
// the connections that are there: all of their exchanges end well.
func TestAStormDoesNotStarveWhoIsThere(t *testing.T) {
	t.Parallel()
	p := tlstest.NewPKI()
	server, err := tlsconf.NewServer(tlsconf.ServerOptions{
		Certificate: identity.FixedSource(p.Server(es, "rpn.test", igc.RSA(2048)).TLS()),
		Clients:     trust.FixedStore(tlstest.Trust(p, es)),
	})
	if err != nil {
		t.Fatal(err)
	}
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var crowded, welcomed atomic.Int32
	l, err := tlsconf.NewListener(inner, tlstest.Listener(tlsconf.ListenerOptions{
		Server: server, Log: quiet(), Handshakes: 64,
		OnHandshake: func(string, bool) { welcomed.Add(1) },
		OnFailure: func(f *trust.Failure) {
			if f.Reason == trust.Overloaded {
				crowded.Add(1)
			}
		},
	}))
	if err != nil {
		t.Fatal(err)
	}
	var echoes sync.WaitGroup
	echoes.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			echoes.Go(func() { io.Copy(c, c); c.Close() })
		}
	})
	config := tlstest.Client(p, p.Auth(chu, "CH"))
	var there []*tls.Conn
	for range 8 {
		c, err := tls.Dial("tcp", inner.Addr().String(), config)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		there = append(there, c)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var storm sync.WaitGroup
	for range 80 { // more than there are places, and they say nothing
		storm.Go(func() {
			for ctx.Err() == nil {
				c, err := net.Dial("tcp", inner.Addr().String())
				if err != nil {
					return
				}
				c.SetReadDeadline(time.Now().Add(time.Second))
				c.Read(make([]byte, 1))
				c.Close()
			}
		})
	}
	for range 16 { // and these make us sign
		storm.Go(func() {
			for ctx.Err() == nil {
				if c, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", inner.Addr().String()); err == nil {
					c.Close()
				}
			}
		})
	}
	for i := range 20 {
		for j, c := range there {
			line := fmt.Sprintf("échange %d de %d\n", i, j)
			c.SetDeadline(time.Now().Add(20 * time.Second))
			if _, err := io.WriteString(c, line); err != nil {
				t.Fatal(err)
			}
			if got, err := bufio.NewReader(c).ReadString('\n'); err != nil || got != line {
				t.Fatalf("%q, %v", got, err)
			}
		}
	}
	await.Until(t, "the storm was real", func() bool { return crowded.Load() > 0 && welcomed.Load() > 16 })
	cancel()
	storm.Wait()
	for _, c := range there {
		c.Close()
	}
	l.Close()
	echoes.Wait()
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
