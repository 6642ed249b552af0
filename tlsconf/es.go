package tlsconf

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
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

// groups are the key exchanges of the ANSSI guide, those of the certificates
// accepted among them: P-521 is neither offered nor taken.
var groups = []tls.CurveID{tls.X25519MLKEM768, tls.X25519, tls.CurveP256, tls.CurveP384}

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
	keys   []ticketKey // the first one seals, all of them open
	cas    *dictionary // of the trust's CAs
	config *tls.Config
}

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
// (net/http); a Listener is better, it tells why a handshake failed, and
// remembers who was accepted.
func (s *Server) Config() *tls.Config {
	c := s.base(x509.NewCertPool()) // trusts nobody: what serves is the generation's
	c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.current().config, nil }
	return c
}

func (s *Server) base(clients *x509.CertPool) *tls.Config {
	return &tls.Config{
		GetCertificate: s.certificate.GetCertificate,
		// Verified by us, once, in VerifyConnection: the search of crypto/tls
		// would try whatever CAs a stranger presents (trust.Verify does not). The
		// price is that every refusal is told by one alert, bad_certificate.
		ClientAuth: tls.RequireAnyClientCert,
		ClientCAs:  clients, // named in the CertificateRequest
		VerifyConnection: func(cs tls.ConnectionState) error {
			_, err := s.verify(cs.PeerCertificates)
			return err
		},
		MinVersion:       tls.VersionTLS12,
		CipherSuites:     suites,
		CurvePreferences: groups,
		NextProtos:       []string{"http/1.1"},
		Time:             s.now,
		// Renegotiation: crypto/tls servers never accept it.
	}
}

// verify is asked of new handshakes, resumed sessions and open connections
// alike, and goes by the trust of the moment, not by that of the session. It
// fails closed.
func (s *Server) verify(presented []*x509.Certificate) (*trust.Accepted, error) {
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
	if _, err := m.verify(); err != nil {
		s.live.leave(m)
		return err
	}
	return nil
}

// Sweep verifies every open connection again, as a new handshake would be, and
// closes those that would be refused: revoked, denied, expired, of a CA that
// was removed. also is asked about the others; it may be nil, and what it
// returns closes the connection as struck-off. Call it when the trust store or
// the revocation data change, and now and then for the clock.
func (s *Server) Sweep(also func(leaf *x509.Certificate) error) []Cut { return s.live.sweep(also) }

// SweepEnded closes the connections whose certificates have ended. It costs
// next to nothing: call it every second or so.
func (s *Server) SweepEnded() []Cut { return s.live.ended(s.now()) }

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
		if old != nil && old.trust == g.trust && old.cas != nil {
			g.cas = old.cas
		} else {
			g.cas = dictionaryOf(g.trust)
		}
		g.config.WrapSession = g.seal
		g.config.UnwrapSession = func(ticket []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
			return g.open(ticket, cs, s.now()), nil
		}
	}
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
