package trust_test

import (
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// Who signs with the certificate of its connection is told so, and by whom it
// was issued: the mistake that is made most.
func TestASignerWithItsTLSCertificateIsToldSo(t *testing.T) {
	t.Parallel()
	signing, tls := forge(t, forged{}, "AC SIGNATURE", nil, nil), forge(t, forged{}, "AC TLS", nil, nil)
	cas := trust.NewTrust(certs(signing), nil)
	for name, c := range map[string]struct {
		usage []x509.ExtKeyUsage
		cause roc.CauseCode
	}{
		"of a connection": {[]x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, roc.TLSCertificate},
		"of a server":     {[]x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, roc.TLSCertificate},
		"to sign":         {[]x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}, roc.UnknownAuthority},
	} {
		l := leaf(t, tls, func(cert *x509.Certificate) { cert.ExtKeyUsage = c.usage })
		_, _, _, err := cas.Signature(nil).Verify(certs(l), time.Now())
		r := roc.RefusalOf(err)
		if r.Reason != roc.UntrustedSigner || r.CauseCode != c.cause || !strings.Contains(r.Detail, "AC TLS") {
			t.Errorf("%s: %s %s %q", name, r.Reason, r.CauseCode, r.Detail)
		}
	}
}
