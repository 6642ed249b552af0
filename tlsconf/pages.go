package tlsconf

import (
	"crypto/tls"
	"crypto/x509"
	"sync"
	"time"

	"github.com/piano-roc/rpn/tlsconf/identity"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// Pages returns the TLS of a listener for browsers. A client certificate is asked
// for and not required, and whoever shows one proves its key; whether it is
// accepted is asked at each request (Accepts), so that the answer can be a page,
// and who is put out is out at once, on an open connection too. The authorities of
// clients are named to the browser, which offers the certificates of theirs alone.
func Pages(own *identity.Source, now func() time.Time, clients ...*trust.Store) *tls.Config {
	base := &tls.Config{
		GetCertificate:         own.GetCertificate,
		ClientAuth:             tls.RequestClientCert,
		MinVersion:             tls.VersionTLS12,
		CipherSuites:           suites,
		CurvePreferences:       groups,
		NextProtos:             []string{"h2", "http/1.1"},
		SessionTicketsDisabled: true, // the certificate is proved on each connection
		Time:                   now,
	}
	named := &namedClients{stores: clients}
	config := base.Clone()
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		c := base.Clone()
		c.ClientCAs = named.pool()
		return c, nil
	}
	return config
}

// Accepts says whether the peer that presented these certificates, and has proved
// its key, is accepted by a store as a client, now. It fails closed.
func Accepts(s *trust.Store, revocation trust.Revocation, now func() time.Time) func(presented []*x509.Certificate) error {
	return func(presented []*x509.Certificate) error {
		a, err := s.Trust().Verify(presented, trust.AsClient, revocation, now())
		if err != nil {
			return err
		}
		a.Remember(revocation)
		return nil
	}
}

// namedClients is the authorities of some stores, made again when one of them
// changes.
type namedClients struct {
	stores []*trust.Store

	mu   sync.Mutex // guards the rest
	of   []*trust.Trust
	made *x509.CertPool
}

func (n *namedClients) pool() *x509.CertPool {
	n.mu.Lock()
	defer n.mu.Unlock()
	same := len(n.of) == len(n.stores)
	for i, s := range n.stores {
		same = same && n.of[i] == s.Trust()
	}
	if same {
		return n.made
	}
	n.of, n.made = nil, x509.NewCertPool()
	for _, s := range n.stores {
		t := s.Trust()
		n.of = append(n.of, t)
		for _, list := range [][]*x509.Certificate{t.Roots(), t.Intermediates()} {
			for _, c := range list {
				n.made.AddCert(c)
			}
		}
	}
	return n.made
}
