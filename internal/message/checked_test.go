package message_test

import (
	"sync"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/internal/xmlsig"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// signer is one fictitious establishment and the verifier that trusts it,
// shared by the tests: making keys is slow.
var signer = sync.OnceValue(func() (s struct {
	key      xmlsig.Key
	verifier *xmlsig.Verifier
}) {
	pki := igc.New(igc.Options{ECDSA: true})
	p := pki.Sign("1010003812", "CH FICTIF")
	trust := xmlsig.NewTrust(trust.NewTrust(pki.Roots(igc.EtablissementSignature), pki.Intermediates(igc.EtablissementSignature)).Signature(nil))
	s.key = xmlsig.Key{Certificate: p.Cert, Chain: p.Chain, Signer: p.Key}
	s.verifier = xmlsig.NewVerifier(xmlsig.Options{Trust: func() *xmlsig.Trust { return trust }})
	return s
})

// checked signs a message and checks it.
func checked(t testing.TB, m roc.Content) *xmlsig.Checked {
	t.Helper()
	now := time.Now()
	signed, err := xmlsig.Sign(m, signer().key, xmlsig.SignOptions{At: now})
	if err != nil {
		t.Fatal(err)
	}
	return check(t, signed, xmlsig.Policy{}, now)
}

// unsigned passes a message that nobody signed: nothing in it is covered.
func unsigned(t testing.TB, m roc.Content) *xmlsig.Checked {
	t.Helper()
	return check(t, m, xmlsig.Policy{Optional: true}, time.Now())
}

func check(t testing.TB, m roc.Content, p xmlsig.Policy, at time.Time) *xmlsig.Checked {
	t.Helper()
	env, err := soap.Read(m, soap.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	c, err := signer().verifier.Check(env, p, xmlsig.Expect{}, at)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
