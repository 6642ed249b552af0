package tlsconf_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"testing"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/tlsconf"
	"github.com/piano-roc/rpn/tlsconf/expiry"
	"github.com/piano-roc/rpn/tlsconf/identity"
	"github.com/piano-roc/rpn/tlsconf/tlstest"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// Both sides count here; -cpuprofile tells them apart. test/bench -tls measures
// the server alone, beside HAProxy.
func BenchmarkHandshake(b *testing.B) {
	p := igc.New(igc.Options{Keys: tlstest.Keys})
	for _, c := range []struct {
		name string
		key  igc.Option
	}{{"rsa", igc.RSA(2048)}, {"ecdsa", igc.ECDSA()}} {
		b.Run(c.name, func(b *testing.B) {
			h := expiry.New(nil)
			server, err := tlsconf.NewServer(tlsconf.ServerOptions{
				Certificate: identity.FixedSource(p.Server(igc.EtablissementTLS, "rpn.test", c.key).TLS()),
				Clients:     trust.FixedStore(tlstest.Trust(p, igc.EtablissementTLS)),
			})
			if err != nil {
				b.Fatal(err)
			}
			inner, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			l, err := tlsconf.NewListener(inner, tlstest.Listener(tlsconf.ListenerOptions{Server: server, Log: slog.New(slog.DiscardHandler),
				OnPeer: func(presented []*x509.Certificate) { h.Saw(expiry.CallerTLS, chu, presented) }}))
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			go func() {
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					conn.Write([]byte("x\n"))
					conn.Close()
				}
			}()
			config := tlstest.Client(p, p.Auth(chu, "CH", igc.RSA(2048)))
			config.CurvePreferences = []tls.CurveID{tls.X25519}
			for b.Loop() {
				conn, err := tls.Dial("tcp", l.Addr().String(), config)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := bufio.NewReader(conn).ReadString('\n'); err != nil {
					b.Fatal(err)
				}
				conn.Close()
			}
		})
	}
}
