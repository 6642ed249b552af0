package roc

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
)

var oidOU = asn1.ObjectIdentifier{2, 5, 4, 11}

// StructureOfCertificate reads the Struct_IdNat from the subject of a
// certificate: its only OU that is one. The subject is read structurally,
// attribute by attribute; it is never split as text, where a CN such as
// "x;OU=1010003812" would lie (domain 4.2). No such OU, or two different
// ones, is an error.
func StructureOfCertificate(c *x509.Certificate) (StructureID, error) {
	var found StructureID
	for _, a := range c.Subject.Names {
		if !a.Type.Equal(oidOU) {
			continue
		}
		s, ok := a.Value.(string)
		if !ok {
			continue
		}
		id, err := ParseStructureID(s)
		if err != nil {
			continue
		}
		if found != "" && found != id {
			return "", errors.New("the certificate's subject carries two structure ids (OU)")
		}
		found = id
	}
	if found == "" {
		return "", errors.New("the certificate's subject carries no structure id (OU = Struct_IdNat)")
	}
	return found, nil
}
