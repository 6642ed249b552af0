package scenarios

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"encoding/asn1"
	"io"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	inner "github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/test/nation"
)

// assertion writes a VIHF of the structure, signed as its software would: by
// goxmldsig, enveloped, with the certificate in it.
func assertion(t *testing.T, e *nation.Etablissement, structure, conditions string) string {
	t.Helper()
	doc := etree.NewDocument()
	if err := doc.ReadFromString(`<saml:Assertion xmlns:saml="` + soap.NSSAML + `" ID="vihf-1" Version="2.0"><saml:Issuer>FICTIF</saml:Issuer>` + conditions +
		`<saml:AttributeStatement><saml:Attribute Name="Identifiant_Structure"><saml:AttributeValue>` + structure + `</saml:AttributeValue></saml:Attribute></saml:AttributeStatement></saml:Assertion>`); err != nil {
		t.Fatal(err)
	}
	s, err := dsig.NewSigningContext(rawSigner{e.Signature.Key}, [][]byte{e.Signature.Cert.Raw})
	if err != nil {
		t.Fatal(err)
	}
	s.Hash, s.Canonicalizer = crypto.SHA256, dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
	signed, err := s.SignEnveloped(doc.Root())
	if err != nil {
		t.Fatal(err)
	}
	out := etree.NewDocument()
	out.SetRoot(signed)
	text, err := out.WriteToString()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// rawSigner writes an ECDSA value as XML signatures do, r and s as they are;
// goxmldsig writes the DER of the standard library.
type rawSigner struct{ crypto.Signer }

func (k rawSigner) Sign(r io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	value, err := k.Signer.Sign(r, digest, o)
	if _, ok := k.Public().(*ecdsa.PublicKey); !ok || err != nil {
		return value, err
	}
	var pair struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(value, &pair); err != nil {
		return nil, err
	}
	raw := make([]byte, 64)
	pair.R.FillBytes(raw[:32])
	pair.S.FillBytes(raw[32:])
	return raw, nil
}

// Whatever the policy, a VIHF of another structure is refused; what its
// Conditions say, and whether the message's signature covers it, is observed
// or enforced.
func TestAVIHFIsObservedOrEnforcedByPolicy(t *testing.T) {
	t.Parallel()
	for policy, refused := range map[string]roc.Reason{"observe": "", "enforce": roc.PartNotSigned} {
		n := nation.New(t, nation.Binary, nation.Section("policies", "vihf: "+policy))
		chu := n.Etablissement()
		send := func(structure, conditions string) *nation.Reply {
			vihf := assertion(t, chu, structure, conditions)
			return chu.Send(roc.IDB, "bleue", with(func(d *inner.Draft) { // beside the signature, which does not cover it
				d.Alter = func(b []byte) []byte {
					end := bytes.Index(b, []byte("Security>"))
					end = bytes.LastIndex(b[:end+len("Security>")], []byte("</"))
					return append(append(append([]byte(nil), b[:end]...), vihf...), b[end:]...)
				}
			}))
		}
		own := "1" + string(chu.EJ)
		now := time.Now().UTC()
		holds := `<saml:Conditions NotBefore="` + now.Add(-time.Minute).Format(time.RFC3339) + `" NotOnOrAfter="` + now.Add(time.Hour).Format(time.RFC3339) + `"/>`
		send("1010009999", holds).WantRefused(roc.StructureMismatch)
		r := send(own, holds)
		if refused != "" {
			r.WantRefused(refused).WantSaying("VIHF")
			continue
		}
		r.WantAnswer()
		if line := r.Line(); !strings.Contains(string(n.Log()), `"vihf":"not-covered"`) {
			t.Errorf("the record does not say what was found of the VIHF: %v", line)
		}
		if got := n.Metric(`rpn_vihf_total{outcome="not-covered"}`); got != "1" {
			t.Errorf("%q is counted, want 1", got)
		}
	}
}
