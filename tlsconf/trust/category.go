package trust

import (
	"crypto/x509"
	"encoding/asn1"
	"fmt"
)

// oidCategory is the product category of IGC-Santé, one byte (ANS nomenclature
// TRE_G01): 00 card, 02 security module, 03 software certificate; 80, 82 and 83
// the same for tests.
var oidCategory = asn1.ObjectIdentifier{1, 2, 250, 1, 71, 1, 2, 5}

const (
	categoryTest   = 0x80 // set: for tests
	categoryCard   = 0x00
	categoryModule = 0x02
)

// category says whether the product category of a leaf is one for this
// environment (profile section 3): software, production in production and test
// in test. A certificate without the extension is its CA's to vouch for; one
// that cannot be read is refused.
func (r Rules) category(leaf *x509.Certificate) *Failure {
	if r.Environment == AnyEnvironment {
		return nil
	}
	for _, e := range leaf.Extensions {
		if !e.Id.Equal(oidCategory) {
			continue
		}
		value := e.Value
		var inner asn1.RawValue
		if rest, err := asn1.Unmarshal(value, &inner); len(value) == 3 && err == nil && len(rest) == 0 {
			value = inner.Bytes // inside an OCTET STRING of its own
		}
		refuse := func(format string, args ...any) *Failure {
			return &Failure{Reason: WrongCategory, Detail: fmt.Sprintf(format, args...)}
		}
		if len(value) != 1 {
			return refuse("the product category of the certificate (extension %s) cannot be read", oidCategory)
		}
		switch kind, test := value[0]&^categoryTest, value[0]&categoryTest != 0; {
		case kind == categoryCard:
			return refuse("the certificate is one of a card (product category %02x): a software certificate of the structure is needed", value[0])
		case kind == categoryModule:
			return refuse("the certificate is one of a security module (product category %02x): a software certificate of the structure is needed", value[0])
		case kind > 0x0f:
			return refuse("the product category %02x is not known here: 03 is a software certificate, 83 one for tests", value[0])
		case test && r.Environment == Production:
			return refuse("the certificate is for tests (product category %02x), and this is production: take the production certificate", value[0])
		case !test && r.Environment == Testing:
			return refuse("the certificate is a production one (product category %02x), and this is a test environment: take the test certificate", value[0])
		}
	}
	return nil
}
