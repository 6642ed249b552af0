package xmlsig

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"math/big"
)

// Algorithm identifiers (XMLDSig, XML Encryption, RFC 9231).
const (
	algExcC14N         = "http://www.w3.org/2001/10/xml-exc-c14n#"
	algExcC14NComments = "http://www.w3.org/2001/10/xml-exc-c14n#WithComments"
	algEnveloped       = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"

	algSHA1   = "http://www.w3.org/2000/09/xmldsig#sha1"
	algSHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
	algSHA512 = "http://www.w3.org/2001/04/xmlenc#sha512"

	algRSASHA1     = "http://www.w3.org/2000/09/xmldsig#rsa-sha1"
	algRSASHA256   = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
	algRSASHA512   = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512"
	algECDSASHA256 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"
)

const (
	x509TokenProfile = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#"
	typeX509v3       = x509TokenProfile + "X509v3"
	typePKIPath      = x509TokenProfile + "X509PKIPathv1"
	encodingBase64   = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary"
)

// digestOf maps a DigestMethod by exact string; 0 is forbidden.
func digestOf(alg string, allowSHA1 bool) crypto.Hash {
	switch {
	case alg == algSHA256:
		return crypto.SHA256
	case alg == algSHA512:
		return crypto.SHA512
	case alg == algSHA1 && allowSHA1:
		return crypto.SHA1
	}
	return 0
}

// A method is a SignatureMethod: the hash and the kind of key it names.
type method struct {
	hash  crypto.Hash
	ecdsa bool
}

// methodOf maps a SignatureMethod by exact string; a zero hash is forbidden.
func methodOf(alg string, allowSHA1 bool) method {
	switch {
	case alg == algRSASHA256:
		return method{hash: crypto.SHA256}
	case alg == algRSASHA512:
		return method{hash: crypto.SHA512}
	case alg == algECDSASHA256:
		return method{hash: crypto.SHA256, ecdsa: true}
	case alg == algRSASHA1 && allowSHA1:
		return method{hash: crypto.SHA1}
	}
	return method{}
}

var (
	errKeyKind   = errors.New("the key is not of the kind the SignatureMethod names")
	errKeySize   = errors.New("RSA key outside 2048 to 8192 bits, or a curve other than P-256")
	errSignature = errors.New("signature value does not verify")
)

// checkKey refuses keys outside profile section 3.
func checkKey(c *x509.Certificate) error {
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		if n := key.N.BitLen(); n < 2048 || n > 8192 || key.E < 3 {
			return errKeySize
		}
	case *ecdsa.PublicKey:
		if key.Curve != elliptic.P256() {
			return errKeySize
		}
	default:
		return errKeyKind
	}
	return nil
}

// verify checks a signature value over a digest. The label must be the key's:
// an RSA key under an ECDSA label, or the reverse, is refused.
func (m method) verify(s *signer, scratch *rsaScratch, digest, value []byte) error {
	if m.ecdsa {
		key, ok := s.cert.PublicKey.(*ecdsa.PublicKey)
		if !ok {
			return errKeyKind
		}
		// The value is r and s as they are, 32 bytes each (RFC 4050), not DER.
		if len(value) != 64 {
			return errSignature
		}
		r, t := new(big.Int).SetBytes(value[:32]), new(big.Int).SetBytes(value[32:])
		if !ecdsa.Verify(key, digest, r, t) {
			return errSignature
		}
		return nil
	}
	if s.rsa == nil {
		return errKeyKind
	}
	return s.rsa.verify(scratch, m.hash, digest, value)
}

// hash is the SHA-256 of the value; see Checked.SignatureHash.
func (s *signature) hash() [32]byte {
	if !s.method.ecdsa {
		return sha256.Sum256(s.value)
	}
	var low [64]byte
	copy(low[:], s.value)
	n := elliptic.P256().Params().N
	t := new(big.Int).SetBytes(low[32:])
	if other := new(big.Int).Sub(n, t); other.Cmp(t) < 0 {
		other.FillBytes(low[32:])
	}
	return sha256.Sum256(low[:])
}
