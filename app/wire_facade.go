package app

import (
	"crypto/tls"
	"sync/atomic"
	"time"

	"github.com/piano-roc/rpn/app/config"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/xmlsig"
	"github.com/piano-roc/rpn/proxy/facade"
	"github.com/piano-roc/rpn/tlsconf/identity"
)

// facade is what answers the searches of establishments.
func (a *App) facade(answers *xmlsig.Verifier) *facade.Facade {
	c := a.config
	o := facade.Options{
		Verifier: answers, Signer: c.Annuaire.Signer, Directory: a.directory, Limits: soapLimits(c),
		Endpoint: c.Endpoint, Life: c.Facade.Life, Now: a.now,
	}
	if c.Facade.Signature == nil {
		return facade.New(o)
	}
	signing := signingKey(a.own.Of(config.FacadeSignature))
	o.Keys = a.secrets
	o.Sign = func(m roc.Content, at time.Time) (roc.Content, error) {
		return xmlsig.Sign(m, signing(), xmlsig.SignOptions{At: at})
	}
	return facade.New(o)
}

// signingKey returns the key of an identity as xmlsig takes it: another one once
// its certificate was reloaded.
func signingKey(own *identity.Source) func() xmlsig.Key {
	type made struct {
		from *tls.Certificate
		key  xmlsig.Key
	}
	var last atomic.Pointer[made]
	return func() xmlsig.Key {
		now := own.Certificate()
		if m := last.Load(); m != nil && m.from == now {
			return m.key
		}
		chain := own.Chain()
		m := &made{now, xmlsig.Key{Certificate: chain[0], Chain: chain[1:], Signer: own.Signer()}}
		last.Store(m)
		return m.key
	}
}
