package xmlsig

import (
	"crypto"
	"crypto/x509"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
)

type Key struct {
	Certificate *x509.Certificate
	Chain       []*x509.Certificate
	Signer      crypto.Signer
}
type TokenForm uint8

const (
	BinarySecurityToken TokenForm = iota
	PKIPath
	KeyIdentifier
	X509Data
)

type SignOptions struct {
	At          time.Time
	Life        time.Duration
	Token       TokenForm
	Digest      crypto.Hash
	NoTimestamp bool
}

func Sign(m roc.Content, k Key, o SignOptions) (roc.Content, error) { panic("stub") }

type Trust struct{}

func NewTrust(roots, intermediates []*x509.Certificate) *Trust { panic("stub") }

type Options struct {
	Trust              func() *Trust
	AllowSHA1          bool
	Tolerance, MaxLife time.Duration
}
type Verifier struct{}

func NewVerifier(Options) *Verifier { panic("stub") }

type Policy struct{ Optional, TimestampOptional bool }
type Expect struct {
	Structure roc.StructureID
	Mandate   func(signer roc.StructureID) bool
}

func (v *Verifier) Check(env *soap.Envelope, p Policy, e Expect, at time.Time) (*Checked, error) {
	panic("stub")
}

type Checked struct{}

func (c *Checked) Envelope() *soap.Envelope          { panic("stub") }
func (c *Checked) Content() roc.Content              { panic("stub") }
func (c *Checked) Signed() bool                      { panic("stub") }
func (c *Checked) Body() soap.Node                   { panic("stub") }
func (c *Checked) Operation() soap.Name              { panic("stub") }
func (c *Checked) Signer() *x509.Certificate         { panic("stub") }
func (c *Checked) SignerStructure() roc.StructureID  { panic("stub") }
func (c *Checked) SignerSerial() string              { panic("stub") }
func (c *Checked) SignatureHash() [32]byte           { panic("stub") }
func (c *Checked) Created() time.Time                { panic("stub") }
func (c *Checked) Offset(at time.Time) time.Duration { panic("stub") }
