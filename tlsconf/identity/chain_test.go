package identity_test

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/tlsconf/identity"
)

// A leaf without its intermediate, or with another one, is completed from the
// trust stores; where they lack it too that is said, and a reload that would
// break what held is refused.
func TestOurChainIsCompletedOrSaid(t *testing.T) {
	t.Parallel()
	p := igc.New(igc.Options{ECDSA: true})
	other := igc.New(igc.Options{ECDSA: true})
	side := igc.EtablissementTLS
	known := append(p.Roots(side), p.Intermediates(side)...)
	full := p.Server(side, "rpn.exemple.test")
	chain := func(above ...*x509.Certificate) igc.Pair {
		return igc.Pair{Cert: full.Cert, Key: full.Key, Chain: above}
	}
	inter, root := p.Intermediates(side)[0], p.Roots(side)[0]
	for name, c := range map[string]struct {
		pair   igc.Pair
		known  []*x509.Certificate
		sent   int // certificates
		linked bool
	}{
		"whole":                                {chain(inter), nil, 2, true},
		"whole, with its root":                 {chain(inter, root), nil, 2, true},
		"in another order":                     {chain(root, inter), nil, 2, true},
		"alone":                                {chain(), nil, 1, false},
		"alone, the stores have it":            {chain(), known, 2, true},
		"with another one":                     {chain(other.Intermediates(side)[0]), nil, 1, false},
		"with another one, the stores have it": {chain(other.Intermediates(side)[0]), known, 2, true},
		"the stores have others":               {chain(), append(other.Roots(side), other.Intermediates(side)...), 1, false},
	} {
		dir := t.TempDir()
		certificate, key, err := c.pair.Write(dir, "own")
		if err != nil {
			t.Fatal(err)
		}
		s, err := identity.OpenSource(identity.SourceOptions{Name: "server", CertFile: certificate, KeyFile: key, Purpose: identity.ForServer,
			Authorities: func() []*x509.Certificate { return c.known }})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := len(s.Certificate().Certificate); got != c.sent || len(s.Chain()) != c.sent {
			t.Errorf("%s: %d certificates are sent, want %d", name, got, c.sent)
		}
		if linked := len(s.Unlinked()) == 0; linked != c.linked {
			t.Errorf("%s: %q", name, s.Unlinked())
		}
		if !c.linked {
			continue
		}
		// Its renewal, alone, of a CA that nobody here knows.
		next := other.Server(side, "rpn.exemple.test")
		nextCertificate, nextKey, err := igc.Pair{Cert: next.Cert, Key: next.Key}.Write(dir, "next")
		if err != nil {
			t.Fatal(err)
		}
		move(t, nextCertificate, certificate)
		move(t, nextKey, key)
		if _, err := s.Reload(); err == nil || !strings.Contains(err.Error(), "intermediate") {
			t.Errorf("%s: a reload that breaks what held: %v", name, err)
		}
		if change, err := s.Prepare(true); err != nil || len(change.What) == 0 {
			t.Errorf("%s: forced: %v", name, err)
		}
	}
}

func move(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, filepath.Clean(to)); err != nil {
		t.Fatal(err)
	}
}
