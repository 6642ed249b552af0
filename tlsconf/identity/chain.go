package identity

import (
	"crypto/x509"
	"fmt"
	"slices"

	"github.com/piano-roc/rpn/tlsconf/trust"
)

// chainOf returns the leaf and the CAs above it, each issued by the next, the
// root left out: from what its file holds, and where that lacks one from the
// authorities of the trust stores. What is above nothing is left out. linked says
// whether the issuer of the leaf was found: without it most peers refuse us.
func chainOf(certs, authorities []*x509.Certificate) (chain []*x509.Certificate, linked bool) {
	chain = certs[:1:1]
	for len(chain) < trust.MaxPresented {
		top := chain[len(chain)-1]
		if trust.IsSelfSigned(top) {
			break
		}
		above := issuerAmong(certs[1:], top)
		if above == nil {
			above = issuerAmong(authorities, top)
		}
		if above == nil || slices.ContainsFunc(chain, above.Equal) {
			break
		}
		chain = append(chain, above)
	}
	linked = len(chain) > 1 || trust.IsSelfSigned(chain[0])
	if last := len(chain) - 1; last > 0 && trust.IsSelfSigned(chain[last]) {
		chain = chain[:last]
	}
	return chain, linked
}

// issuerAmong returns the CA that signed c; of several certificates of one, the
// one that ends last.
func issuerAmong(all []*x509.Certificate, c *x509.Certificate) (best *x509.Certificate) {
	for _, ca := range all {
		if (best == nil || ca.NotAfter.After(best.NotAfter)) && trust.Issued(ca, c) {
			best = ca
		}
	}
	return best
}

// Unlinked says of each certificate of the Source whose issuer is neither in its
// file nor in a trust store what to do; nil: none.
func (s *Source) Unlinked() []string {
	o := s.current.Load()
	if o == nil {
		return nil
	}
	var all []string
	for _, c := range o.unlinked {
		all = append(all, fmt.Sprintf("%s: the CA that issued it (%s) is neither in its file nor in a trust store, and peers that lack it will refuse us: "+
			"put the intermediate after the certificate in its file", trust.Describe(c), trust.NameOf(c.Issuer)))
	}
	return all
}
