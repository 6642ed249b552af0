package trust

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// This file is the one place where chains are built, for TLS on both sides and
// for signatures.
//
// What the peer presents is taken in its own order, each certificate issued by
// the next; there is no search. From each of them the store may take over: its
// CAs have their paths to a root, verified when the store was read. A chain is
// verified from the top: the store's CA first, then, by what that one vouches
// for, the rest. So no key that a stranger chose is computed with, and the first
// signature that fails ends it.

// A path is a CA of the store and those above it, a root last. The signatures
// in it were verified when the store was read.
type path []*x509.Certificate

// The bounds of what a store may be made of.
const (
	maxPathCAs = 8   // in one path
	maxPaths   = 64  // of one name
	maxSteps   = 512 // signatures verified for one store
)

// pathsOf returns the paths of a store's CAs, by the key of their subject.
func pathsOf(roots, intermediates []*x509.Certificate) map[string][]path {
	above := map[string][]path{}
	steps := 0
	var climb func(below path)
	climb = func(below path) {
		top := below[len(below)-1]
		if slices.ContainsFunc(roots, top.Equal) {
			key := NameKey(below[0].RawSubject)
			if len(above[key]) < maxPaths {
				above[key] = append(above[key], slices.Clone(below))
			}
			return
		}
		for _, ca := range slices.Concat(roots, intermediates) {
			if len(below) == maxPathCAs || slices.ContainsFunc(below, func(c *x509.Certificate) bool { return sameCA(c, ca) }) || !SameName(ca.RawSubject, top.RawIssuer) {
				continue
			}
			if steps++; steps > maxSteps || !signedBy(top, ca) {
				continue
			}
			climb(append(below[:len(below):len(below)], ca))
		}
	}
	for _, ca := range slices.Concat(roots, intermediates) {
		climb(path{ca})
	}
	return above
}

// sameCA says whether two certificates are of one CA: a name and a key.
func sameCA(a, b *x509.Certificate) bool {
	return string(a.RawSubjectPublicKeyInfo) == string(b.RawSubjectPublicKeyInfo) && SameName(a.RawSubject, b.RawSubject)
}

// signedBy verifies one signature.
func signedBy(c, by *x509.Certificate) bool {
	return by.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}

// maxVerified bounds the signatures verified for one peer, those by a P-384 key
// counted as dearVerified: an ordinary peer takes one or two, a CA that was
// renewed under its name one more each time.
const (
	maxVerified  = 12
	dearVerified = 3
)

// A search builds the chains of one peer.
type search struct {
	t        *Trust
	certs    []*x509.Certificate
	verified map[[2]string]bool // by the certificate and the key that may have signed it
	spent    int                // of maxVerified
	chains   [][]*x509.Certificate
	known    map[string]bool // chains, by the ids of their certificates
}

// chainsOf returns every chain from what is presented to a root of the store
// whose signatures hold, leaf first; whether they may be used is another
// question (see limitsOf).
func (t *Trust) chainsOf(p Presented) [][]*x509.Certificate {
	s := &search{t: t, certs: p.certs, verified: map[[2]string]bool{}, known: map[string]bool{}}
	for i, c := range s.certs {
		if i > 0 && !SameName(c.RawSubject, s.certs[i-1].RawIssuer) {
			break // what follows is above nothing
		}
		if i > 0 && t.holds(c) {
			break // the store's own paths from here on are known already
		}
		paths := t.above[NameKey(c.RawIssuer)]
		for _, likely := range []bool{true, false} { // the key that the certificate names first
			for _, above := range paths {
				if likely == (string(c.AuthorityKeyId) == string(above[0].SubjectKeyId)) {
					s.join(i, above)
				}
			}
		}
	}
	return s.chains
}

// join verifies, from the top, the chain of the first i+1 certificates and a
// path of the store.
func (s *search) join(i int, above path) {
	chain := append(slices.Clone(s.certs[:i+1]), above...)
	var key []byte
	for _, c := range chain {
		id := roc.IDOfCertificate(c)
		key = append(key, id[:]...)
	}
	if s.known[string(key)] {
		return
	}
	s.known[string(key)] = true
	for j := i; j >= 0; j-- {
		if !s.signed(chain[j], chain[j+1]) {
			return
		}
	}
	s.chains = append(s.chains, chain)
}

// signed verifies each signature once, and none by what is no CA.
func (s *search) signed(c, by *x509.Certificate) bool {
	if !by.IsCA {
		return false
	}
	key := [2]string{string(c.Raw), string(by.RawSubjectPublicKeyInfo)}
	good, known := s.verified[key]
	if !known {
		cost := 1
		if key, ok := by.PublicKey.(*ecdsa.PublicKey); ok && key.Curve == elliptic.P384() {
			cost = dearVerified
		}
		if s.spent += cost; s.spent > maxVerified {
			return false
		}
		s.t.signatures.Add(1)
		good = signedBy(c, by)
		s.verified[key] = good
	}
	return good
}

