package tlstest

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/tlsconf"
	"github.com/piano-roc/rpn/tlsconf/identity"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// A Door is the listener of the RPN on loopback. It greets who comes in, and
// remembers who did and who did not.
type Door struct {
	*tlsconf.Listener
	Server   *tlsconf.Server
	Failures chan *trust.Failure
	Welcomes chan string // "TLS 1.3", "TLS 1.3 resumed"
	Log      *Buffer
	Stays    atomic.Bool // leaves it to the peer to end
	greeting atomic.Pointer[func(*tlsconf.Conn)]
}

// OpenDoor opens a door until the test ends; more, unless it is nil, changes
// its options before.
func OpenDoor(t *testing.T, o tlsconf.ServerOptions, more func(*tlsconf.ListenerOptions)) *Door {
	t.Helper()
	server, err := tlsconf.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &Door{Server: server, Failures: make(chan *trust.Failure, 1000), Welcomes: make(chan string, 1000), Log: &Buffer{}}
	d.Greet(func(c *tlsconf.Conn) { io.WriteString(c, "bonjour "+c.Leaf().Subject.CommonName+"\n") })
	lo := tlsconf.ListenerOptions{
		Server:    server,
		Log:       slog.New(slog.NewJSONHandler(d.Log, nil)),
		OnFailure: func(f *trust.Failure) { d.Failures <- f },
		OnHandshake: func(version string, resumed bool) {
			if resumed {
				version += " resumed"
			}
			d.Welcomes <- version
		},
	}
	if more != nil {
		more(&lo)
	}
	d.Listener, err = tlsconf.NewListener(inner, Listener(lo))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.serve(t)
	}()
	t.Cleanup(func() {
		d.Close()
		<-done
	})
	return d
}

// GoodDoor is a door as the RPN has it, before establishments.
func GoodDoor(t *testing.T, p *igc.PKI) *Door {
	t.Helper()
	return OpenDoor(t, tlsconf.ServerOptions{
		Certificate: identity.FixedSource(p.Server(igc.EtablissementTLS, "rpn.test").TLS()),
		Clients:     trust.FixedStore(Trust(p, igc.EtablissementTLS)),
	}, nil)
}

// Greet sets what is written to whoever comes in: "bonjour ", its CN and the
// end of a line, unless it is called.
func (d *Door) Greet(greeting func(*tlsconf.Conn)) { d.greeting.Store(&greeting) }

func (d *Door) serve(t *testing.T) {
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
			(*d.greeting.Load())(c.(*tlsconf.Conn))
			if !d.Stays.Load() {
				c.(*tlsconf.Conn).CloseWrite()
			}
			io.Copy(io.Discard, c)
		})
	}
}

// Knock connects with that configuration, and returns the first line of the
// greeting.
func (d *Door) Knock(config *tls.Config) (string, error) {
	c, err := (&tls.Dialer{Config: config}).DialContext(context.Background(), "tcp", d.Addr().String())
	if err != nil {
		return "", err
	}
	defer c.Close()
	line, err := bufio.NewReader(c).ReadString('\n')
	return strings.TrimSpace(line), err
}

// Failure is the next failure that the door reports.
func (d *Door) Failure(t *testing.T) *trust.Failure {
	t.Helper()
	select {
	case f := <-d.Failures:
		return f
	case <-time.After(20 * time.Second):
		t.Fatal("no failure was reported")
		return nil
	}
}

// Client is the configuration of a client of the door, which presents its pair
// whatever the server asks for, as a peer that is set up wrong does; without a
// pair it presents nothing.
func Client(p *igc.PKI, pairs ...igc.Pair) *tls.Config {
	c := &tls.Config{RootCAs: p.Pool(igc.EtablissementTLS), ServerName: "rpn.test"}
	if len(pairs) > 0 {
		own := pairs[0].TLS()
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &own, nil }
	}
	return c
}

// Listener completes the options of a listener with what a test does not give.
func Listener(o tlsconf.ListenerOptions) tlsconf.ListenerOptions {
	o.Deadline, o.Handshakes = cmp.Or(o.Deadline, 10*time.Second), cmp.Or(o.Handshakes, 1024)
	return o
}
