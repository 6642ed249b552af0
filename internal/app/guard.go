package app

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/piano-roc/rpn/internal/xmlsig"
	"github.com/piano-roc/rpn/tlsconf"
)

// forbidTestAuthorities refuses, in production, a trust store that holds an
// authority whose name says that it is for tests: anybody can obtain
// certificates from those.
func forbidTestAuthorities(c *Config, stores ...namedStore) error {
	if c.Environment != Production {
		return nil
	}
	for _, s := range stores {
		t := s.store.Trust()
		for _, ca := range slices.Concat(t.Roots(), t.Intermediates()) {
			if word := testWord(ca.Subject.String()); word != "" {
				return &SetupError{
					What:   fmt.Sprintf("%s: trust.%s: %s holds an authority that is not for production (%q in %s)", c.file, s.name, s.path, word, ca.Subject),
					Remedy: "take the production authorities, or set environment: test",
				}
			}
		}
	}
	return nil
}

// forbidTestCertificates refuses, in production, a certificate of ours that
// such an authority issued.
func forbidTestCertificates(c *Config, own ...*x509.Certificate) error {
	if c.Environment != Production {
		return nil
	}
	for _, leaf := range own {
		if word := testWord(leaf.Issuer.String()); word != "" {
			return &SetupError{
				What:   fmt.Sprintf("%s: the certificate %s was issued by an authority that is not for production (%q in %s)", c.file, leaf.Subject, word, leaf.Issuer),
				Remedy: "take a production certificate, or set environment: test",
			}
		}
	}
	return nil
}

// testWord returns the word of a name that says TEST or DEMO, or "".
func testWord(name string) string {
	words := strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsLetter(r) })
	for _, w := range words {
		if slices.Contains([]string{"TEST", "TESTS", "DEMO", "FICTIF", "FICTIVE"}, strings.ToUpper(w)) {
			return w
		}
	}
	return ""
}

// A namedStore is a trust store, its key in the configuration and its file.
type namedStore struct {
	name, path string
	store      *tlsconf.Store
}

func storesOf(c *Config, s *tlsconf.Stores) []namedStore {
	return []namedStore{
		{"etablissements_tls", c.Trust.EtablissementsTLS, s.EtablissementTLS},
		{"etablissements_signature", c.Trust.EtablissementsSignature, s.EtablissementSignature},
		{"amc_tls", c.Trust.AMCTLS, s.AMCTLS},
		{"amc_signature", c.Trust.AMCSignature, s.AMCSignature},
	}
}

// signatureTrust gives a signature store in the form that xmlsig takes: the
// same generation as long as the store's is the same.
func (a *App) signatureTrust(s *tlsconf.Store) func() *xmlsig.Trust {
	var mu sync.Mutex
	var from *tlsconf.Trust
	var made *xmlsig.Trust
	var generation uint64 // of the revocation data: no verdict outlives what it rested on
	return func() *xmlsig.Trust {
		t, now := s.Trust(), a.revocation.Generation()
		mu.Lock()
		defer mu.Unlock()
		if t != from || now != generation {
			generation = now
			from, made = t, xmlsig.NewTrustWithRules(t.Roots(), t.Intermediates(), t.Admit, a.revoked)
		}
		return made
	}
}
