package tlsconf_test

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/tlsconf"
	"github.com/piano-roc/rpn/tlsconf/identity"
	"github.com/piano-roc/rpn/tlsconf/tlstest"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// The reload drill: certificates and authorities change under load, good sets
// and bad ones in turn, and not one handshake fails.
func TestReloadsDisturbNoHandshake(t *testing.T) {
	t.Parallel()
	p, more, dir := tlstest.NewPKI(), tlstest.NewPKI(), t.TempDir()
	certFile, keyFile, caFile := filepath.Join(dir, "rpn.pem"), filepath.Join(dir, "rpn.key"), filepath.Join(dir, "ca.pem")
	side := igc.EtablissementTLS
	put := func(pair, key igc.Pair, cas string) {
		tlstest.Write(t, certFile, tlstest.PEM(pair.Cert, p.Intermediates(side)[0]))
		tlstest.Write(t, keyFile, tlstest.KeyPEM(t, key))
		tlstest.Write(t, caFile, cas)
	}
	ours := tlstest.PEM(p.Roots(side)[0], p.Intermediates(side)[0])
	both := ours + tlstest.PEM(more.Roots(side)[0], more.Intermediates(side)[0])
	pairs := []igc.Pair{p.Server(side, "rpn.test"), p.Server(side, "rpn.test", igc.Key("renewed"))}
	put(pairs[0], pairs[0], ours)
	source, err := identity.OpenSource(identity.SourceOptions{Name: "server", CertFile: certFile, KeyFile: keyFile})
	if err != nil {
		t.Fatal(err)
	}
	store, err := trust.OpenStore(trust.StoreOptions{Name: "trust", Paths: []string{caFile}})
	if err != nil {
		t.Fatal(err)
	}
	d := tlstest.OpenDoor(t, tlsconf.ServerOptions{Certificate: source, Clients: store}, func(o *tlsconf.ListenerOptions) { o.Deadline = 5 * time.Minute })

	// One handshake stands still while everything around it is replaced.
	slow, unblock := slowClient(t, d, tlstest.Client(p, p.Auth(chu, "CH")))

	var stop atomic.Bool
	var done atomic.Int64
	var clients sync.WaitGroup
	for i := range 4 {
		clients.Go(func() {
			config := tlstest.Client(p, p.Auth(chu, "CH"))
			if i%2 == 0 { // some resume
				config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
			}
			for !stop.Load() {
				if _, err := d.Knock(config); err != nil {
					t.Errorf("a handshake failed: %v", err)
					return
				}
				done.Add(1)
			}
		})
	}
	good, bad := 0, 0
	for i := 0; done.Load() < 200 || good < 20 || bad < 20; i++ {
		pair := pairs[i/2%2]
		if i%2 == 0 {
			put(pair, pair, []string{ours, both}[i/2%2])
		} else {
			put(pair, pairs[1-i/2%2], "-----BEGIN") // the key of another, and no authority
		}
		_, err1 := source.Prepare(false)
		_, err2 := store.Prepare(false)
		if (err1 == nil) != (i%2 == 0) || (err2 == nil) != (i%2 == 0) {
			t.Fatalf("set %d: %v, %v", i, err1, err2)
		}
		if i%2 == 1 {
			bad++
			continue
		}
		for _, prepare := range []func(bool) (trust.Change, error){source.Prepare, store.Prepare} {
			change, err := prepare(false)
			if err != nil {
				t.Fatal(err)
			}
			change.Commit()
		}
		good++
	}
	stop.Store(true)
	clients.Wait()
	unblock()
	if err := slow(); err != nil {
		t.Errorf("the handshake that was under way: %v", err)
	}
	t.Logf("%d handshakes over %d good sets and %d bad ones", done.Load(), good, bad)
}

// slowClient begins a handshake and stops after the ClientHello, until unblock;
// result is how it ended.
func slowClient(t *testing.T, d *tlstest.Door, config *tls.Config) (result func() error, unblock func()) {
	t.Helper()
	raw, err := net.Dial("tcp", d.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	gate := make(chan struct{})
	sent := make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		defer raw.Close()
		c := tls.Client(&gated{Conn: raw, gate: gate, sent: sent}, config)
		_, err := io.ReadAll(c)
		ended <- err
	}()
	<-sent
	return func() error { return <-ended }, func() { close(gate) }
}

// gated lets the first write through, and reads only once the gate is open.
type gated struct {
	net.Conn
	gate, sent chan struct{}
	once       sync.Once
}

func (g *gated) Write(b []byte) (int, error) {
	n, err := g.Conn.Write(b)
	g.once.Do(func() { close(g.sent) })
	return n, err
}

func (g *gated) Read(b []byte) (int, error) {
	<-g.gate
	return g.Conn.Read(b)
}

func TestOurCertificateCarriesItsOCSPAnswer(t *testing.T) {
	t.Parallel()
	p := tlstest.NewPKI()
	var status, asked atomic.Int64
	var pair igc.Pair
	responder := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if status.Load() < 0 {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		w.Write(p.OCSP(igc.EtablissementTLS, pair.Cert, status.Load() == ocsp.Revoked))
	}))
	defer responder.Close()
	pair = p.Server(igc.EtablissementTLS, "rpn.test", igc.Responder(responder.URL))
	source := identity.FixedSource(pair.TLS())
	d := tlstest.OpenDoor(t, tlsconf.ServerOptions{Certificate: source, Clients: trust.FixedStore(tlstest.Trust(p, igc.EtablissementTLS))}, nil)
	staple := func() []byte {
		c, err := tls.Dial("tcp", d.Addr().String(), tlstest.Client(p, p.Auth(chu, "CH")))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		io.ReadAll(c)
		return c.OCSPResponse()
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		source.Staple(ctx, identity.StapleOptions{Log: slog.New(slog.DiscardHandler), Every: 10 * time.Millisecond, Client: tlstest.Loopback.Client(nil, 10*time.Second)})
	})
	defer running.Wait()
	defer cancel()
	for _, s := range []int64{-1, ocsp.Revoked} { // nothing to show, and the handshake goes on
		status.Store(s)
		before := asked.Load()
		await.Until(t, "the responder is asked", func() bool { return asked.Load() >= before+2 })
		if got := staple(); got != nil {
			t.Errorf("status %d: stapled", s)
		}
	}
	status.Store(ocsp.Good)
	await.Until(t, "the answer is there", func() bool { return staple() != nil })
	answer, err := ocsp.ParseResponseForCert(staple(), pair.Cert, p.Intermediates(igc.EtablissementTLS)[0])
	if err != nil || answer.Status != ocsp.Good {
		t.Errorf("%+v, %v", answer, err)
	}
}
