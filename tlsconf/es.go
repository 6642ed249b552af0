package tlsconf

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/piano-roc/rpn/tlsconf/identity"
	"github.com/piano-roc/rpn/tlsconf/revocation"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// suites are the TLS 1.2 suites of the ANSSI guide: ephemeral keys, AEAD.
// Those of TLS 1.3 are all good and not ours to choose; of the order
// crypto/tls decides by what the hardware does best.
var suites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// ServerOptions are what a Server needs.
type ServerOptions struct {
	Certificate *identity.Source    // ours
	Clients     *trust.Store        // who may connect: the establishment TLS store
	Revocation  *revocation.Checker // nil: nobody is revoked
	Tickets     *TicketSecret       // shared by instances; nil: sessions are resumed by this process only
	Now         func() time.Time    // nil: time.Now
}

// A Server is the TLS of the side that establishments reach: TLS 1.2 and 1.3,
// a client certificate required, HTTP/1.1. Safe for concurrent use.
type Server struct {
	certificate *identity.Source
	clients     *trust.Store
	revocation  *revocation.Checker
	tickets     *TicketSecret
	now         func() time.Time
	live        live

	mu         sync.Mutex // one new generation at a time
	generation atomic.Pointer[serverGeneration]
}

// A serverGeneration is a configuration and the ticket keys that belong to one
// Trust: a session of an older Trust cannot be resumed in it.
type serverGeneration struct {
	trust  *trust.Trust
	secret *[sha256.Size]byte // the keys were made from it; nil: at random
	made   time.Time
	keys   [][32]byte // the first one seals, all of them open
	config *tls.Config
	brisk  *tls.Config // for who is familiar: judge alone looks at the certificate
	known  familiar
}

// configFor returns the configuration for a peer that comes from there and
// says this. A session that was begun under brisk holds no chain that crypto/tls
// checked, and can only go on under brisk, in this instance or another: so a
// TLS 1.3 client that offers one (pre_shared_key) gets it, and TLS 1.2, where
// an offer does not show, never does.
func (g *serverGeneration) configFor(h *tls.ClientHelloInfo) *tls.Config {
	if !slices.Contains(h.SupportedVersions, tls.VersionTLS13) {
		return g.config
	}
	if slices.Contains(h.Extensions, extensionPreSharedKey) || g.known.holds(h.Conn.RemoteAddr()) {
		return g.brisk
	}
	return g.config
}

const extensionPreSharedKey = 41 // RFC 8446, 4.2.11

// NewServer checks its options and returns the Server.
func NewServer(o ServerOptions) (*Server, error) {
	if o.Certificate == nil || o.Clients == nil {
		return nil, errors.New("tlsconf: a server needs its certificate and the trust store of its clients")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Server{certificate: o.Certificate, clients: o.Clients, revocation: o.Revocation, tickets: o.Tickets, now: o.Now}, nil
}

// Config returns the configuration for a server that does its own handshakes
// (net/http); a Listener is better, it tells why a handshake failed.
func (s *Server) Config() *tls.Config {
	c := s.base(x509.NewCertPool()) // trusts nobody: what serves is the generation's
	c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.current().config, nil }
	return c
}

func (s *Server) base(clients *x509.CertPool) *tls.Config {
	return &tls.Config{
		GetCertificate:   s.certificate.GetCertificate,
		ClientAuth:       tls.RequireAndVerifyClientCert,
		ClientCAs:        clients,
		VerifyConnection: s.verify,
		MinVersion:       tls.VersionTLS12,
		CipherSuites:     suites,
		NextProtos:       []string{"http/1.1"},
		Time:             s.now,
		// Renegotiation: crypto/tls servers never accept it.
		// CurvePreferences: the defaults (X25519, also with ML-KEM, and the
		// NIST curves) are those of the ANSSI guide.
	}
}

// verify runs on new and on resumed sessions alike, and judges by the trust of
// the moment, not by that of the session. It fails closed.
func (s *Server) verify(cs tls.ConnectionState) error {
	return s.judge(cs.PeerCertificates)
}

func (s *Server) judge(presented []*x509.Certificate) error {
	return s.clients.Trust().Verify(presented, trust.AsClient, s.revocation, s.now())
}

// An epoch changes when somebody who was let in might no longer be.
type epoch struct {
	trust      *trust.Trust
	revocation uint64
}

func (s *Server) epoch() epoch { return epoch{s.clients.Trust(), s.revocation.Generation()} }

// admit takes in a connection whose handshake was begun at that epoch. What
// changed since then may have swept before the connection was there to see.
func (s *Server) admit(m *member, begun epoch) error {
	s.live.enter(m)
	if s.epoch() == begun {
		return nil
	}
	if err := m.judge(); err != nil {
		s.live.leave(m)
		return err
	}
	return nil
}

// Sweep judges every open connection again, as a new handshake would be, and
// closes those that would be refused: revoked, denied, expired, of a CA that
// was removed. also is asked about the others; it may be nil, and what it
// returns closes the connection as struck-off. Call it when the trust store or
// the revocation data change, and now and then for the clock.
func (s *Server) Sweep(also func(leaf *x509.Certificate) error) []Cut { return s.live.sweep(also) }

// Open is the number of open connections.
func (s *Server) Open() int { return s.live.count() }

// current returns the generation of the current Trust.
func (s *Server) current() *serverGeneration {
	if g := s.generation.Load(); s.fresh(g) {
		return g
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.generation.Load()
	if s.fresh(old) {
		return old
	}
	g := &serverGeneration{trust: s.clients.Trust(), secret: s.secret(), made: s.now()}
	g.config = s.base(g.trust.Anchors())
	var err error
	if g.keys, err = ticketKeys(g.secret, old, g); err != nil {
		g.config.SessionTicketsDisabled = true // full handshakes only
	} else {
		g.config.SetSessionTicketKeys(g.keys)
	}
	g.brisk = g.config.Clone()
	g.brisk.ClientAuth = tls.RequireAnyClientCert
	s.generation.Store(g)
	return g
}

func (s *Server) fresh(g *serverGeneration) bool {
	if g == nil || g.trust != s.clients.Trust() || g.secret != s.secret() {
		return false
	}
	at := s.now()
	if g.secret != nil {
		return ticketTurn(at) == ticketTurn(g.made)
	}
	return at.Sub(g.made) < ticketKeyLife
}

func (s *Server) secret() *[sha256.Size]byte {
	if s.tickets == nil {
		return nil
	}
	return s.tickets.current.Load()
}
