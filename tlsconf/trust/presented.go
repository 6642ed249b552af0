package trust

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"fmt"

	"github.com/piano-roc/rpn/internal/roc"
)

// The bounds of what a peer presents: far above the two IGC (three
// certificates, 6 kB), and little to read for somebody who is not known yet.
const (
	MaxPresented      = 8
	MaxPresentedBytes = 32 << 10
)

// A Presented is the certificates of a peer, its own first: few, small, each
// exactly its three parts (roc.CheckCertificate) and with a key that may be
// used. Only Present makes one, so whoever verifies or remembers one knows
// that. Nothing has been verified yet.
type Presented struct{ certs []*x509.Certificate }

// Present looks at what a peer presented, before any signature is verified.
func Present(certs []*x509.Certificate) (Presented, *Failure) {
	if len(certs) == 0 {
		return Presented{}, &Failure{Reason: NoCertificate, Detail: "no certificate was presented"}
	}
	refuse := func(r Reason, format string, args ...any) (Presented, *Failure) {
		return Presented{}, (&Failure{Reason: r, Detail: fmt.Sprintf(format, args...)}).Presented(certs[0])
	}
	size := 0
	for _, c := range certs {
		size += len(c.Raw)
	}
	if len(certs) > MaxPresented || size > MaxPresentedBytes {
		return refuse(Oversized, "%d certificates of %d bytes are presented: at most %d and %d bytes are read; send the certificate and the CAs above it, nothing else",
			len(certs), size, MaxPresented, MaxPresentedBytes)
	}
	for i, c := range certs {
		if err := roc.CheckCertificate(c); err != nil {
			return refuse(Malformed, "certificate %d of those presented %v: install it again as its CA gave it", i+1, err)
		}
		if err := CheckKey(c.PublicKey); err != nil {
			return refuse(WeakKey, "%s %v", Whose(i, c), err)
		}
		if !StrongSignature(c.SignatureAlgorithm) && !IsSelfSigned(c) {
			return refuse(WeakKey, "%s is signed with %s: SHA-256 or better is needed", Whose(i, c), c.SignatureAlgorithm)
		}
	}
	return Presented{certs}, nil
}

// Leaf is the peer's own certificate.
func (p Presented) Leaf() *x509.Certificate { return p.certs[0] }

// Whose names the certificate at place i of a chain.
func Whose(i int, c *x509.Certificate) string {
	if i == 0 {
		return "the certificate"
	}
	return "the CA " + NameOf(c.Subject)
}

// CheckKey accepts RSA from 2048 to 8192 bits, P-256 and P-384 (profile
// section 3, ANSSI guide).
func CheckKey(key any) error {
	switch k := key.(type) {
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n < MinRSABits || n > 8192 {
			return fmt.Errorf("has an RSA key of %d bits: %d to 8192 are accepted", n, MinRSABits)
		}
		return nil
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() && k.Curve != elliptic.P384() {
			return fmt.Errorf("has a key on the curve %s: P-256 and P-384 are accepted", k.Curve.Params().Name)
		}
		return nil
	}
	return fmt.Errorf("has a key of an unaccepted kind (%T): RSA or ECDSA is needed", key)
}

// StrongSignature says whether signatures of that algorithm are accepted.
func StrongSignature(a x509.SignatureAlgorithm) bool {
	switch a {
	case x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA,
		x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS,
		x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512:
		return true
	}
	return false
}
