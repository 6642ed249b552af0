package trust

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// A Purpose is what a peer's certificate must be made for.
type Purpose struct {
	name    string
	eku     x509.ExtKeyUsage
	needsKU bool // the key usage extension must be there
}

var (
	AsClient = Purpose{"clientAuth", x509.ExtKeyUsageClientAuth, true}
	AsServer = Purpose{"serverAuth", x509.ExtKeyUsageServerAuth, false}
)

// Verify says whether the peer that presented these certificates (its leaf
// first) is accepted at that time, and if not why. It fails closed: what it
// does not understand is refused.
//
// It is the whole rule; crypto/tls's own check before it only gives the peer
// the right alert. On a resumed session it is the only check of the moment.
func (t *Trust) Verify(presented []*x509.Certificate, as Purpose, revocation Revocation, at time.Time) error {
	if len(presented) == 0 {
		return &Failure{Reason: NoCertificate, Detail: "no certificate was presented"}
	}
	leaf := presented[0]
	refuse := func(r Reason, format string, args ...any) error {
		return (&Failure{Reason: r, Detail: fmt.Sprintf(format, args...)}).Presented(leaf)
	}
	// The algorithms first: x509 reports a SHA-1 signature as an unknown CA.
	if !StrongSignature(leaf.SignatureAlgorithm) {
		return refuse(WeakKey, "the certificate is signed with %s: SHA-256 or better is needed", leaf.SignatureAlgorithm)
	}
	if err := CheckKey(leaf.PublicKey); err != nil {
		return refuse(WeakKey, "the certificate %v", err)
	}
	chains, f := t.checkChain(presented, as, revocation, at)
	if f != nil {
		return f.Presented(leaf)
	}
	// x509 takes a certificate without the extension as made for anything; the
	// two IGC make none such (domain 4.2).
	if !slices.Contains(leaf.ExtKeyUsage, as.eku) {
		return refuse(WrongUsage, "%s", wrongTrade(as))
	}
	if leaf.IsCA {
		return refuse(WrongUsage, "the certificate is one of a CA")
	}
	if (as.needsKU || leaf.KeyUsage != 0) && leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return refuse(WrongUsage, "the certificate's key usage lacks digitalSignature")
	}
	if f := notRevoked(chains, revocation, at); f != nil {
		return f.Presented(leaf)
	}
	return nil
}

// notRevoked asks for one chain of which nothing is revoked: a CA that is
// signed by two others outlives the revocation of one of its certificates.
func notRevoked(chains []vetted, revocation Revocation, at time.Time) *Failure {
	if revocation == nil {
		return nil
	}
	var first *Failure
	for _, chain := range chains {
		if !chain.holds(at) {
			continue
		}
		f := revocation.CheckLinks(chain.links, at)
		if f == nil {
			return nil
		}
		if first == nil {
			first = f
		}
	}
	if first == nil { // checkChain saw to it; fail closed all the same
		return &Failure{Reason: RevocationUnknown, Detail: "no chain of the certificate is valid now"}
	}
	return first
}

// checkChain asks for a chain to a root of the store, every certificate of
// which is valid at that time, made for that purpose and holds an accepted key.
func (t *Trust) checkChain(presented []*x509.Certificate, as Purpose, revocation Revocation, at time.Time) ([]vetted, *Failure) {
	leaf := presented[0]
	key := verdictKey{sha256.Sum256(leaf.Raw), as.eku}
	if known := t.verdicts.holds(key, at); known != nil {
		return known, nil
	}
	chains, err := leaf.Verify(x509.VerifyOptions{
		Roots:         t.rootPool,
		Intermediates: t.with(presented[1:]),
		CurrentTime:   at,
		KeyUsages:     []x509.ExtKeyUsage{as.eku},
	})
	if err != nil {
		return nil, chainFailure(leaf, err, as, at)
	}
	var best verdict
	var broken *Failure // a rule of the store
	for _, chain := range chains {
		w, ok := windowOf(chain)
		if f := t.rules.check(chain); f != nil && ok {
			broken, ok = f, false
		}
		if !ok {
			continue
		}
		best.chains = append(best.chains, vetted{w, LinksOf(chain)})
		if w.until.After(best.until) {
			best.window = w
		}
	}
	if best.until.IsZero() && broken != nil {
		return nil, broken
	}
	if best.until.IsZero() {
		return nil, &Failure{Reason: WeakKey, Detail: "a CA above the certificate has a key or a signature that is not accepted"}
	}
	for _, chain := range best.chains {
		if revocation != nil {
			revocation.Seen(chain.links)
		}
	}
	t.verdicts.remember(key, best)
	return best.chains, nil
}