// holds says whether a certificate is one of the store's.
func (t *Trust) holds(c *x509.Certificate) bool {
	return slices.ContainsFunc(t.roots, c.Equal) || slices.ContainsFunc(t.intermediates, c.Equal)
}

// presentedIn is how many certificates of a chain, from the leaf, are not the
// store's.
func (t *Trust) presentedIn(chain []*x509.Certificate) int {
	if i := slices.IndexFunc(chain, t.holds); i >= 0 {
		return i
	}
	return len(chain)
}

// A window is when a whole chain is valid.
type window struct{ from, until time.Time }

func (w window) holds(at time.Time) bool { return !at.Before(w.from) && !at.After(w.until) }

func windowOf(chain []*x509.Certificate) window {
	w := window{chain[0].NotBefore, chain[0].NotAfter}
	for _, c := range chain[1:] {
		if c.NotBefore.After(w.from) {
			w.from = c.NotBefore
		}
		if c.NotAfter.Before(w.until) {
			w.until = c.NotAfter
		}
	}
	return w
}

// limitsOf says why a chain whose signatures hold may not be used for that
// purpose, whatever the time (RFC 5280 section 6.1): what each certificate says
// of those below it.
func (t *Trust) limitsOf(chain []*x509.Certificate, as Purpose) *Failure {
	below := 0 // CAs under this one that are not self-issued
	for i, c := range chain {
		if err := CheckKey(c.PublicKey); err != nil {
			return &Failure{Reason: WeakKey, Detail: fmt.Sprintf("%s %v", Whose(i, c), err)}
		}
		if i < len(chain)-1 && !StrongSignature(c.SignatureAlgorithm) {
			return &Failure{Reason: WeakKey, Detail: fmt.Sprintf("%s is signed with %s: SHA-256 or better is needed", Whose(i, c), c.SignatureAlgorithm)}
		}
		if len(c.UnhandledCriticalExtensions) > 0 {
			return &Failure{Reason: UnknownCA, Detail: fmt.Sprintf("%s has a critical extension (%s) that is not known here", Whose(i, c), c.UnhandledCriticalExtensions[0])}
		}
		if as.eku != x509.ExtKeyUsageAny && len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) > 0 &&
			!slices.Contains(c.ExtKeyUsage, as.eku) && !slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny) {
			if i == 0 {
				return &Failure{Reason: WrongUsage, Detail: wrongPurpose(as)}
			}
			return &Failure{Reason: WrongUsage, Detail: fmt.Sprintf("%s may not issue certificates for this: its extended key usage lacks %s", Whose(i, c), as.name)}
		}
		if i == 0 {
			continue
		}
		switch {
		case !c.BasicConstraintsValid || !c.IsCA || c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageCertSign == 0:
			return &Failure{Reason: UnknownCA, Detail: fmt.Sprintf("%s signed the certificate below it, and is not a CA", Whose(i, c))}
		case c.MaxPathLen >= 0 && (c.MaxPathLen > 0 || c.MaxPathLenZero) && below > c.MaxPathLen:
			return &Failure{Reason: UnknownCA, Detail: fmt.Sprintf("%s allows %d CAs below it, and %d are there", Whose(i, c), c.MaxPathLen, below)}
		}
		if !IsSelfSigned(c) {
			below++
		}
	}
	if f := t.rules.check(chain); f != nil {
		return f
	}
	return constraintsOf(chain, as)
}

// constraintsOf leaves name constraints and policy constraints, which neither
// IGC uses, to crypto/x509: given this chain and no other, it finds this one or
// none. Without them nothing is verified twice.
func constraintsOf(chain []*x509.Certificate, as Purpose) *Failure {
	if !slices.ContainsFunc(chain[1:], constrains) {
		return nil
	}
	o := x509.VerifyOptions{Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{as.eku}, CurrentTime: windowOf(chain).from}
	for _, c := range chain[1 : len(chain)-1] {
		o.Intermediates.AddCert(c)
	}
	o.Roots.AddCert(chain[len(chain)-1])
	if _, err := chain[0].Verify(o); err != nil {
		return &Failure{Reason: UnknownCA, Err: err, Detail: "no accepted chain: " + Safe(err.Error())}
	}
	return nil
}

func constrains(ca *x509.Certificate) bool {
	for _, e := range ca.Extensions {
		switch e.Id.String() {
		case "2.5.29.30", "2.5.29.36", "2.5.29.54": // name constraints, policy constraints, inhibit any policy
			return true
		}
	}
	return false
}

// timeOf says which certificate of a chain is not valid at that time.
func timeOf(chain []*x509.Certificate, at time.Time) *Failure {
	for i, c := range chain {
		switch {
		case at.Before(c.NotBefore):
			return &Failure{Reason: NotYetValid, Detail: fmt.Sprintf("%s is not valid before %s, and it is %s here: are both clocks right?", Whose(i, c), Day(c.NotBefore), Day(at))}
		case at.After(c.NotAfter):
			return &Failure{Reason: Expired, Detail: fmt.Sprintf("%s ended on %s: it must be renewed", Whose(i, c), Day(c.NotAfter))}
		}
	}
	return nil
}
