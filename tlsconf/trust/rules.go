package trust

import (
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"slices"
)

// Rules are what a store demands of a certificate beside a chain to one of its
// roots, key and extended key usages, and the floor that no configuration
// lowers: RSA of 2048 bits, P-256, SHA-256. The zero Rules demand nothing more.
type Rules struct {
	// Policies are certificate policies (OIDs), one of which the leaf must
	// carry. None: not looked at.
	Policies []x509.OID
	// RSABits is the smallest RSA key, of the leaf and of every CA above it.
	// 0, or less than MinRSABits: that.
	RSABits int
	// Depth is how many CAs may stand above a leaf, its root included. 0:
	// DefaultDepth.
	Depth int
	// Environment is what a leaf's product category must be of; a Store sets it.
	Environment Environment
}

// MinRSABits is the smallest RSA key that any rules accept; DefaultDepth how
// many CAs may stand above a leaf where nothing else is said.
const (
	MinRSABits   = 2048
	DefaultDepth = 4
)

// check says why a chain, leaf first and root last, breaks the rules that need
// the chain.
func (r Rules) check(chain []*x509.Certificate) *Failure {
	depth := r.Depth
	if depth == 0 {
		depth = DefaultDepth
	}
	if n := len(chain) - 1; n > depth {
		return &Failure{Reason: UnknownCA, Detail: fmt.Sprintf("%d CAs stand above the certificate, and %d are accepted", n, depth)}
	}
	for i, c := range chain {
		if k, ok := c.PublicKey.(*rsa.PublicKey); ok && k.N.BitLen() < r.RSABits {
			return &Failure{Reason: WeakKey, Detail: fmt.Sprintf("%s has an RSA key of %d bits: %d are needed", Whose(i, c), k.N.BitLen(), r.RSABits)}
		}
	}
	if len(r.Policies) > 0 && !slices.ContainsFunc(chain[0].Policies, r.names) {
		return &Failure{Reason: WrongUsage, Detail: "the certificate carries none of the certificate policies that are asked of it: was another certificate of the same owner meant?"}
	}
	return nil
}

func (r Rules) names(p x509.OID) bool {
	return slices.ContainsFunc(r.Policies, p.Equal)
}
