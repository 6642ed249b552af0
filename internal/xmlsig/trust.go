package xmlsig

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"slices"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// Trust is one generation of a signature trust store (profile section 3): the
// CAs of one side, and the signers that proved themselves under them. A change
// of CA or CRL makes a new Trust, so that no verdict outlives what it rested
// on. It is safe for concurrent use.
type Trust struct {
	roots, intermediates *x509.CertPool
	empty                bool
	admit, revoked       func(chain []*x509.Certificate) error
	proved               func(chain []*x509.Certificate)
	memory               memory
}

// NewTrust makes a generation from the roots and intermediates of one side.
// Without roots nobody is trusted.
func NewTrust(roots, intermediates []*x509.Certificate) *Trust {
	return NewTrustWithRevocation(roots, intermediates, nil)
}

// NewTrustWithRevocation is NewTrust with a check of the whole chain, asked
// once per certificate and generation: an error refuses the signer as revoked,
// in its own words when it is a *roc.Refusal.
func NewTrustWithRevocation(roots, intermediates []*x509.Certificate, revoked func(chain []*x509.Certificate) error) *Trust {
	return NewTrustWithRules(roots, intermediates, nil, revoked)
}

// NewTrustWithRules is NewTrustWithRevocation with the rules of the store: an
// error of admit refuses the signer as untrusted. Either may be nil.
func NewTrustWithRules(roots, intermediates []*x509.Certificate, admit, revoked func(chain []*x509.Certificate) error) *Trust {
	t := &Trust{roots: x509.NewCertPool(), intermediates: x509.NewCertPool(), empty: len(roots) == 0, admit: admit, revoked: revoked, memory: newMemory()}
	for _, c := range roots {
		t.roots.AddCert(c)
	}
	for _, c := range intermediates {
		t.intermediates.AddCert(c)
	}
	return t
}

// A signer is a certificate whose chain was accepted, with all that a check
// needs of it.
type signer struct {
	cert         *x509.Certificate
	structure    roc.StructureID // "" when the subject carries none
	structureErr error
	rsa          *rsaKey // nil when the key is ECDSA
	serial       string
	from, to     time.Time           // when the whole chain is valid
	chain        []*x509.Certificate // until the signer is remembered: then nil
}

// OnProved makes f hear of each chain whose signer has proved, by a signature
// that verified, that it holds the key: once per certificate and generation.
// What a store remembers of who signs under it hangs here, not in admit, which
// is asked before any proof. To be called before the first check.
func (t *Trust) OnProved(f func(chain []*x509.Certificate)) *Trust {
	t.proved = f
	return t
}

// signerOf returns the signer of a token: from memory, else by decoding,
// parsing and building the chain. It remembers nothing: see remember.
func (t *Trust) signerOf(form TokenForm, text []byte, at time.Time) (claim, error) {
	c := claim{text: textKey(form, text)}
	if c.signer = t.memory.byText(c.text, at); c.signer != nil {
		return c, nil
	}
	der, err := appendBase64(nil, text)
	if err != nil {
		return c, untrusted("token is not base64", "Le certificat joint n'est pas en base64 strict.")
	}
	cert, others, err := parseToken(form, der)
	if err != nil {
		return c, untrusted("token is not a certificate", "Le certificat joint n'est pas lisible (X.509 DER).")
	}
	c.cert = certKey(form, cert)
	if c.signer = t.memory.byCertificate(c.cert, cert, at); c.signer != nil {
		return c, nil
	}
	c.signer, err = t.accept(cert, others, at)
	return c, err
}

// remember keeps the signer of a claim. Only who has verified a signature by
// its key may call it.
func (t *Trust) remember(c *claim) {
	chain := c.signer.chain
	if chain == nil { // remembered before this message
		return
	}
	c.signer.chain = nil // nobody else has this signer yet
	t.memory.remember(c)
	if t.proved != nil {
		t.proved(chain)
	}
}

func (s *signer) validAt(at time.Time) bool {
	return s != nil && !at.Before(s.from) && !at.After(s.to)
}

// maxPath bounds the certificates of a PKIPath.
const maxPath = 8

var errPKIPath = errors.New("not a PKIPath")

