package timestamp

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/smallstep/pkcs7"
)

type pkixExtension = pkix.Extension

// maxResponse bounds a response, in bytes: one with a long chain has about 8 000.
const maxResponse = 64 << 10

var (
	oidSHA256      = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	oidSHA384      = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}
	oidSHA512      = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}
	oidTSTInfo     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}
	oidContentType = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidSigningV2   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47}
)

type imprint struct {
	Algorithm pkix.AlgorithmIdentifier
	Hash      []byte
}

// A Request asks for a token of some bytes.
type Request struct {
	DER   []byte
	nonce *big.Int
}

// NewRequest makes a request for a token of data. Only the hash of data leaves.
func NewRequest(data []byte) (Request, error) {
	nonce, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 64))
	if err != nil {
		return Request{}, err
	}
	sum := sha256.Sum256(data)
	der, err := asn1.Marshal(struct {
		Version int
		Imprint imprint
		Nonce   *big.Int
		CertReq bool
	}{1, imprint{pkix.AlgorithmIdentifier{Algorithm: oidSHA256, Parameters: asn1.NullRawValue}, sum[:]}, nonce, true})
	return Request{der, nonce}, err
}

// A Token is what an authority said.
type Token struct {
	At     time.Time // UTC
	By     string    // the subject of the certificate that signed it
	Serial string    // hexadecimal
}

type response struct {
	Status struct {
		Status int
		Text   asn1.RawValue  `asn1:"optional"`
		Fail   asn1.BitString `asn1:"optional"`
	}
	Token asn1.RawValue `asn1:"optional"`
}

type tstInfo struct {
	Version    int
	Policy     asn1.ObjectIdentifier
	Imprint    imprint
	Serial     *big.Int
	GenTime    asn1.RawValue
	Accuracy   accuracy         `asn1:"optional"`
	Ordering   bool             `asn1:"optional"`
	Nonce      *big.Int         `asn1:"optional"`
	TSA        asn1.RawValue    `asn1:"optional,tag:0"`
	Extensions []pkix.Extension `asn1:"optional,tag:1"`
}

type accuracy struct {
	Seconds int `asn1:"optional"`
	Millis  int `asn1:"optional,tag:0"`
	Micros  int `asn1:"optional,tag:1"`
}

type signingCertificateV2 struct {
	Certs []struct {
		Algorithm    pkix.AlgorithmIdentifier `asn1:"optional"`
		Hash         []byte
		IssuerSerial asn1.RawValue `asn1:"optional"`
	}
	Policies asn1.RawValue `asn1:"optional"`
}

// Answer verifies the response to a request for a token of data.
func (a *Authority) Answer(r Request, response, data []byte) (*Token, error) {
	return a.verify(response, data, r.nonce)
}

// Verify verifies a response (TimeStampResp) that was kept: its token is of this
// authority and of these bytes, and its certificate was valid when it was made.
// It fails closed, and asks nobody: it does not know of a certificate that was
// revoked.
func (a *Authority) Verify(response, data []byte) (*Token, error) {
	return a.verify(response, data, nil)
}

func (a *Authority) verify(der, data []byte, nonce *big.Int) (*Token, error) {
	token, err := tokenOf(der)
	if err != nil {
		return nil, err
	}
	p, err := pkcs7.Parse(token)
	if err != nil {
		return nil, fmt.Errorf("the token is malformed: %w", err)
	}
	if len(p.Signers) != 1 {
		return nil, fmt.Errorf("the token has %d signatures, not one", len(p.Signers))
	}
	signer, err := a.signerOf(p)
	if err != nil {
		return nil, err
	}
	p.Certificates = []*x509.Certificate{signer} // whatever the token carries
	if err := p.Verify(); err != nil {
		return nil, fmt.Errorf("the signature of the token: %w", err)
	}
	info, at, err := infoOf(p)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	if !info.Imprint.Algorithm.Algorithm.Equal(oidSHA256) || !bytes.Equal(info.Imprint.Hash, sum[:]) {
		return nil, errors.New("the token is of other bytes")
	}
	if nonce != nil && (info.Nonce == nil || info.Nonce.Cmp(nonce) != 0) {
		return nil, errors.New("the token does not answer this request (its nonce differs)")
	}
	if _, err := signer.Verify(x509.VerifyOptions{Roots: a.roots, Intermediates: a.between, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping}}); err != nil {
		return nil, fmt.Errorf("the certificate of the authority at %s: %w", at.Format(time.RFC3339), err)
	}
	return &Token{At: at, By: signer.Subject.String(), Serial: info.Serial.Text(16)}, nil
}

