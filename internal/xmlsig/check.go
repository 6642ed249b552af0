package xmlsig

import (
	"crypto"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"sync"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
)

const (
	defaultTolerance = 5 * time.Minute
	defaultMaxLife   = time.Hour
	defaultLife      = 5 * time.Minute // when Expires is absent
	maxReferences    = 16
	maxPrefixes      = 64
	maxValue         = 4 << 10  // bytes of text of a SignatureValue or DigestValue: 1 368 are needed
	maxToken         = 64 << 10 // of a certificate or PKIPath
)

// Options are what a Verifier needs.
type Options struct {
	// Trust is asked at each check, so that a reload takes effect at once.
	// Required. One store of one side: they are never mixed.
	Trust func() *Trust
	// AllowSHA1 accepts SHA-1 digests and RSA-SHA1: test environments only.
	AllowSHA1 bool
	// Tolerance between the signer's clock and ours, either way. Default 5 min.
	Tolerance time.Duration
	// MaxLife of a Timestamp. Default 1 h.
	MaxLife time.Duration
	// OnDisagreement is called for an RSA value that our arithmetic refused and
	// crypto/rsa accepts: crypto/rsa is right, and our code must be examined.
	// May be nil.
	OnDisagreement func()
}

// A Verifier checks the messages of one side. It is safe for concurrent use.
type Verifier struct {
	trust     func() *Trust
	allowSHA1 bool
	tolerance time.Duration
	maxLife   time.Duration

	onDisagreement func()
}

// NewVerifier makes a Verifier.
func NewVerifier(o Options) *Verifier {
	v := &Verifier{trust: o.Trust, allowSHA1: o.AllowSHA1, tolerance: o.Tolerance, maxLife: o.MaxLife}
	if v.onDisagreement = o.OnDisagreement; v.onDisagreement == nil {
		v.onDisagreement = func() {}
	}
	if v.tolerance == 0 {
		v.tolerance = defaultTolerance
	}
	if v.maxLife == 0 {
		v.maxLife = defaultMaxLife
	}
	return v
}

// A Policy is what a service requires of the signature (profile section 3). The
// zero Policy is the strict one.
type Policy struct {
	// Optional lets an unsigned message pass (the annuaire request); nothing of
	// it is then covered. A signature that is present must be good all the
	// same.
	Optional bool
	// TimestampOptional exempts from a signed Timestamp (by the register).
	TimestampOptional bool
	// Answer says that the message answers one of ours: it may then hold
	// SignatureConfirmation (WSS 1.1), which decides nothing.
	Answer bool
	// EnforceVIHF refuses a VIHF that the message's signature does not cover,
	// or whose Conditions are not fulfilled; otherwise Checked.VIHF only
	// reports it.
	EnforceVIHF bool
}

// Expect says whose signature is expected.
type Expect struct {
	// Structure is the caller's, by its TLS certificate; "" when the signer's
	// structure is not compared (answers of the annuaire and of AMCs).
	Structure roc.StructureID
	// Mandate says whether the register lets this signer sign for Structure;
	// nil: no mandate.
	Mandate func(signer roc.StructureID) bool
}

// Check checks an envelope at that instant. The error is a *roc.Refusal.
func (v *Verifier) Check(env *soap.Envelope, p Policy, e Expect, at time.Time) (*Checked, error) {
	k := newChecking(v, env, at)
	defer k.done()
	return k.run(p, e)
}

// A checking is the state of one Check. Its buffers are pooled.
type checking struct {
	v     *Verifier
	env   *soap.Envelope
	at    time.Time
	trust *Trust

	hashes [3]hash.Hash // SHA-1, SHA-256, SHA-512
	buf    []byte       // decoded SignatureValue and digests
	forms  []string     // PrefixList entries
	refs   [maxReferences]reference
	rsa    rsaScratch
	ids    []uint32 // table of uniqueIDs
	report *Report  // nil on the request path
	sum    [64]byte
}

var checkings = sync.Pool{New: func() any {
	return &checking{hashes: [3]hash.Hash{sha1.New(), sha256.New(), sha512.New()}}
}}

