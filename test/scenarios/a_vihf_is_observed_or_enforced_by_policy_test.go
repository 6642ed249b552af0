package scenarios

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"io"
	"math/big"
	"regexp"
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

// covered puts the assertion in a signed message, and has the message's
// signature cover it.
func covered(t *testing.T, e *nation.Etablissement, signed []byte, assertion string) []byte {
	t.Helper()
	end := bytes.LastIndex(signed[:bytes.Index(signed, []byte("</wsse:Security>"))+1], []byte("<"))
	b := append(append(append([]byte(nil), signed[:end]...), assertion...), signed[end:]...)
	digest := func(path func(security soap.Node) soap.Node) []byte {
		t.Helper()
		env, err := soap.Read(roc.NewContent(b), soap.DefaultLimits)
		if err != nil {
			t.Fatal(err)
		}
		defer env.Release()
		h := sha256.New()
		if err := path(env.Header().Child(soap.NSWSSE, "Security")).Canonical(h, soap.C14N{}); err != nil {
			t.Fatal(err)
		}
		return h.Sum(nil)
	}
	value := digest(func(s soap.Node) soap.Node { return s.Child(soap.NSSAML, "Assertion") })
	reference := `<ds:Reference URI="#vihf-1"><ds:Transforms><ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/></ds:Transforms>` +
		`<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><ds:DigestValue>` + base64.StdEncoding.EncodeToString(value) + `</ds:DigestValue></ds:Reference>`
	b = bytes.Replace(b, []byte("</ds:SignedInfo>"), []byte(reference+"</ds:SignedInfo>"), 1)
	info := digest(func(s soap.Node) soap.Node { return s.Child(soap.NSDS, "Signature").Child(soap.NSDS, "SignedInfo") })
	signature, err := rawSigner{e.Signature.Key}.Sign(rand.Reader, info, crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	first := regexp.MustCompile(`<ds:SignatureValue>[^<]*`).FindIndex(b)
	return append(append(append([]byte(nil), b[:first[0]]...), "<ds:SignatureValue>"+base64.StdEncoding.EncodeToString(signature)...), b[first[1]:]...)
}

// The Conditions of a VIHF that the message's signature covers: observed, each
// is carried and counted by what is wrong with it; enforced, it is refused.
func TestTheConditionsOfAVIHFAreObservedOrEnforced(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC()
	at := func(d time.Duration) string { return now.Add(d).Format(time.RFC3339) }
	for policy, enforced := range map[string]bool{"observe": false, "enforce": true} {
		n := nation.New(t, nation.Binary, nation.Section("policies", "vihf: "+policy))
		chu := n.Etablissement()
		for outcome, conditions := range map[string]string{
			"good":          `<saml:Conditions NotBefore="` + at(-time.Minute) + `" NotOnOrAfter="` + at(time.Hour) + `"/>`,
			"expired":       `<saml:Conditions NotOnOrAfter="` + at(-time.Hour) + `"/>`,
			"not-yet":       `<saml:Conditions NotBefore="` + at(time.Hour) + `" NotOnOrAfter="` + at(2*time.Hour) + `"/>`,
			"no-conditions": "",
		} {
			vihf := assertion(t, chu, "1"+string(chu.EJ), conditions)
			r := chu.Send(roc.IDB, "bleue", with(func(d *inner.Draft) {
				d.Alter = func(b []byte) []byte { return covered(t, chu, b, vihf) }
			}))
			if enforced && outcome != "good" {
				r.WantRefused(roc.StaleTimestamp).WantSaying("VIHF")
				continue
			}
			r.WantAnswer()
			if got := n.Metric(`rpn_vihf_total{outcome="` + outcome + `"}`); got != "1" {
				t.Errorf("%s, %s: %q is counted, want 1", policy, outcome, got)
			}
		}
	}
}