// tokenOf takes the token out of a response.
func tokenOf(der []byte) ([]byte, error) {
	if len(der) > maxResponse {
		return nil, fmt.Errorf("the response is larger than %d bytes", maxResponse)
	}
	var r response
	rest, err := asn1.Unmarshal(der, &r)
	if err != nil || len(rest) > 0 {
		return nil, errors.New("not a response of a time-stamping authority (RFC 3161)")
	}
	if r.Status.Status != 0 && r.Status.Status != 1 || len(r.Token.FullBytes) == 0 {
		return nil, fmt.Errorf("the authority refused: status %d, failure %x", r.Status.Status, r.Status.Fail.Bytes)
	}
	if !shallow(r.Token.FullBytes, maxDepth) {
		return nil, errors.New("the token is nested deeper than any, or is not DER")
	}
	return r.Token.FullBytes, nil
}

// maxDepth is deeper than any token: what reads it takes the more time the deeper
// it is.
const maxDepth = 32

// shallow reports whether a DER value is not nested deeper than that.
func shallow(der []byte, depth int) bool {
	for len(der) > 0 {
		var v asn1.RawValue
		rest, err := asn1.Unmarshal(der, &v)
		if err != nil || v.IsCompound && (depth == 0 || !shallow(v.Bytes, depth-1)) {
			return false
		}
		der = rest
	}
	return true
}

// signerOf finds the certificate to which the token itself refers, among those
// of the authority. The certificates in the token are not looked at: any may be
// put there (CVE-2026-39984).
func (a *Authority) signerOf(p *pkcs7.PKCS7) (*x509.Certificate, error) {
	var kind asn1.ObjectIdentifier
	if err := p.UnmarshalSignedAttribute(oidContentType, &kind); err != nil || !kind.Equal(oidTSTInfo) {
		return nil, errors.New("what is signed is not a time-stamp")
	}
	var ref signingCertificateV2
	if err := p.UnmarshalSignedAttribute(oidSigningV2, &ref); err != nil || len(ref.Certs) == 0 {
		return nil, errors.New("the token does not say which certificate signed it (ESSCertIDv2, RFC 5816)")
	}
	c := ref.Certs[0]
	hash := crypto.SHA256
	switch oid := c.Algorithm.Algorithm; {
	case len(oid) == 0 || oid.Equal(oidSHA256):
	case oid.Equal(oidSHA384):
		hash = crypto.SHA384
	case oid.Equal(oidSHA512):
		hash = crypto.SHA512
	default:
		return nil, fmt.Errorf("the token refers to its certificate by a hash that is not accepted (%s)", oid)
	}
	for _, s := range a.signers {
		h := hash.New()
		h.Write(s.Raw)
		if bytes.Equal(h.Sum(nil), c.Hash) {
			return s, nil
		}
	}
	return nil, errors.New("the token is of another authority, or of a certificate of this one that is not in its file")
}

// infoOf reads what the token says.
func infoOf(p *pkcs7.PKCS7) (info tstInfo, at time.Time, err error) {
	rest, err := asn1.Unmarshal(p.Content, &info)
	if err != nil || len(rest) > 0 || info.Version != 1 {
		return info, at, errors.New("what the token says is malformed (TSTInfo)")
	}
	for _, e := range info.Extensions {
		if e.Critical {
			return info, at, fmt.Errorf("the token has a critical extension that is not known (%s)", e.Id)
		}
	}
	at, err = time.Parse("20060102150405Z", string(info.GenTime.Bytes)) // it may have a fraction
	if err != nil || info.GenTime.Tag != asn1.TagGeneralizedTime || info.GenTime.Class != asn1.ClassUniversal {
		return info, at, errors.New("the instant of the token is malformed")
	}
	return info, at.UTC(), nil
}
