package igc

import (
	"crypto/elliptic"
	"crypto/x509"
	"encoding/asn1"
	"math/big"
)

// Longer is a certificate with bytes more after its signature, inside:
// crypto/x509 reads it as the same, with another Raw.
func Longer(c *x509.Certificate, more ...byte) *x509.Certificate {
	var outer asn1.RawValue
	if _, err := asn1.Unmarshal(c.Raw, &outer); err != nil {
		panic("igc: " + err.Error())
	}
	return mustParse(mustMarshal(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: append(outer.Bytes[:len(outer.Bytes):len(outer.Bytes)], more...)}))
}

// Twin is a certificate with the other value of its CA's ECDSA signature on
// P-256, (r, n-s): it verifies as well.
func Twin(c *x509.Certificate) *x509.Certificate {
	var parts struct {
		TBS, Algorithm asn1.RawValue
		Signature      asn1.BitString
	}
	if _, err := asn1.Unmarshal(c.Raw, &parts); err != nil {
		panic("igc: " + err.Error())
	}
	var s struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(parts.Signature.Bytes, &s); err != nil {
		panic("igc: the signature is not one of ECDSA: " + err.Error())
	}
	s.S.Sub(elliptic.P256().Params().N, s.S)
	value := mustMarshal(s)
	parts.Signature = asn1.BitString{Bytes: value, BitLength: 8 * len(value)}
	return mustParse(mustMarshal(parts))
}

func mustParse(der []byte) *x509.Certificate {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		panic("igc: parse certificate: " + err.Error())
	}
	return c
}
