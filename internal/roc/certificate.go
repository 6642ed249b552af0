package roc

import (
	"bytes"
	"crypto/sha256"
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

// A CertificateID names a certificate in every cache and list of ours: the
// SHA-256 of its tbsCertificate, the part its CA signed. The presenter can
// change the bytes around it (another value of an ECDSA signature verifies as
// well), so a hash of the whole is no identifier.
type CertificateID [sha256.Size]byte

// IDOfCertificate returns the name of a certificate.
func IDOfCertificate(c *x509.Certificate) CertificateID { return sha256.Sum256(c.RawTBSCertificate) }

// ErrNotACertificate is the error of what is not exactly a certificate.
var ErrNotACertificate = errors.New("is not exactly a certificate (one DER sequence of tbsCertificate, signatureAlgorithm and signatureValue)")

// ParseCertificate is the only function of ours that parses a certificate, from
// a message, a file or a peer. x509.ParseCertificate accepts bytes after the
// signature, so one certificate could have many forms; a test of the tree
// forbids calling it elsewhere.
func ParseCertificate(der []byte) (*x509.Certificate, error) {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	if err := CheckCertificate(c); err != nil {
		return nil, err
	}
	return c, nil
}

// CheckCertificate is ParseCertificate for a certificate that somebody else
// has parsed: crypto/tls, a library of files.
func CheckCertificate(c *x509.Certificate) error {
	var outer, tbs, algorithm, signature asn1.RawValue
	rest, err := asn1.Unmarshal(c.Raw, &outer)
	if err != nil || len(rest) > 0 || outer.Tag != asn1.TagSequence {
		return ErrNotACertificate
	}
	rest = outer.Bytes
	for _, part := range []struct {
		value *asn1.RawValue
		tag   int
	}{{&tbs, asn1.TagSequence}, {&algorithm, asn1.TagSequence}, {&signature, asn1.TagBitString}} {
		if rest, err = asn1.Unmarshal(rest, part.value); err != nil || part.value.Tag != part.tag || part.value.Class != asn1.ClassUniversal {
			return ErrNotACertificate
		}
	}
	wholeBytes := len(signature.Bytes) > 0 && signature.Bytes[0] == 0
	if len(rest) > 0 || !wholeBytes || !bytes.Equal(tbs.FullBytes, c.RawTBSCertificate) {
		return ErrNotACertificate
	}
	return nil
}
