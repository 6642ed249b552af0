package trust_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"
	"time"

	"github.com/piano-roc/rpn/tlsconf/trust"
)

// An attribute of a name: its type, the tag of its value, the bytes.
type attribute struct {
	oid   asn1.ObjectIdentifier
	tag   int
	value string
}

var (
	country = asn1.ObjectIdentifier{2, 5, 4, 6}
	common  = asn1.ObjectIdentifier{2, 5, 4, 3}
)

// nameOf writes a name, one attribute a set; nested sets with several.
func nameOf(t testing.TB, sets ...[]attribute) []byte {
	t.Helper()
	marshal := func(v any) []byte {
		der, err := asn1.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	raw := func(tag int, content []byte) []byte {
		return marshal(asn1.RawValue{Tag: tag, IsCompound: true, Bytes: content})
	}
	var all []byte
	for _, set := range sets {
		var in []byte
		for _, a := range set {
			in = append(in, raw(asn1.TagSequence, append(marshal(a.oid), marshal(asn1.RawValue{Tag: a.tag, Bytes: []byte(a.value)})...))...)
		}
		all = append(all, raw(asn1.TagSet, in)...)
	}
	return raw(asn1.TagSequence, all)
}

func cn(tag int, value string) []attribute { return []attribute{{common, tag, value}} }

const (
	printable = asn1.TagPrintableString
	utf8      = asn1.TagUTF8String
	bmp       = asn1.TagBMPString
	t61       = asn1.TagT61String
)

func TestNamesCompareAsRFC5280Says(t *testing.T) {
	t.Parallel()
	fr := []attribute{{country, printable, "FR"}}
	base := nameOf(t, fr, cn(printable, "AC FICTIVE"))
	for name, c := range map[string]struct {
		other []byte
		same  bool
	}{
		"the same bytes":         {nameOf(t, fr, cn(printable, "AC FICTIVE")), true},
		"UTF8String":             {nameOf(t, fr, cn(utf8, "AC FICTIVE")), true},
		"another case":           {nameOf(t, fr, cn(utf8, "ac Fictive")), true},
		"white space":            {nameOf(t, fr, cn(printable, "  AC   FICTIVE ")), true},
		"BMPString":              {nameOf(t, fr, cn(bmp, "\x00A\x00C\x00 \x00F\x00I\x00C\x00T\x00I\x00V\x00E")), true},
		"T61String":              {nameOf(t, fr, cn(t61, "AC FICTIVE")), true},
		"another name":           {nameOf(t, fr, cn(utf8, "AC FICTIF")), false},
		"another order":          {nameOf(t, cn(printable, "AC FICTIVE"), fr), false},
		"one attribute more":     {nameOf(t, fr, cn(printable, "AC FICTIVE"), cn(printable, "X")), false},
		"one attribute less":     {nameOf(t, fr), false},
		"both in one set":        {nameOf(t, []attribute{{country, printable, "FR"}, {common, printable, "AC FICTIVE"}}), false},
		"a type that is no text": {nameOf(t, fr, []attribute{{common, asn1.TagBitString, "\x00AC FICTIVE"}}), false},
		"the words joined":       {nameOf(t, fr, cn(utf8, "ACFICTIVE")), false},
		"nothing":                {nil, false},
		"not a name":             {[]byte("AC FICTIVE"), false},
	} {
		if got := trust.SameName(base, c.other); got != c.same {
			t.Errorf("%s: %t", name, got)
		}
	}
	two := []attribute{{country, printable, "FR"}, {common, printable, "X"}}
	turned := []attribute{two[1], two[0]}
	if !trust.SameName(nameOf(t, two), nameOf(t, turned)) {
		t.Error("the values of a set are in no order")
	}
	if trust.SameName(nameOf(t, cn(utf8, "\xe9")), nameOf(t, cn(utf8, "e"))) {
		t.Error("broken UTF-8 is another name")
	}
	if !trust.SameName(nameOf(t, cn(utf8, "santé")), nameOf(t, cn(t61, "sant\xe9"))) {
		t.Error("an accent in T61String is Latin-1")
	}
}

// A CA that writes its own name as UTF8String and signs with an issuer written as
// PrintableString, in another case: OpenSSL takes it, and so do we.
func TestAnIssuerIsFoundUnderAnotherWritingOfItsName(t *testing.T) {
	t.Parallel()
	root := forge(t, forged{}, "AC RACINE", nil, func(c *x509.Certificate) { c.RawSubject = nameOf(t, cn(utf8, "AC  Racine")) })
	above := *root.cert
	above.RawSubject = nameOf(t, cn(printable, "AC RACINE")) // what the leaf will say of its issuer
	above.Subject = pkix.Name{CommonName: "AC RACINE"}
	peer := leaf(t, forged{&above, root.key})
	cas := trust.NewTrust(certs(root), nil)
	if _, err := cas.Verify(certs(peer), trust.AsClient, nil, time.Now()); err != nil {
		t.Error(err)
	}
	if said := opensslVerify(t, []forged{root}, nil, peer); !said {
		t.Error("openssl refuses it")
	}
}

func FuzzNameKey(f *testing.F) {
	f.Add(nameOf(f, cn(printable, "AC FICTIVE")))
	f.Add(nameOf(f, cn(bmp, "\x00A")))
	f.Add([]byte{0x30, 0x80})
	f.Fuzz(func(t *testing.T, der []byte) {
		if !trust.SameName(der, der) {
			t.Error("a name is not itself")
		}
		if len(trust.NameKey(der)) > 8*len(der)+64 {
			t.Errorf("%d bytes for a name of %d", len(trust.NameKey(der)), len(der))
		}
	})
}
