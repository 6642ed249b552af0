package xmlsig

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"

	"filippo.io/bigmod"

	"github.com/piano-roc/rpn/internal/rsaverify"
)

// An rsaKey is an RSA public key with its modulus kept in Montgomery form.
// crypto/rsa prepares it again at each verification, which is a third of the
// cost; crypto/rsa is its oracle in FuzzRSA (docs/decisions/0004, 0008).
type rsaKey struct {
	modulus *bigmod.Modulus
	e       uint
	vector  *rsaverify.Key // nil: not this key or not this processor; bigmod then
	public  *rsa.PublicKey // for the standard library, consulted before a refusal
}

// newRSAKey keeps the key of a certificate; nil when it is no RSA key.
func newRSAKey(c *x509.Certificate) (*rsaKey, error) {
	key, ok := c.PublicKey.(*rsa.PublicKey)
	if !ok {
		return nil, nil
	}
	if key.N.Sign() <= 0 || key.N.Bit(0) == 0 || key.E < 3 || key.E&1 == 0 {
		return nil, errKeySize // bigmod panics on an even modulus
	}
	m, err := bigmod.NewModulus(key.N.Bytes())
	if err != nil {
		return nil, errKeySize
	}
	return &rsaKey{m, uint(key.E), rsaverify.NewKey(key.N, key.E), key}, nil
}

// The DigestInfo prefixes of PKCS #1 v1.5 (RFC 8017, 9.2, note 1).
var digestInfo = map[crypto.Hash]string{
	crypto.SHA1:   "\x30\x21\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00\x04\x14",
	crypto.SHA256: "\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20",
	crypto.SHA512: "\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40",
}

// rsaScratch holds what a verification computes with.
type rsaScratch struct {
	sig, got, want bigmod.Nat
	em             []byte
}

// verify checks an RSASSA-PKCS1-v1_5 signature (RFC 8017, 8.2.2). It encodes
// the expected message and compares numbers: what the signature decrypts to is
// never parsed, so no padding attack applies.
func (k *rsaKey) verify(s *rsaScratch, hash crypto.Hash, digest, value []byte) error {
	size := k.modulus.Size()
	prefix := digestInfo[hash]
	if len(value) != size || prefix == "" || len(digest) != hash.Size() || size < len(prefix)+len(digest)+11 {
		return errSignature
	}
	s.em = append(s.em[:0], 0, 1)
	for range size - len(prefix) - len(digest) - 3 {
		s.em = append(s.em, 0xFF)
	}
	s.em = append(s.em, 0)
	s.em = append(s.em, prefix...)
	s.em = append(s.em, digest...)
	if k.vector != nil {
		if !k.vector.Matches(value, s.em) {
			return errSignature
		}
		return nil
	}
	if _, err := s.sig.SetBytes(value, k.modulus); err != nil { // not below the modulus
		return errSignature
	}
	if _, err := s.want.SetBytes(s.em, k.modulus); err != nil {
		return errSignature
	}
	if s.got.ExpShortVarTime(&s.sig, k.e, k.modulus).Equal(&s.want) != 1 {
		return errSignature
	}
	return nil
}

// verifyWithStandard asks crypto/rsa about a value that verify refused. It
// costs 16 us, on refusals only: our own arithmetic alone refuses nobody.
func (k *rsaKey) verifyWithStandard(hash crypto.Hash, digest, value []byte) bool {
	return rsa.VerifyPKCS1v15(k.public, hash, digest, value) == nil
}
