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
	p, other := newPKI(t), newPKI(t)
	secret := strings.Repeat("secret-de-test-", 4)
	at := &clock{}
	instance := func(secret string, cas *trust.Trust, at *clock) *door {
		s, err := tlsconf.OpenTicketSecret(writeSecret(t, secret))
		if err != nil {
			t.Fatal(err)
		}
		return openDoor(t, tlsconf.ServerOptions{
			Certificate: identity.FixedSource(p.Server(es, "rpn.test").TLS()),
			Clients:     trust.FixedStore(cas), Tickets: s, Now: at.now,
		}, nil)
	}
	one := instance(secret, trustOf(p, es), at)
	both := trust.NewTrust(append(p.Roots(es), other.Roots(es)...), append(p.Intermediates(es), other.Intermediates(es)...))
	ahead := &clock{}
	ahead.forward(12 * time.Hour)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, c := range []struct {
			name    string
			second  *door
			resumed bool
		}{
			{"the same secret and CAs", instance(secret, trustOf(p, es), at), true},
			{"its clock is half a day ahead", instance(secret, trustOf(p, es), ahead), true},
			{"another secret", instance(strings.Repeat("un-autre-secret-", 4), trustOf(p, es), at), false},
			{"one more CA", instance(secret, both, at), false},
		} {
			config := clientConfig(p, p.Auth(chu, "CH"))
			config.MinVersion, config.MaxVersion = version, version
			config.ClientSessionCache = tls.NewLRUClientSessionCache(8)
			for i, d := range []*door{one, c.second} {
				if _, err := d.knock(config); err != nil {
					t.Fatalf("%s: %v", c.name, err)
				}
				got := <-d.welcomes
				if i == 1 && strings.HasSuffix(got, " resumed") != c.resumed {
					t.Errorf("%s: %s", c.name, got)
				}
			}
		}
	}
}

func TestSharedTicketKeysRotate(t *testing.T) {
	t.Parallel()
	p, at := newPKI(t), &clock{}
	file := writeSecret(t, strings.Repeat("a", 40))
	secret, err := tlsconf.OpenTicketSecret(file)
	if err != nil {
		t.Fatal(err)
	}
	d := openDoor(t, tlsconf.ServerOptions{
		Certificate: identity.FixedSource(p.Server(es, "rpn.test").TLS()),
		Clients:     trust.FixedStore(trustOf(p, es)), Tickets: secret, Now: at.now,
	}, nil)
	config := clientConfig(p, p.Auth(chu, "CH"))
	cache := tls.NewLRUClientSessionCache(8)
	config.ClientSessionCache = cache
	visit := func(when, want string) {
		t.Helper()
		if _, err := d.knock(config); err != nil {
			t.Fatal(err)
		}
		if got := <-d.welcomes; got != "TLS 1.3"+want {
			t.Errorf("%s: %s", when, got)
		}
	}
	visit("first", "")
	config.ClientSessionCache = keepFirst{cache}
	at.forward(12 * time.Hour)
	visit("half a day later", " resumed")
	at.forward(12 * time.Hour)
	visit("a day later", "")
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
	p := newPKI(t)
	server, err := tlsconf.NewServer(tlsconf.ServerOptions{
		Certificate: identity.FixedSource(p.Server(es, "rpn.test", igc.RSA(2048)).TLS()),
		Clients:     trust.FixedStore(trustOf(p, es)),
	})
	if err != nil {
		t.Fatal(err)
	}
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var crowded, welcomed atomic.Int32
	l, err := tlsconf.NewListener(inner, tlsconf.ListenerOptions{
		Server: server, Log: quiet(), Handshakes: 64,
		OnHandshake: func(string, bool) { welcomed.Add(1) },
		OnFailure: func(f *trust.Failure) {
			if f.Reason == trust.Overloaded {
				crowded.Add(1)
			}
		},
	})
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
	config := clientConfig(p, p.Auth(chu, "CH"))
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
