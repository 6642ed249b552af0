package xmlsig

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"slices"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// Chains is a signature trust store (profile section 3), as tlsconf/trust
// builds and checks its chains: for TLS and signatures by the same code. It is
// safe for concurrent use.
type Chains interface {
	// Verify says whether the signer that presented these certificates, its own
	// first, each issued by the next, is accepted at that time, and when the
	// whole chain is valid. Its error is a *roc.Refusal. It fails closed.
	Verify(presented []*x509.Certificate, at time.Time) (chain []*x509.Certificate, from, until time.Time, err error)
	// Proved is called with a chain whose signer has proved, by a signature
	// that verified, that it holds the key.
	Proved(chain []*x509.Certificate)
}

// Trust is one generation of a signature trust store: its chains, and the
// signers that proved themselves under them. A change of CA or CRL makes a new
// Trust, so that no result outlives the lists it was based on. It is safe for
// concurrent use.
type Trust struct {
	chains Chains
	proved func(chain []*x509.Certificate)
	memory memory
}

// NewTrust makes a generation. With nil chains nobody is trusted.
func NewTrust(chains Chains) *Trust { return &Trust{chains: chains, memory: newMemory()} }

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

// OnProved makes f be called with each chain whose signer has proved, by a
// signature that verified, that it holds the key: once per certificate and
// generation. An application keeps there what it knows about signers. To be
// called before the first check.
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
		return c, untrusted(roc.CertificateUnreadable, "token is not base64", "Le certificat joint n'est pas en base64 strict.")
	}
	cert, others, err := parseToken(form, der)
	if err != nil {
		return c, untrusted(roc.CertificateUnreadable, "token is not a certificate", "Le certificat joint n'est pas lisible (X.509 DER).")
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
	t.chains.Proved(chain)
	if t.proved != nil {
		t.proved(chain)
	}
}

func (s *signer) validAt(at time.Time) bool {
	return s != nil && !at.Before(s.from) && !at.After(s.to)
}

// maxPath bounds the certificates of a PKIPath (profile section 3).
const maxPath = 8

var errPKIPath = errors.New("not a PKIPath")

// parseToken returns the certificate of a token and those above it, nearest
// first. Nothing is verified here.
func parseToken(form TokenForm, der []byte) (cert *x509.Certificate, others []*x509.Certificate, err error) {
	if form != PKIPath {
		cert, err = roc.ParseCertificate(der)
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
		c, err := roc.ParseCertificate(raw.FullBytes)
		if err != nil {
			return nil, nil, err
		}
		others = append(others, c)
	}
	slices.Reverse(others) // a PKIPath ends with the signer
	return others[0], others[1:], nil
}

// accept asks for a chain of a certificate to the roots of this side.
func (t *Trust) accept(c *x509.Certificate, others []*x509.Certificate, at time.Time) (*signer, error) {
	if t.chains == nil {
		return nil, untrusted(roc.NoAuthority, "no CA in this signature trust store", "Aucune autorité n'est configurée pour cette signature.")
	}
	switch {
	case at.After(c.NotAfter):
		return nil, untrusted(roc.SignerExpired, "signer certificate expired", "Le certificat de signature a expiré le %s.", c.NotAfter.Format("02/01/2006"))
	case at.Before(c.NotBefore):
		return nil, untrusted(roc.SignerNotYetValid, "signer certificate not yet valid", "Le certificat de signature n'est valable qu'à partir du %s.", c.NotBefore.Format("02/01/2006"))
	}
	if err := checkUsage(c); err != nil {
		return nil, err
	}
	err := checkKey(c) // first: keeping a modulus costs more the longer it is
	if err != nil {
		return nil, forbiddenKey(err)
	}
	chain, from, until, err := t.chains.Verify(append([]*x509.Certificate{c}, others...), at)
	if err != nil {
		return nil, err
	}
	s := &signer{cert: c, serial: c.SerialNumber.Text(16), from: from, to: until, chain: chain}
	if s.rsa, err = newRSAKey(c); err != nil {
		return nil, forbiddenKey(err)
	}
	s.structure, s.structureErr = roc.StructureOfCertificate(c)
	return s, nil
}

func forbiddenKey(err error) error {
	return roc.Refuse(roc.ForbiddenAlgorithm, "%w", err).Because(roc.SignerKey).Saying("La clé du certificat de signature n'est pas admise (RSA de 2048 à 8192 bits, ou ECDSA P-256).")
}

// checkUsage wants a certificate made to sign: digitalSignature or
// nonRepudiation, and not one for TLS servers alone (profile section 3).
func checkUsage(c *x509.Certificate) error {
	serverOnly := len(c.ExtKeyUsage) > 0 && len(c.UnknownExtKeyUsage) == 0 &&
		!slices.ContainsFunc(c.ExtKeyUsage, func(u x509.ExtKeyUsage) bool { return u != x509.ExtKeyUsageServerAuth })
	if c.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) == 0 || serverOnly || c.IsCA {
		return untrusted(roc.NotASigningCertificate, "certificate is not one for signing", "Ce certificat n'est pas fait pour signer (usages de la clé) : employez le certificat de signature de l'établissement.")
	}
	return nil
}

func untrusted(cause roc.CauseCode, en, fr string, args ...any) error {
	return roc.Refuse(roc.UntrustedSigner, "%s", en).Because(cause).Saying(fr, args...)
}
