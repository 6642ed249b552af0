package trust

import (
	"crypto/x509"
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
)

// What is too large to be remembered pushes out nothing of what is.
func TestAVerdictTooLargeToRememberForgetsNobody(t *testing.T) {
	t.Parallel()
	of := func(size int, issuer byte) verdict {
		leaf := Link{Cert: &x509.Certificate{Raw: make([]byte, size/3), RawIssuer: []byte{issuer}}}
		return verdict{chains: []vetted{{links: []Link{leaf}, own: 1}}}
	}
	var v verdicts
	for i := range 60 { // almost full
		v.remember(verdictKey{leaf: roc.CertificateID{byte(i)}}, of(1<<20, byte(i)))
	}
	v.remember(verdictKey{leaf: roc.CertificateID{200}}, of(10<<20, 200))
	if len(v.good) != 60 {
		t.Errorf("%d verdicts of 60 are left", len(v.good))
	}
}
