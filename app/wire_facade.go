package app

import (
	"crypto"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/xmlsig"
	"github.com/piano-roc/rpn/proxy/facade"
)

// facade is what answers the searches of establishments.
func (a *App) facade(answers *xmlsig.Verifier) (*facade.Facade, error) {
	c := a.config
	o := facade.Options{
		Verifier: answers, Signer: c.Annuaire.Signer, MaxAge: c.Annuaire.MaxAge, Limits: soapLimits(c),
		Endpoint: c.Endpoint, Life: c.Facade.Life, Now: a.now,
	}
	if c.Facade.Signature == nil {
		return facade.New(o), nil
	}
	pair, err := tls.LoadX509KeyPair(c.Facade.Signature.Certificate, c.Facade.Signature.Key)
	if err != nil {
		return nil, setup(fmt.Errorf("%s: facade.signature: %w", c.File(), err), "give a certificate and its key, in PEM")
	}
	signer, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, setup(errors.New(c.File()+": facade.signature: this key does not sign"), "give an RSA or ECDSA key")
	}
	chain, err := parseChain(pair.Certificate)
	if err != nil {
		return nil, setup(fmt.Errorf("%s: facade.signature: %w", c.File(), err), "give the certificate in PEM")
	}
	if h := validity(chain[0], a.now()); !h.OK {
		return nil, setup(errors.New(c.File()+": facade.signature: "+h.Detail), "renew it")
	}
	key := xmlsig.Key{Certificate: chain[0], Chain: chain[1:], Signer: signer}
	o.Keys = a.secrets
	o.Sign = func(m roc.Content, at time.Time) (roc.Content, error) {
		return xmlsig.Sign(m, key, xmlsig.SignOptions{At: at})
	}
	return facade.New(o), nil
}