func parseToken(form TokenForm, der []byte) (cert *x509.Certificate, others []*x509.Certificate, err error) {
	if form != PKIPath {
		cert, err = x509.ParseCertificate(der)
		return cert, nil, err
	}
	var path, raw asn1.RawValue
	if rest, err := asn1.Unmarshal(der, &path); err != nil || len(rest) > 0 || path.Tag != asn1.TagSequence || len(path.Bytes) == 0 {
		return nil, nil, errPKIPath
	}
	for rest := path.Bytes; len(rest) > 0; {
		if rest, err = asn1.Unmarshal(rest, &raw); err != nil || len(others) == maxPath {
			return nil, nil, errPKIPath
		}
		c, err := x509.ParseCertificate(raw.FullBytes)
		if err != nil {
			return nil, nil, err
		}
		// Whoever writes a path would else choose how long we verify under it.
		if key, ok := c.PublicKey.(*rsa.PublicKey); ok && len(rest) > 0 && key.N.BitLen() > 4096 {
			return nil, nil, errKeySize
		}
		others = append(others, c)
	}
	return others[len(others)-1], others[:len(others)-1], nil
}

// accept builds the chain of a certificate to the roots of this side.
func (t *Trust) accept(c *x509.Certificate, others []*x509.Certificate, at time.Time) (*signer, error) {
	if t.empty {
		return nil, untrusted("no CA in this signature trust store", "Aucune autorité n'est configurée pour cette signature.")
	}
	switch {
	case at.After(c.NotAfter):
		return nil, untrusted("signer certificate expired", "Le certificat de signature a expiré le %s.", c.NotAfter.Format("02/01/2006"))
	case at.Before(c.NotBefore):
		return nil, untrusted("signer certificate not yet valid", "Le certificat de signature n'est valable qu'à partir du %s.", c.NotBefore.Format("02/01/2006"))
	}
	if err := checkUsage(c); err != nil {
		return nil, err
	}
	err := checkKey(c) // first: keeping a modulus costs more the longer it is
	var kept *rsaKey
	if err == nil {
		kept, err = newRSAKey(c)
	}
	if err != nil {
		return nil, roc.Refuse(roc.ForbiddenAlgorithm, "%w", err).Saying("La clé du certificat de signature n'est pas admise (RSA de 2048 à 8192 bits, ou ECDSA P-256).")
	}
	pool := t.intermediates
	if len(others) > 0 {
		pool = pool.Clone()
		for _, o := range others {
			pool.AddCert(o)
		}
	}
	chains, err := c.Verify(x509.VerifyOptions{Roots: t.roots, Intermediates: pool, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		return nil, untrusted("no chain to a CA of this side", "Le certificat de signature n'est pas émis par une autorité de signature admise ici.")
	}
	chain := chains[0]
	if t.admit != nil {
		if err := t.admit(chain); err != nil {
			return nil, untrusted("signer certificate: "+err.Error(), "Le certificat de signature ne respecte pas les règles fixées pour cette autorité (clé, politique de certification ou profondeur de chaîne).")
		}
	}
	if t.revoked != nil {
		if err := t.revoked(chain); err != nil {
			var own *roc.Refusal
			if errors.As(err, &own) {
				return nil, own
			}
			return nil, roc.Refuse(roc.Revoked, "signer certificate: %w", err).Saying("Le certificat de signature est révoqué.")
		}
	}
	s := &signer{cert: c, rsa: kept, serial: c.SerialNumber.Text(16), from: c.NotBefore, to: c.NotAfter, chain: chain}
	for _, k := range chain[1:] {
		if k.NotBefore.After(s.from) {
			s.from = k.NotBefore
		}
		if k.NotAfter.Before(s.to) {
			s.to = k.NotAfter
		}
	}
	s.structure, s.structureErr = roc.StructureOfCertificate(c)
	return s, nil
}

// checkUsage wants a certificate made to sign: digitalSignature or
// nonRepudiation, and not one for TLS servers alone (profile section 3).
func checkUsage(c *x509.Certificate) error {
	serverOnly := len(c.ExtKeyUsage) > 0 && len(c.UnknownExtKeyUsage) == 0 &&
		!slices.ContainsFunc(c.ExtKeyUsage, func(u x509.ExtKeyUsage) bool { return u != x509.ExtKeyUsageServerAuth })
	if c.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) == 0 || serverOnly || c.IsCA {
		return untrusted("certificate is not one for signing", "Ce certificat n'est pas fait pour signer (usages de la clé) : employez le certificat de signature de l'établissement.")
	}
	return nil
}

func untrusted(en, fr string, args ...any) error {
	return roc.Refuse(roc.UntrustedSigner, "%s", en).Saying(fr, args...)
}
