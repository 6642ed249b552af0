package tlsconf_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/tlsconf"
	"github.com/piano-roc/rpn/tlsconf/identity"
	"github.com/piano-roc/rpn/tlsconf/revocation"
	"github.com/piano-roc/rpn/tlsconf/tlstest"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// A frontier is a door, the revocation behind it, and the sweeps that follow
// its changes, as the application runs them.
type frontier struct {
	*tlstest.Registry
	*tlstest.Door
	t      *testing.T
	store  *trust.Store
	folder string // of the trust store
	deny   func(sequence uint64, lines ...string)
	crl    func(l igc.List)
}

func newFrontier(t *testing.T, server ...igc.Option) *frontier {
	t.Helper()
	key := tlstest.NewEd25519(t)
	file := filepath.Join(t.TempDir(), "deny")
	list := filepath.Join(t.TempDir(), "liste.crl")
	f := &frontier{t: t, folder: t.TempDir(), Registry: tlstest.NewRegistry(t, func(o *revocation.Options) {
		o.Deny = &revocation.DenyOptions{File: file, Signers: []string{tlstest.WritePublic(t, key)}}
		o.Lists = []string{list}
	})}
	f.crl = func(l igc.List) {
		t.Helper()
		if err := os.WriteFile(list, f.PKI.CRL(es, l), 0o600); err != nil {
			t.Fatal(err)
		}
		if f.Checker != nil {
			f.Reread()
		}
	}
	f.crl(igc.List{})
	f.deny = func(sequence uint64, lines ...string) {
		t.Helper()
		if err := os.WriteFile(file, tlstest.DenyList(t, key, sequence, lines...), 0o600); err != nil {
			t.Fatal(err)
		}
		f.Reread()
	}
	f.Open()
	f.store = openStore(t, f.PKI, f.folder, es)
	f.Door = tlstest.OpenDoor(t, tlsconf.ServerOptions{
		Certificate: identity.FixedSource(f.PKI.Server(es, "rpn.test", server...).TLS()),
		Clients:     f.store, Revocation: f.Checker, Now: f.Clock.Now,
	}, nil)
	f.Stays.Store(true)
	return f
}

// connect opens a connection that stays, and reads the greeting.
func (f *frontier) connect(config *tls.Config) *tls.Conn {
	f.t.Helper()
	c, err := tls.Dial("tcp", f.Addr().String(), config)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { c.Close() })
	b := make([]byte, 8)
	if _, err := io.ReadFull(c, b); err != nil || string(b) != "bonjour " {
		f.t.Fatalf("%q, %v", b, err)
	}
	for b[0] != '\n' {
		if _, err := io.ReadFull(c, b[:1]); err != nil {
			f.t.Fatal(err)
		}
	}
	return c
}

// wantClosed: the far end is gone.
func wantClosed(t *testing.T, c *tls.Conn) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	_, err := io.Copy(io.Discard, c) // what was said before may still come
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		t.Errorf("the connection is still open: %v", err)
	}
}

// wantOpen: nothing comes, and nothing ended it.
func wantOpen(t *testing.T, c *tls.Conn) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	_, err := c.Read(make([]byte, 1))
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("the connection is not open: %v", err)
	}
}

// Revoked means out: connections that are open, sessions that could be
// resumed, and new ones; of the one concerned, and of nobody else.
func TestRevokedMeansOut(t *testing.T) {
	t.Parallel()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for name, revoke := range map[string]func(f *frontier, p igc.Pair) trust.Reason{
			"by the deny list": func(f *frontier, p igc.Pair) trust.Reason {
				f.deny(1, "structure "+chu)
				return trust.Denied
			},
			"by the list of its CA": func(f *frontier, p igc.Pair) trust.Reason {
				f.crl(igc.List{Number: 2, Entries: []x509.RevocationListEntry{{SerialNumber: p.Cert.SerialNumber, RevocationTime: time.Now()}}})
				return trust.Revoked
			},
			"by the clock": func(f *frontier, p igc.Pair) trust.Reason {
				f.Clock.Forward(2 * time.Hour)
				return trust.Expired
			},
		} {
			t.Run(tls.VersionName(version)+" "+name, func(t *testing.T) {
				t.Parallel()
				f := newFrontier(t)
				bad := f.PKI.Auth(chu, "CH", igc.Valid(time.Now().Add(-time.Hour), time.Now().Add(time.Hour)))
				config, other := tlstest.Client(f.PKI, bad), tlstest.Client(f.PKI, f.PKI.Auth(autre, "AUTRE"))
				config.ClientSessionCache = tls.NewLRUClientSessionCache(8)
				config.MinVersion, config.MaxVersion = version, version
				first, second := f.connect(config), f.connect(config)
				third := f.connect(other)
				if !second.ConnectionState().DidResume {
					t.Fatal("the second connection is not a resumed one")
				}
				for range 3 {
					<-f.Welcomes
				}
				if cuts := f.Server.Sweep(nil); len(cuts) != 0 || f.Server.Open() != 3 {
					t.Errorf("nothing changed: %v, %d open", cuts, f.Server.Open())
				}
				reason := revoke(f, bad)
				cuts := f.Server.Sweep(nil)
				if len(cuts) != 1 || cuts[0].Reason != reason || cuts[0].Connections != 2 || cuts[0].Subject == "" {
					t.Fatalf("%+v", cuts)
				}
				wantClosed(t, first)
				wantClosed(t, second)
				wantOpen(t, third)
				await.Until(t, "the closed ones are forgotten", func() bool { return f.Server.Open() == 1 })

				// The session it still has, then a new one.
				for range 2 {
					if line, err := f.Knock(config); err == nil {
						t.Errorf("it comes in again: %q", line)
					}
					if got := f.Failure(t); got.Reason != reason {
						t.Errorf("%v", got)
					}
					config.ClientSessionCache = nil
				}
			})
		}
	}
}

