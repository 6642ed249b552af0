package identity

import (
	"crypto/x509"

	"github.com/piano-roc/rpn/internal/roc"
)

// A Named is one of our own identities, under its name in the configuration.
type Named struct {
	Name string
	*Source
}

// A List is our own identities, every one: the server's certificate, the
// client's, the signature of the façade. Whoever checks, reloads, counts or shows
// our certificates goes by it, so that none is forgotten.
type List []Named

// Of returns the identity of that name, nil when there is none.
func (l List) Of(name string) *Source {
	for _, n := range l {
		if n.Name == name {
			return n.Source
		}
	}
	return nil
}

// Purpose is what the identity is for.
func (s *Source) Purpose() Purpose { return s.options.Purpose }

// Chain returns the preferred current certificate and those that go with it,
// parsed; nil when there is none yet.
func (s *Source) Chain() []*x509.Certificate {
	c := s.Certificate()
	if c == nil {
		return nil
	}
	chain := []*x509.Certificate{c.Leaf}
	for _, der := range c.Certificate[1:] {
		above, err := roc.ParseCertificate(der)
		if err != nil {
			break
		}
		chain = append(chain, above)
	}
	return chain
}
