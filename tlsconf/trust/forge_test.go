package trust_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"sync/atomic"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// A forged certificate, and the key that it is of.
type forged struct {
	cert *x509.Certificate
	key  crypto.Signer
}

var serials atomic.Int64

func newKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// forge signs under by (zero: itself) what change makes of a good CA.
func forge(t testing.TB, by forged, cn string, key crypto.Signer, change func(*x509.Certificate)) forged {
	t.Helper()
	if key == nil {
		key = newKey(t, elliptic.P256())
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(serials.Add(1)), Subject: pkix.Name{Country: []string{"FR"}, Organization: []string{"IGC FICTIVE"}, CommonName: cn},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	if change != nil {
		change(c)
	}
	parent, signer := by.cert, by.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		t.Fatalf("%s: %v", cn, err)
	}
	made, err := roc.ParseCertificate(der)
	if err != nil {
		t.Fatalf("%s: %v", cn, err)
	}
	return forged{made, key}
}

// leaf is a good client, server and signer under by, changed.
func leaf(t testing.TB, by forged, changes ...func(*x509.Certificate)) forged {
	t.Helper()
	return forge(t, by, "feuille", nil, func(c *x509.Certificate) {
		c.Subject.OrganizationalUnit = []string{"1010000008"}
		c.IsCA, c.KeyUsage = false, x509.KeyUsageDigitalSignature
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
		for _, change := range changes {
			change(c)
		}
	})
}

func certs(all ...forged) (list []*x509.Certificate) {
	for _, f := range all {
		list = append(list, f.cert)
	}
	return list
}

// out is a Revocation of these certificates.
type out []*x509.Certificate

func (out) Seen([]trust.Link)   {}
func (out) Wanted([]trust.Link) {}

func (o out) CheckLinks(links []trust.Link, _ time.Time) *trust.Failure {
	for _, l := range links {
		for _, c := range o {
			if l.Cert.Equal(c) {
				return &trust.Failure{Reason: trust.Revoked, Detail: "fictitious"}
			}
		}
	}
	return nil
}
