package igc

import (
	"crypto/x509/pkix"
	"encoding/asn1"
)

var (
	oidC  = asn1.ObjectIdentifier{2, 5, 4, 6}
	oidST = asn1.ObjectIdentifier{2, 5, 4, 8}
	oidO  = asn1.ObjectIdentifier{2, 5, 4, 10}
	oidOU = asn1.ObjectIdentifier{2, 5, 4, 11}
	oidCN = asn1.ObjectIdentifier{2, 5, 4, 3}
)

type attribute struct {
	oid   asn1.ObjectIdentifier
	value string
}

// subject encodes a name attribute by attribute, in the order given: C as
// PrintableString, the others as UTF8String, as IGC-Santé does (domain 4.2).
// pkix.Name would reorder them.
func subject(attributes ...attribute) []byte {
	var rdns pkix.RDNSequence
	for _, a := range attributes {
		tag := asn1.TagUTF8String
		if a.oid.Equal(oidC) {
			tag = asn1.TagPrintableString
		}
		value := asn1.RawValue{Tag: tag, Bytes: []byte(a.value)}
		rdns = append(rdns, pkix.RelativeDistinguishedNameSET{{Type: a.oid, Value: value}})
	}
	der, err := asn1.Marshal(rdns)
	if err != nil {
		panic("igc: subject: " + err.Error())
	}
	return der
}
