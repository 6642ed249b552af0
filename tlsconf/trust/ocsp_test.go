package trust_test

import (
	"crypto/elliptic"
	"crypto/x509"
	"math/big"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/piano-roc/rpn/tlsconf/trust"
)

// Which answers of a responder count: those that its CA signed, or whom it made
// for that, of this time, about that certificate.
func TestAnswersOfOCSPRespondersThatCount(t *testing.T) {
	t.Parallel()
	at := time.Now().Truncate(time.Second)
	ca := forge(t, forged{}, "AC", newKey(t, elliptic.P256()), nil)
	stranger := forge(t, forged{}, "AC", newKey(t, elliptic.P256()), nil)
	made := func(usage x509.ExtKeyUsage, until time.Time) forged {
		return forge(t, ca, "REPONDEUR", newKey(t, elliptic.P256()), func(c *x509.Certificate) {
			c.IsCA, c.ExtKeyUsage, c.NotAfter = false, []x509.ExtKeyUsage{usage}, until
		})
	}
	said := func(by forged, change func(*ocsp.Response)) []byte {
		r := ocsp.Response{Status: ocsp.Good, SerialNumber: big.NewInt(7), ThisUpdate: at.Add(-time.Hour), NextUpdate: at.Add(time.Hour)}
		if change != nil {
			change(&r)
		}
		if by.cert != ca.cert {
			r.Certificate = by.cert
		}
		der, err := ocsp.CreateResponse(ca.cert, by.cert, r, by.key)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	responder := made(x509.ExtKeyUsageOCSPSigning, at.Add(time.Hour))
	for name, c := range map[string]struct {
		der  []byte
		want string // "" counts
	}{
		"by the CA":               {said(ca, nil), ""},
		"revoked":                 {said(ca, func(r *ocsp.Response) { r.Status, r.RevokedAt = ocsp.Revoked, at }), ""},
		"by its responder":        {said(responder, nil), ""},
		"by a leaf of the CA":     {said(made(x509.ExtKeyUsageClientAuth, at.Add(time.Hour)), nil), "not one for OCSP"},
		"by one that has ended":   {said(made(x509.ExtKeyUsageOCSPSigning, at.Add(-time.Minute)), nil), "not one for OCSP"},
		"by a stranger":           {said(stranger, nil), "bad OCSP signature"},
		"about another":           {said(ca, func(r *ocsp.Response) { r.SerialNumber = big.NewInt(8) }), "no response matching"},
		"not known":               {said(ca, func(r *ocsp.Response) { r.Status = ocsp.Unknown }), "does not know"},
		"a clock that differs":    {said(ca, func(r *ocsp.Response) { r.ThisUpdate = at.Add(4 * time.Minute) }), ""},
		"of the future":           {said(ca, func(r *ocsp.Response) { r.ThisUpdate = at.Add(6 * time.Minute) }), "of the future"},
		"just ended":              {said(ca, func(r *ocsp.Response) { r.NextUpdate = at.Add(-4 * time.Minute) }), ""},
		"ended":                   {said(ca, func(r *ocsp.Response) { r.NextUpdate = at.Add(-6 * time.Minute) }), "has ended"},
		"without an end":          {said(ca, func(r *ocsp.Response) { r.NextUpdate = time.Time{} }), ""},
		"without an end, and old": {said(ca, func(r *ocsp.Response) { r.ThisUpdate, r.NextUpdate = at.Add(-25*time.Hour), time.Time{} }), "is old"},
		"a page":                  {[]byte("<html>"), "asn1"},
	} {
		_, err := trust.ReadOCSP(c.der, big.NewInt(7), ca.cert, at)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
