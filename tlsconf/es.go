package tlsconf

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"sync"
	"sync/atomic"
	"time"
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
	Certificate *Source          // ours
	Clients     *Store           // who may connect: the establishment TLS store
	Now         func() time.Time // nil: time.Now
}

// A Server is the TLS of the side that establishments reach: TLS 1.2 and 1.3,
// a client certificate required, HTTP/1.1. Safe for concurrent use.
type Server struct {
	certificate *Source
	clients     *Store
	now         func() time.Time

	mu         sync.Mutex // one new generation at a time
	generation atomic.Pointer[serverGeneration]
}

// A serverGeneration is a configuration and the ticket keys that belong to one
// Trust: a session of an older Trust cannot be resumed in it.
type serverGeneration struct {
	trust  *Trust
	made   time.Time
	keys   [][32]byte // the first one seals, all of them open
	config *tls.Config
}

// ticketKeyLife is how long a ticket key seals; it opens for twice that.
// crypto/tls rotates its own keys, but only those of the outer configuration,
// which know nothing of generations.
const ticketKeyLife = 12 * time.Hour

// NewServer checks its options and returns the Server.
func NewServer(o ServerOptions) (*Server, error) {
	if o.Certificate == nil || o.Clients == nil {
		return nil, errors.New("tlsconf: a server needs its certificate and the trust store of its clients")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Server{certificate: o.Certificate, clients: o.Clients, now: o.Now}, nil
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
	return s.clients.Trust().judge(presented, asClient, s.now())
}

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
	g := &serverGeneration{trust: s.clients.Trust(), made: s.now()}
	g.keys = ticketKeys(old, g)
	g.config = s.base(g.trust.anchors)
	g.config.SetSessionTicketKeys(g.keys)
	s.generation.Store(g)
	return g
}

func (s *Server) fresh(g *serverGeneration) bool {
	return g != nil && g.trust == s.clients.Trust() && s.now().Sub(g.made) < ticketKeyLife
}

// ticketKeys returns the keys of the next generation: a new one, and the last
// one when only time has passed. Instances that share sessions would derive
// theirs here, from a shared secret and the Trust's Fingerprint.
func ticketKeys(old, next *serverGeneration) [][32]byte {
	keys := make([][32]byte, 1, 2)
	rand.Read(keys[0][:]) // never fails
	if old != nil && old.trust == next.trust {
		keys = append(keys, old.keys[0])
	}
	return keys
}