func TestARemovedCAAndTheRegisterCloseConnections(t *testing.T) {
	t.Parallel()
	f := newFrontier(t)
	config := tlstest.Client(f.PKI, f.PKI.Auth(chu, "CH"))
	c := f.connect(config)
	cuts := f.Server.Sweep(func(leaf *x509.Certificate) error { return errors.New("closed since this morning") })
	if len(cuts) != 1 || cuts[0].Reason != trust.StruckOff {
		t.Errorf("%+v", cuts)
	}
	wantClosed(t, c)

	c = f.connect(config)
	other := tlstest.NewPKI()
	writeStore(t, f.folder, es, other.Roots(es), other.Intermediates(es))
	if changed, err := f.store.Reload(); !changed || err != nil {
		t.Fatal(changed, err)
	}
	cuts = f.Server.Sweep(nil)
	if len(cuts) != 1 || cuts[0].Reason != trust.UnknownCA {
		t.Errorf("%+v", cuts)
	}
	wantClosed(t, c)
}

// A change that comes in the middle of a handshake is seen by it: either the
// sweep finds the connection, or the handshake the change.
func TestAChangeInTheMiddleOfHandshakes(t *testing.T) {
	t.Parallel()
	f := newFrontier(t)
	config := tlstest.Client(f.PKI, f.PKI.Auth(chu, "CH"))
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	var mu sync.Mutex
	var open []net.Conn
	var visitors sync.WaitGroup
	changed := make(chan struct{})
	for range 16 {
		visitors.Go(func() {
			for range 40 {
				c, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", f.Addr().String())
				if err != nil {
					select {
					case <-changed:
						return // refused, as it must
					default:
						t.Error(err)
						return
					}
				}
				mu.Lock()
				open = append(open, c)
				mu.Unlock()
			}
		})
	}
	time.Sleep(20 * time.Millisecond) // anywhere in the middle
	close(changed)
	f.deny(1, "structure "+chu)
	f.Server.Sweep(nil)
	visitors.Wait()
	// Without another sweep, nobody is left.
	await.Until(t, "nobody is left", func() bool { return f.Server.Open() == 0 })
	for _, c := range open {
		wantClosed(t, c.(*tls.Conn))
		c.Close()
	}
}

// The other direction: a server of an AMC that is revoked loses the
// connections we keep to it.
func TestARevokedServerLosesOurConnections(t *testing.T) {
	t.Parallel()
	key := tlstest.NewEd25519(t)
	p := tlstest.NewPKI()
	amc := p.Server(igc.AMCTLS, "amc.test")
	file := filepath.Join(t.TempDir(), "deny")
	w := tlstest.NewRegistry(t, func(o *revocation.Options) {
		o.Deny = &revocation.DenyOptions{File: file, Signers: []string{tlstest.WritePublic(t, key)}}
	})
	w.Open()
	own := p.Auth(igc.RPN, "RPN FICTIF").TLS()
	client, err := tlsconf.NewClient(tlsconf.ClientOptions{
		Certificate: identity.FixedSource(own), Servers: trust.FixedStore(tlstest.Trust(p, igc.AMCTLS)), Revocation: w.Checker,
	})
	if err != nil {
		t.Fatal(err)
	}
	inner, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{amc.TLS()}, NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer inner.Close()
	var served sync.WaitGroup
	served.Go(func() {
		for {
			c, err := inner.Accept()
			if err != nil {
				return
			}
			served.Go(func() { io.Copy(io.Discard, c); c.Close() })
		}
	})
	dial := func() (*tls.Conn, error) {
		raw, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		return client.Handshake(t.Context(), raw, "amc.test")
	}
	first, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	second, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	if second.Close(); client.Open() != 1 {
		t.Errorf("%d open, want 1", client.Open())
	}
	if err := os.WriteFile(file, tlstest.DenyList(t, key, 1, revocation.DenyLine(amc.Cert)), 0o600); err != nil {
		t.Fatal(err)
	}
	w.Reread()
	cuts := client.Sweep()
	if len(cuts) != 1 || cuts[0].Reason != trust.Denied || cuts[0].Connections != 1 {
		t.Errorf("%+v", cuts)
	}
	if _, err := first.Write([]byte("x")); err == nil {
		t.Error("the kept connection is still open")
	}
	if _, err := dial(); tlstest.Reason(err) != trust.Denied {
		t.Errorf("a new one: %v", err)
	}
	first.Close()
	if client.Open() != 0 {
		t.Errorf("%d open, want 0", client.Open())
	}
	inner.Close()
	served.Wait()
}