func newChecking(v *Verifier, env *soap.Envelope, at time.Time) *checking {
	k := checkings.Get().(*checking)
	k.v, k.env, k.at, k.trust = v, env, at, v.trust()
	return k
}

func (k *checking) done() {
	k.v, k.env, k.trust, k.report = nil, nil, nil, nil
	if cap(k.ids) > 4096 {
		k.ids = nil
	}
	clear(k.refs[:])
	clear(k.forms)
	checkings.Put(k)
}

func (k *checking) hash(h crypto.Hash) hash.Hash {
	i := 1
	switch h {
	case crypto.SHA1:
		i = 0
	case crypto.SHA512:
		i = 2
	}
	k.hashes[i].Reset()
	return k.hashes[i]
}

// run is the check, from the outside in.
func (k *checking) run(p Policy, e Expect) (*Checked, error) {
	parts, err := k.security(p)
	if err != nil {
		return nil, err
	}
	if parts.signature.IsZero() {
		if p.Optional {
			return &Checked{env: k.env}, nil
		}
		return nil, roc.Refuse(roc.NotSigned, "no signature in the Security header").Because(roc.NoSignature)
	}
	k.passed("security", "un seul wsse:Security, des éléments connus, aucun commentaire")
	if err := k.uniqueIDs(); err != nil {
		return nil, err
	}
	k.passed("ids", "chaque Id est unique dans le message")
	var sig signature
	if err := k.signature(&sig, parts.signature, parts.token); err != nil {
		return nil, err
	}
	k.passedSignature(&sig)
	if err := k.resolve(&sig, parts); err != nil {
		return nil, err
	}
	timed, err := k.coverage(&sig, parts, p)
	if err != nil {
		return nil, err
	}
	k.passed("coverage", "le Body, à sa place, et ce que la règle exige sont couverts")
	if err := k.verify(&sig); err != nil {
		return nil, err
	}
	c := &Checked{env: k.env, signer: sig.signer, body: k.env.Body(), signatureHash: sig.hash()}
	if timed {
		ts, err := readTimestamp(parts.timestamp)
		if err != nil {
			return nil, err
		}
		c.created, c.until = ts.created, ts.end().Add(k.v.tolerance)
		if err := k.v.checkTime(ts, k.at); err != nil {
			return nil, err
		}
		k.passed("time", "le Timestamp signé est valable à l'instant de la vérification")
	}
	if err := e.accept(sig.signer); err != nil {
		return nil, err
	}
	k.passedCaller(e, sig.signer)
	if !parts.assertion.IsZero() {
		covered := sig.covers(parts.assertion) // before vihf reads other references in their place
		if err := k.vihf(parts, e, sig.signer); err != nil {
			return nil, err
		}
		if c.vihf, err = k.vihfOutcome(parts.assertion, covered, p); err != nil {
			return nil, err
		}
		k.passed("vihf", "le VIHF est signé et nomme la même structure")
	}
	return c, nil
}

// accept compares the signer with the caller.
func (e Expect) accept(s *signer) error {
	if e.Structure == "" || s.structure == e.Structure {
		return nil
	}
	if s.structureErr != nil {
		return roc.Refuse(roc.UntrustedSigner, "signer certificate: %w", s.structureErr).Because(roc.SignerNoStructure).
			Saying("Le certificat de signature ne porte pas d'identifiant de structure (OU).")
	}
	if e.Mandate != nil && e.Mandate(s.structure) {
		return nil
	}
	return roc.Refuse(roc.SignerMismatch, "signer %s, caller %s", s.structure, e.Structure).Because(roc.OtherSigner).
		Saying("Signataire : %s ; appelant : %s.", s.structure, e.Structure)
}

func bad(cause roc.CauseCode, en, fr string, args ...any) error {
	return roc.Refuse(roc.BadSignature, "%s", en).Because(cause).Saying(fr, args...)
}

func forbidden(cause roc.CauseCode, en, fr string, args ...any) error {
	return roc.Refuse(roc.ForbiddenAlgorithm, "%s", en).Because(cause).Saying(fr, args...)
}
