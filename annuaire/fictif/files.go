package fictif

import (
	"crypto/tls"
	"fmt"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/xmlsig"
	"github.com/piano-roc/rpn/tlsconf"
	"github.com/piano-roc/rpn/tlsconf/identity"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// Files are where the annuaire's own certificates and those whom it trusts
// lie. Errors name them as the flags of the command do.
type Files struct {
	Cert, Key         string   // --cert and --key: our TLS server certificate, then its intermediates
	ClientCA          []string // --client-ca: files or folders, the CAs of TLS clients
	SignCert, SignKey string   // --sign-cert and --sign-key: with which answers are signed
}

// Read reads every file: the key of Options, and TLS for the server.
func (f Files) Read() (key xmlsig.Key, server *tls.Config, err error) {
	own, err := identity.OpenSource(identity.SourceOptions{Name: "--cert and --key", CertFile: f.Cert, KeyFile: f.Key, Purpose: identity.ForServer})
	if err != nil {
		return key, nil, err
	}
	clients, err := trust.OpenStore(trust.StoreOptions{Name: "--client-ca", Paths: f.ClientCA})
	if err != nil {
		return key, nil, err
	}
	s, err := tlsconf.NewServer(tlsconf.ServerOptions{Certificate: own, Clients: clients})
	if err != nil {
		return key, nil, err
	}
	if key, err = f.signatureKey(); err != nil {
		return key, nil, err
	}
	return key, s.Config(), nil
}

func (f Files) signatureKey() (xmlsig.Key, error) {
	source, err := identity.OpenSource(identity.SourceOptions{Name: "--sign-cert and --sign-key", CertFile: f.SignCert, KeyFile: f.SignKey, Purpose: identity.ForSignature})
	if err != nil {
		return xmlsig.Key{}, err
	}
	c := source.Certificate()
	key := xmlsig.Key{Certificate: c.Leaf, Signer: source.Signer()}
	for _, der := range c.Certificate[1:] {
		cert, err := roc.ParseCertificate(der)
		if err != nil {
			return xmlsig.Key{}, fmt.Errorf("--sign-cert %s: an intermediate is unreadable: %w", f.SignCert, err)
		}
		key.Chain = append(key.Chain, cert)
	}
	return key, nil
}
