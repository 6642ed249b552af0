package tlsconf

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/piano-roc/rpn/tlsconf/identity"
	"github.com/piano-roc/rpn/tlsconf/revocation"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// ClientOptions are what a Client needs.
type ClientOptions struct {
	Certificate *identity.Source    // ours, AUTH_CLI
	Servers     *trust.Store        // to whom we connect: the AMC TLS store
	Revocation  *revocation.Checker // nil: nobody is revoked
	Now         func() time.Time    // nil: time.Now
	Sessions    int                 // remembered sessions; 0: 256, enough for the country's AMC
	// OnPeer is told by which chain each server was accepted, its own
	// certificate first, once it has proved its key. It must not block, and may
	// be nil.
	OnPeer func(serverName string, chain []*x509.Certificate)
}

// A Client is the TLS of the side toward the annuaire and the AMC. The AMC TLS
// store is all it trusts; system roots are never consulted. Safe for
// concurrent use.
type Client struct {
	options ClientOptions
	live    live

	mu         sync.Mutex // one new generation at a time
	generation atomic.Pointer[clientGeneration]
}

// A clientGeneration belongs to one Trust and one certificate of ours: its
// session cache goes with them, or a resumed session would speak under a
// certificate that was replaced.
type clientGeneration struct {
	trust  *trust.Trust
	own    *tls.Certificate
	config *tls.Config
}

// NewClient checks its options and returns the Client.
func NewClient(o ClientOptions) (*Client, error) {
	if o.Certificate == nil || o.Servers == nil {
		return nil, errors.New("tlsconf: a client needs its certificate and the trust store of its servers")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Sessions == 0 {
		o.Sessions = 256
	}
	return &Client{options: o}, nil
}

// Config returns the configuration for one connection to the server of that
// DNS name. Ask again for each connection: it changes with a reload.
func (c *Client) Config(serverName string) *tls.Config {
	config := c.current().config.Clone()
	config.ServerName = serverName
	// Not the state's ServerName: that one is the SNI, empty for an address.
	config.VerifyConnection = func(cs tls.ConnectionState) error {
		_, err := c.verify(cs.PeerCertificates, serverName)
		return err
	}
	return config
}

// Handshake makes conn a TLS connection to the server of that DNS name, within
// ctx. On an error, always a *Failure, conn is closed.
//
// In TLS 1.3 a server that refuses our certificate says so after the
// handshake, at the first read.
func (c *Client) Handshake(ctx context.Context, conn net.Conn, serverName string) (*tls.Conn, error) {
	return c.handshake(ctx, conn, serverName, c.Config(serverName))
}

// ClassicHandshake is Handshake with a small ClientHello, without post-quantum
// key exchange and without a session to resume, for an old front that reads no more than 1 500 bytes.
func (c *Client) ClassicHandshake(ctx context.Context, conn net.Conn, serverName string) (*tls.Conn, error) {
	config := c.Config(serverName)
	config.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384}
	config.ClientSessionCache = nil // the server's ticket would make it large again
	return c.handshake(ctx, conn, serverName, config)
}

func (c *Client) handshake(ctx context.Context, conn net.Conn, serverName string, config *tls.Config) (*tls.Conn, error) {
	begun := c.epoch()
	w := &watched{Conn: conn, live: &c.live}
	var accepted *trust.Accepted
	config.VerifyConnection = func(cs tls.ConnectionState) (err error) {
		accepted, err = c.verify(cs.PeerCertificates, serverName)
		return err
	}
	t := tls.Client(w, config)
	err := t.HandshakeContext(ctx)
	if err == nil {
		accepted.Remember(c.options.Revocation) // the server has proved that it holds its key
		err = c.admit(w, t, serverName, accepted, begun)
	}
	if err != nil {
		w.Close()
		f := explain(err, offered{})
		f.Peer = conn.RemoteAddr().String()
		return nil, f
	}
	if c.options.OnPeer != nil {
		c.options.OnPeer(serverName, accepted.Chain())
	}
	return t, nil
}

func (c *Client) epoch() epoch {
	return epoch{c.options.Servers.Trust(), c.options.Revocation.Generation()}
}

// admit takes in a connection, as Server.admit.
func (c *Client) admit(w *watched, t *tls.Conn, serverName string, accepted *trust.Accepted, begun epoch) error {
	presented := t.ConnectionState().PeerCertificates
	m := newMember(w.Conn, presented, accepted, func() (*trust.Accepted, error) { return c.verify(presented, serverName) })
	w.member.Store(m)
	c.live.enter(m)
	if c.epoch() == begun {
		return nil
	}
	_, err := m.verify()
	return err
}

// Sweep verifies every open connection again, as Server.Sweep, and closes those
// whose server would be refused: idle ones and those in use.
func (c *Client) Sweep() []Cut { return c.live.sweep(nil) }

// SweepEnded is Server.SweepEnded.
func (c *Client) SweepEnded() []Cut { return c.live.ended(c.options.Now()) }

// Open is the number of open connections.
func (c *Client) Open() int { return c.live.count() }

// verify says whether the server that presented these certificates is accepted
// under that name, on new and resumed sessions alike. It fails closed.
func (c *Client) verify(presented []*x509.Certificate, serverName string) (*trust.Accepted, error) {
	accepted, err := c.options.Servers.Trust().Verify(presented, trust.AsServer, c.options.Revocation, c.options.Now())
	if err != nil {
		return nil, err
	}
	if err := presented[0].VerifyHostname(serverName); err != nil {
		return nil, (&trust.Failure{Reason: trust.BadName, Err: err,
			Detail: "the server's certificate is not for " + trust.Safe(serverName) + ": " + trust.Safe(err.Error())}).Presented(presented[0])
	}
	return accepted, nil
}

func (c *Client) current() *clientGeneration {
	if g := c.generation.Load(); c.fresh(g) {
		return g
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if g := c.generation.Load(); c.fresh(g) {
		return g
	}
	g := &clientGeneration{trust: c.options.Servers.Trust(), own: c.options.Certificate.Certificate()}
	g.config = &tls.Config{
		// Not skipped: done by us, once, in VerifyConnection, which Config and
		// Handshake set for the name of the server; until then nobody passes.
		InsecureSkipVerify:   true,
		VerifyConnection:     func(tls.ConnectionState) error { return errNoName },
		CurvePreferences:     groups,
		GetClientCertificate: c.options.Certificate.GetClientCertificate,
		MinVersion:           tls.VersionTLS12,
		CipherSuites:         suites,
		NextProtos:           []string{"http/1.1"},
		Renegotiation:        tls.RenegotiateNever,
		ClientSessionCache:   tls.NewLRUClientSessionCache(c.options.Sessions),
		Time:                 c.options.Now,
	}
	c.generation.Store(g)
	return g
}

var errNoName = errors.New("tlsconf: a configuration without the name of its server accepts none")

func (c *Client) fresh(g *clientGeneration) bool {
	return g != nil && g.trust == c.options.Servers.Trust() && g.own == c.options.Certificate.Certificate()
}
