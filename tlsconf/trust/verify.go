package trust

import (
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// A Purpose is what a peer's certificate must be made for.
type Purpose struct {
	name    string
	eku     x509.ExtKeyUsage // ExtKeyUsageAny: not looked at
	needsKU bool             // the key usage extension must be there
	asks    bool             // the leaf must name eku itself
}

// The purposes. What a signer's key usages must be is xmlsig's to say.
var (
	AsClient = Purpose{"clientAuth", x509.ExtKeyUsageClientAuth, true, true}
	AsServer = Purpose{"serverAuth", x509.ExtKeyUsageServerAuth, false, true}
	AsSigner = Purpose{"signature", x509.ExtKeyUsageAny, false, false}
)

// An Accepted is a peer whose chain holds and of which nothing is revoked. That
// it has the key of its certificate is not known before its handshake, or its
// signature, has ended well: then Remember, and not before.
type Accepted struct {
	trust  *Trust
	key    verdictKey
	fresh  verdict // zero: it was remembered already
	chain  []*x509.Certificate
	window window
}

// Chain is the chain by which it is accepted, leaf first, root last.
func (a *Accepted) Chain() []*x509.Certificate { return a.chain }

// Valid is when the whole chain is valid.
func (a *Accepted) Valid() (from, until time.Time) { return a.window.from, a.window.until }

// Verify says whether the peer that presented these certificates (its own
// first) is accepted at that time, and if not why: always a *Failure. It fails
// closed: what it does not understand is refused. It is the whole rule, for new
// handshakes, resumed sessions, open connections and signatures alike.
//
// It remembers nothing but what Remember has been told. revocation may be nil:
// nobody is revoked.
func (t *Trust) Verify(presented []*x509.Certificate, as Purpose, revocation Revocation, at time.Time) (*Accepted, error) {
	p, f := Present(presented)
	if f != nil {
		return nil, f
	}
	leaf := p.Leaf()
	a := &Accepted{trust: t, key: verdictKey{roc.IDOfCertificate(leaf), as.name}}
	known := t.verdicts.of(a.key)
	if !known.holds(at) {
		if f := leafAtFault(leaf, at); f != nil {
			return nil, f.Presented(leaf)
		}
		if known, f = t.build(p, as, at); f != nil {
			return nil, f.Presented(leaf)
		}
		a.fresh = known
	}
	if f := madeFor(leaf, as); f != nil {
		return nil, f.Presented(leaf)
	}
	if f := t.rules.category(leaf); f != nil {
		return nil, f.Presented(leaf)
	}
	if a.chain, a.window, f = notRevoked(known.chains, revocation, at); f != nil {
		return nil, f.Presented(leaf)
	}
	return a, nil
}

// Remember keeps the chains of a peer that has proved that it holds the key of
// its certificate, and tells revocation where its lists are.
func (a *Accepted) Remember(revocation Revocation) {
	if len(a.fresh.chains) == 0 {
		return
	}
	a.trust.verdicts.remember(a.key, a.fresh)
	if revocation == nil {
		return
	}
	for _, chain := range a.fresh.chains {
		revocation.Seen(chain.links)
	}
}

// leafAtFault says what needs no chain to be said, and is the likeliest.
func leafAtFault(leaf *x509.Certificate, at time.Time) *Failure {
	if !StrongSignature(leaf.SignatureAlgorithm) {
		return &Failure{Reason: WeakKey, Detail: fmt.Sprintf("the certificate is signed with %s: SHA-256 or better is needed", leaf.SignatureAlgorithm)}
	}
	return timeOf([]*x509.Certificate{leaf}, at)
}

// madeFor says whether the leaf is made for that purpose. x509 takes a
// certificate without extended key usages as made for anything; the two IGC
// make none such (domain 4.2).
func madeFor(leaf *x509.Certificate, as Purpose) *Failure {
	refuse := func(format string, args ...any) *Failure {
		return &Failure{Reason: WrongUsage, Detail: fmt.Sprintf(format, args...)}
	}
	switch {
	case as.asks && !slices.Contains(leaf.ExtKeyUsage, as.eku):
		return refuse("%s", wrongPurpose(as))
	case leaf.IsCA:
		return refuse("the certificate is one of a CA")
	case as.asks && (as.needsKU || leaf.KeyUsage != 0) && leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		return refuse("the certificate's key usage lacks digitalSignature")
	}
	return nil
}

func wrongPurpose(as Purpose) string {
	return "the certificate is not made for this: its extended key usage lacks " + as.name + "; was another certificate of the same owner meant?"
}

// notRevoked asks for one chain of which nothing is revoked: a CA that is
// signed by two others, or was renewed under its name and key, outlives the
// revocation of one of its certificates.
func notRevoked(chains []vetted, revocation Revocation, at time.Time) ([]*x509.Certificate, window, *Failure) {
	first := &Failure{Reason: RevocationUnknown, Detail: "no chain of the certificate is valid now"} // build saw to it; fail closed all the same
	asked := false
	for _, chain := range chains {
		if !chain.holds(at) {
			continue
		}
		var f *Failure
		if revocation != nil {
			f = revocation.CheckLinks(chain.links, at)
		}
		if f != nil && f.Reason == RevocationUnknown {
			revocation.Wanted(chain.links)
		}
		if f == nil {
			return chain.certificates(), chain.window, nil
		}
		if !asked {
			first, asked = f, true
		}
	}
	return nil, window{}, first
}

// build returns the chains of a leaf to the roots of the store that are good
// for that purpose, at least one of them valid at that time. Why not, of several
// chains, is said of the one that came nearest.
func (t *Trust) build(p Presented, as Purpose, at time.Time) (verdict, *Failure) {
	var v verdict
	var late, limited *Failure
	for _, chain := range t.chainsOf(p) {
		if f := t.limitsOf(chain, as); f != nil {
			limited = f
			continue
		}
		w := windowOf(chain)
		if f := timeOf(chain, at); f != nil {
			late = f
			if at.After(w.until) {
				continue
			}
		}
		v.chains = append(v.chains, vetted{w, LinksOf(chain), t.presentedIn(chain)})
		if w.holds(at) && w.until.After(v.until) {
			v.window = w
		}
	}
	switch {
	case v.holds(at):
		return v, nil
	case late != nil:
		return v, late
	case limited != nil:
		return v, limited
	}
	return v, &Failure{Reason: UnknownCA, Detail: "the certificate does not lead to a root of this side's trust store: " +
		"it comes from another CA, its intermediate is missing, or the store lacks a CA"}
}

// Vouches says whether the certificate has a chain to a root of t at that time,
// whatever its revocation.
func (t *Trust) Vouches(leaf *x509.Certificate, others []*x509.Certificate, as Purpose, at time.Time) bool {
	p, f := Present(append([]*x509.Certificate{leaf}, others...))
	if f != nil {
		return false
	}
	_, f = t.build(p, as, at)
	return f == nil
}

// Remembered is how many leaves are remembered, and an estimate of the bytes
// they take.
func (t *Trust) Remembered() (leaves, bytes int) {
	t.verdicts.mu.RLock()
	defer t.verdicts.mu.RUnlock()
	return len(t.verdicts.good), t.verdicts.bytes
}

// Verified is how many signatures were verified for peers since t was made.
func (t *Trust) Verified() uint64 { return t.signatures.Load() }
