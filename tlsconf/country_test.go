package tlsconf_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/tlsconf"
	"github.com/piano-roc/rpn/tlsconf/identity"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// keys is shared by the tests: RSA keys are slow to make.
var keys = igc.NewKeys()

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// certmagic lets these two end by themselves, or with the process.
		goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.keepLockfileFresh"),
		goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.(*RingBufferRateLimiter).loop"),
		goleak.Cleanup(func(code int) {
			os.RemoveAll(pebbleDir)
			os.Exit(code)
		}))
}

const (
	chu   = "1010000008" // fictitious structure ids
	autre = "1020000009"
)

func newPKI(t *testing.T) *igc.PKI {
	t.Helper()
	return igc.New(igc.Options{Keys: keys, ECDSA: true})
}

func trustOf(p *igc.PKI, s igc.Side) *trust.Trust {
	return trust.NewTrust(p.Roots(s), p.Intermediates(s))
}

// A door is a Listener on loopback that greets who comes in, and remembers
// who did not.
type door struct {
	*tlsconf.Listener
	failures chan *trust.Failure
	welcomes chan string // "TLS 1.3", "TLS 1.3 resumed"
	log      *lockedBuffer
	stays    atomic.Bool // leaves it to the peer to end
	server   *tlsconf.Server
}

type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func openDoor(t *testing.T, o tlsconf.ServerOptions, more func(*tlsconf.ListenerOptions)) *door {
	t.Helper()
	server, err := tlsconf.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &door{failures: make(chan *trust.Failure, 1000), welcomes: make(chan string, 1000), log: &lockedBuffer{}, server: server}
	lo := tlsconf.ListenerOptions{
		Server:    server,
		Log:       slog.New(slog.NewJSONHandler(d.log, nil)),
		OnFailure: func(f *trust.Failure) { d.failures <- f },
		OnHandshake: func(version string, resumed bool) {
			if resumed {
				version += " resumed"
			}
			d.welcomes <- version
		},
	}
	if more != nil {
		more(&lo)
	}
	d.Listener, err = tlsconf.NewListener(inner, lo)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.greet(t)
	}()
	t.Cleanup(func() {
		d.Close()
		<-done
	})
	return d
}

// greet writes the CN of whoever comes in, until the door closes.
func (d *door) greet(t *testing.T) {
	var talks sync.WaitGroup
	defer talks.Wait()
	for {
		c, err := d.Accept()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("Accept: %v", err)
			}
			return
		}
		talks.Go(func() {
			defer c.Close()
			io.WriteString(c, "bonjour "+c.(*tlsconf.Conn).Leaf().Subject.CommonName+"\n")
			if !d.stays.Load() {
				c.(*tlsconf.Conn).CloseWrite()
			}
			io.Copy(io.Discard, c)
		})
	}
}

// goodDoor is a door as the RPN has it.
func goodDoor(t *testing.T, p *igc.PKI) *door {
	t.Helper()
	return openDoor(t, tlsconf.ServerOptions{
		Certificate: identity.FixedSource(p.Server(igc.EtablissementTLS, "rpn.test").TLS()),
		Clients:     trust.FixedStore(trustOf(p, igc.EtablissementTLS)),
	}, nil)
}

// knock connects with that configuration, and returns the greeting.
func (d *door) knock(config *tls.Config) (string, error) {
	c, err := (&tls.Dialer{Config: config}).DialContext(context.Background(), "tcp", d.Addr().String())
	if err != nil {
		return "", err
	}
	defer c.Close()
	line, err := bufio.NewReader(c).ReadString('\n')
	return strings.TrimSpace(line), err
}

func (d *door) failure(t *testing.T) *trust.Failure {
	t.Helper()
	select {
	case f := <-d.failures:
		return f
	case <-time.After(20 * time.Second):
		t.Fatal("no failure was reported")
		return nil
	}
}

func clientConfig(p *igc.PKI, pairs ...igc.Pair) *tls.Config {
	c := &tls.Config{RootCAs: pool(p.Roots(igc.EtablissementTLS)), ServerName: "rpn.test"}
	if len(pairs) > 0 {
		own := pairs[0].TLS()
		// Presented whatever the server asks for, as a peer that is set up wrong does.
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &own, nil }
	}
	return c
}

func pool(certs []*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range certs {
		p.AddCert(c)
	}
	return p
}