// with returns the store's intermediates and those the peer presented.
func (t *Trust) with(presented []*x509.Certificate) *x509.CertPool {
	known := func(c *x509.Certificate) bool { return slices.ContainsFunc(t.intermediates, c.Equal) }
	if !slices.ContainsFunc(presented, func(c *x509.Certificate) bool { return !known(c) }) {
		return t.intermediatePool
	}
	pool := t.intermediatePool.Clone()
	for _, c := range presented {
		pool.AddCert(c)
	}
	return pool
}

func chainFailure(leaf *x509.Certificate, err error, as Purpose, at time.Time) *Failure {
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) && invalid.Reason == x509.IncompatibleUsage {
		return &Failure{Reason: WrongUsage, Err: err, Detail: wrongTrade(as)}
	}
	if errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil {
		whose := "the certificate"
		if !invalid.Cert.Equal(leaf) {
			whose = "the CA " + NameOf(invalid.Cert.Subject)
		}
		if at.Before(invalid.Cert.NotBefore) {
			return &Failure{Reason: NotYetValid, Err: err, Detail: fmt.Sprintf("%s is not valid before %s, and it is %s here: are both clocks right?",
				whose, Day(invalid.Cert.NotBefore), Day(at))}
		}
		return &Failure{Reason: Expired, Err: err, Detail: fmt.Sprintf("%s ended on %s: it must be renewed", whose, Day(invalid.Cert.NotAfter))}
	}
	var unknown x509.UnknownAuthorityError
	if errors.As(err, &unknown) {
		return &Failure{Reason: UnknownCA, Err: err, Detail: "the certificate does not lead to a root of this side's trust store: " +
			"it comes from another CA, its intermediate is missing, or the store lacks a CA"}
	}
	return &Failure{Reason: UnknownCA, Err: err, Detail: "no accepted chain: " + Safe(err.Error())}
}

func wrongTrade(as Purpose) string {
	return "the certificate is not made for this: its extended key usage lacks " + as.name + "; was another certificate of the same owner meant?"
}

// A window is when a whole chain is valid.
type window struct{ from, until time.Time }

func (w window) holds(at time.Time) bool { return !at.Before(w.from) && !at.After(w.until) }

// windowOf returns when the chain is valid, and false when one of its CAs is
// too weak.
func windowOf(chain []*x509.Certificate) (window, bool) {
	w := window{chain[0].NotBefore, chain[0].NotAfter}
	for i, c := range chain {
		if CheckKey(c.PublicKey) != nil || i < len(chain)-1 && !StrongSignature(c.SignatureAlgorithm) {
			return window{}, false
		}
		if c.NotBefore.After(w.from) {
			w.from = c.NotBefore
		}
		if c.NotAfter.Before(w.until) {
			w.until = c.NotAfter
		}
	}
	return w, true
}

// verdicts remembers which leaves have a chain, and when it is valid: some
// 3000 establishments come back all day, and checking their chain again says
// nothing new as long as the CAs are the same. It lives and dies with its
// Trust. What may change meanwhile (the clock, a revocation) is not remembered.
type verdicts struct {
	mu   sync.RWMutex
	good map[verdictKey]verdict
}

// A verdict is the chains of a leaf, and when the best of them is valid.
type verdict struct {
	window
	chains []vetted // all that were accepted
}

// A vetted chain was accepted, for as long as its window.
type vetted struct {
	window
	links []Link
}

type verdictKey struct {
	leaf [sha256.Size]byte
	eku  x509.ExtKeyUsage
}

// maxVerdicts is far above the establishments of the country (about 3000);
// past it the memory starts again.
const maxVerdicts = 8192

// holds returns the chains remembered of a leaf, nil when none is valid then.
func (v *verdicts) holds(key verdictKey, at time.Time) []vetted {
	v.mu.RLock()
	w, ok := v.good[key]
	v.mu.RUnlock()
	if !ok || !w.holds(at) {
		return nil
	}
	return w.chains
}

func (v *verdicts) remember(key verdictKey, w verdict) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.good == nil || len(v.good) >= maxVerdicts {
		v.good = map[verdictKey]verdict{}
	}
	v.good[key] = w
}

// Vouches says whether the certificate has a chain to a root of t at that time,
// whatever its revocation, for one of these usages; none: any.
func (t *Trust) Vouches(leaf *x509.Certificate, presented []*x509.Certificate, usages []x509.ExtKeyUsage, at time.Time) bool {
	if len(usages) == 0 {
		usages = []x509.ExtKeyUsage{x509.ExtKeyUsageAny}
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: t.rootPool, Intermediates: t.with(presented), CurrentTime: at, KeyUsages: usages})
	return err == nil
}
