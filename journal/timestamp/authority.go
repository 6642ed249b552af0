package timestamp

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
)

// An Authority is the time-stamping authority whose tokens count.
type Authority struct {
	signers        []*x509.Certificate // that sign tokens: those of this authority, and of no other
	roots, between *x509.CertPool
}

var oidExtKeyUsage = asn1.ObjectIdentifier{2, 5, 29, 37}

// NewAuthority makes an authority of its certificates: those with which it signs
// tokens (the current one, and former ones for the tokens of their time), and
// their CAs up to a root.
func NewAuthority(certs []*x509.Certificate) (*Authority, error) {
	a := &Authority{roots: x509.NewCertPool(), between: x509.NewCertPool()}
	roots := 0
	for _, c := range certs {
		switch {
		case c.IsCA && bytes.Equal(c.RawSubject, c.RawIssuer): // the file is trusted for it: an old root may be signed with SHA-1
			a.roots.AddCert(c)
			roots++
		case c.IsCA:
			a.between.AddCert(c)
		case stampsOnly(c):
			a.signers = append(a.signers, c)
		default:
			return nil, fmt.Errorf("the certificate of %s is neither of a CA nor for time-stamping alone (RFC 3161, section 2.3)", c.Subject)
		}
	}
	if len(a.signers) == 0 {
		return nil, errors.New("no certificate for time-stamping: add the one with which the authority signs, from its site or from a token (openssl ts -reply -token_out)")
	}
	if roots == 0 {
		return nil, errors.New("no root: add the CAs of the authority, up to the one that signs itself")
	}
	return a, nil
}

// stampsOnly reports whether a certificate may sign tokens and nothing else, as
// RFC 3161 demands.
func stampsOnly(c *x509.Certificate) bool {
	i := slices.IndexFunc(c.Extensions, func(e pkixExtension) bool { return e.Id.Equal(oidExtKeyUsage) })
	return i >= 0 && c.Extensions[i].Critical && len(c.UnknownExtKeyUsage) == 0 &&
		slices.Equal(c.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping})
}
