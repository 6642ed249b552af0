package http1

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/piano-roc/rpn/internal/egress"
	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/proxy/http1/http1test"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

func upstreamOptions() UpstreamOptions {
	w := http1test.Certs()
	return UpstreamOptions{
		MaxConns: 256, DialTimeout: 2 * time.Second, AnswerBytes: 8 << 20,
		Handshake: func(ctx context.Context, c net.Conn, name string) (*tls.Conn, error) {
			t := tls.Client(c, &tls.Config{ServerName: name, RootCAs: w.PKI.Pool(igc.AMCTLS), Certificates: []tls.Certificate{w.Client.TLS()}})
			if err := t.HandshakeContext(ctx); err != nil {
				c.Close()
				return nil, err
			}
			return t, nil
		},
		Egress: &egress.Filter{
			Allow: loopback,
			Hosts: func(host string) (netip.Addr, bool) {
				return netip.MustParseAddr("127.0.0.1"), strings.HasSuffix(host, ".example")
			},
		},
	}
}
