package xmlsig

import (
	"crypto/x509"
	"fmt"
	"io"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
)

// Checked is an envelope that passed the signature policy of its service.
// Only Check makes one, so holding a Checked is the proof; a zero one yields
// nothing. Its accessors give only what the signature covers.
type Checked struct {
	env           *soap.Envelope
	signer        *signer
	body          soap.Node // zero when the message is unsigned
	created       time.Time
	until         time.Time
	signatureHash [32]byte
	vihf          string
}

// Envelope returns the envelope that was checked.
func (c *Checked) Envelope() *soap.Envelope { return c.env }

// Content returns the bytes that were checked: those that must leave.
func (c *Checked) Content() roc.Content {
	if c.env == nil {
		return roc.Content{}
	}
	return c.env.Content()
}

// Signed reports whether the message is signed; false only where the policy
// lets an unsigned one pass.
func (c *Checked) Signed() bool { return c.signer != nil }

// Body returns the Body's only child, when the signature covers the Body;
// zero when the message is unsigned.
func (c *Checked) Body() soap.Node { return c.body.First() }

// Signer returns the signer's certificate; nil when the message is unsigned.
func (c *Checked) Signer() *x509.Certificate {
	if c.signer == nil {
		return nil
	}
	return c.signer.cert
}

// SignerStructure returns the structure id of the signer's certificate; ""
// when the message is unsigned or the certificate carries none.
func (c *Checked) SignerStructure() roc.StructureID {
	if c.signer == nil {
		return ""
	}
	return c.signer.structure
}

// SignerSerial returns the serial number of the signer's certificate, in
// hexadecimal.
func (c *Checked) SignerSerial() string {
	if c.signer == nil {
		return ""
	}
	return c.signer.serial
}

// SignatureHash returns the SHA-256 of the decoded SignatureValue (of an ECDSA
// one, with the smaller of s and n-s: both verify, and anybody who holds the
// one can write the other, so they are one signature to a replay); zero when
// the message is unsigned.
func (c *Checked) SignatureHash() [32]byte { return c.signatureHash }

// VIHF is what was found of the VIHF, one of the words of vihf.go; "" when the message
// has none.
func (c *Checked) VIHF() string { return c.vihf }

// Created returns the instant of the signed Timestamp; zero when there is none.
func (c *Checked) Created() time.Time { return c.created }

// Until is the end of the life of the signed Timestamp, tolerance included: a
// message presented later is stale. Zero when there is no Timestamp.
func (c *Checked) Until() time.Time { return c.until }

// Offset is how far the signer's clock is ahead of ours, according to Created
// (it includes the transit time of the message); 0 when there is no Timestamp.
func (c *Checked) Offset(at time.Time) time.Duration {
	if c.created.IsZero() {
		return 0
	}
	return c.created.Sub(at)
}

// Format never writes the message.
func (c *Checked) Format(s fmt.State, _ rune) { io.WriteString(s, c.Content().String()) }
