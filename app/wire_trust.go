package app

import (
	"crypto/x509"
	"errors"
	"io/fs"
	"sync"

	"github.com/piano-roc/rpn/app/config"
	"github.com/piano-roc/rpn/internal/xmlsig"
	"github.com/piano-roc/rpn/tlsconf/expiry"
	"github.com/piano-roc/rpn/tlsconf/identity"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// A namedStore is a trust store, its key in the configuration and its file.
type namedStore struct {
	name, path string
	store      *trust.Store
}

func storesOf(c *config.Config, s *trust.Stores) []namedStore {
	return []namedStore{
		{"etablissements_tls", c.Trust.EtablissementsTLS, s.EtablissementTLS},
		{"etablissements_signature", c.Trust.EtablissementsSignature, s.EtablissementSignature},
		{"amc_tls", c.Trust.AMCTLS, s.AMCTLS},
		{"amc_signature", c.Trust.AMCSignature, s.AMCSignature},
	}
}

// storeOptions are what the configuration says of a trust store. The
// environment is part of it: a store of the other one is refused, at start and
// at each reload.
func (a *App) storeOptions(name string, o trust.StoreOptions) trust.StoreOptions {
	o.Now = a.now
	o.Environment = trust.Testing
	if a.config.Environment == config.Production {
		o.Environment = trust.Production
	}
	o.Rules = a.config.Trust.RulesOf(name)
	switch name {
	case "etablissements_tls":
		o.InUse = a.inventory.InUse(expiry.CallerTLS, trust.AsClient)
	case "etablissements_signature":
		o.InUse = a.inventory.InUse(expiry.CallerSignature, trust.AsSigner)
	case "amc_tls":
		o.InUse = a.inventory.InUse(expiry.PeerTLS, trust.AsServer)
	case "amc_signature":
		o.InUse = a.inventory.InUse(expiry.PeerSignature, trust.AsSigner)
	}
	return o
}

// signatureTrust gives a signature store in the form that xmlsig takes: the
// same generation as long as the store's is the same. Whoever has proved to sign
// under it is entered in the inventory, and nobody else.
func (a *App) signatureTrust(s *trust.Store, kind expiry.Kind) func() *xmlsig.Trust {
	var mu sync.Mutex
	var from *trust.Trust
	var made *xmlsig.Trust
	var generation uint64 // of the revocation data: no verdict outlives what it rested on
	return func() *xmlsig.Trust {
		t, now := s.Trust(), a.revocation.Generation()
		mu.Lock()
		defer mu.Unlock()
		if t != from || now != generation {
			generation = now
			from, made = t, xmlsig.NewTrust(t.Signature(a.revocation)).
				OnProved(func(chain []*x509.Certificate) { a.inventory.Saw(kind, ownerOf(chain[0]), chain) })
		}
		return made
	}
}

// openTrust reads our certificates and the four trust stores, and says
// everything that is wrong with them.
func (a *App) openTrust() error { return errors.Join(a.readTrust()...) }

// readTrust is openTrust that gives each fault by itself, and keeps what could be
// read: a store that could not be is nil.
func (a *App) readTrust() (problems []error) {
	c := a.config
	stores, err := trust.OpenStores(c.File()+": trust.", trust.StorePaths{
		EtablissementTLS:       []string{c.Trust.EtablissementsTLS},
		EtablissementSignature: []string{c.Trust.EtablissementsSignature},
		AMCTLS:                 []string{c.Trust.AMCTLS},
		AMCSignature:           []string{c.Trust.AMCSignature},
	}, a.storeOptions)
	for _, err := range each(err) {
		if a.looks != nil && errors.Is(err, fs.ErrNotExist) {
			continue // the configuration said it
		}
		problems = append(problems, setup(err, "then `rpn check` again"))
	}
	a.acme = map[string]*identity.ACME{}
	for _, own := range c.Identities() {
		if a.looks != nil && !looksAt(own.Pair) {
			continue
		}
		s, err := a.openOwn(own, stores)
		if err != nil {
			problems = append(problems, setup(err, "then `rpn check` again"))
			continue
		}
		a.own = append(a.own, identity.Named{Name: own.Name, Source: s})
	}
	a.stores = stores
	return problems
}

// each gives the errors that errors.Join joined, one by one.
func each(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, each(e)...)
		}
		return all
	}
	return []error{err}
}
