package trust

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"math/big"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// A Revocation says whether a certificate of a chain is out. Its methods take
// the links of an accepted chain, leaf first, root last.
type Revocation interface {
	// Seen is called once for each chain that was accepted: it may note where
	// the lists of its CAs are, and the responder of its leaf.
	Seen(links []Link)
	// Wanted is called for a chain whose signatures hold and that is refused for
	// one reason: nothing is known yet of a list that it announces. It may note
	// where that list is, else nobody who names it would ever come in. The peer
	// has proved nothing: what is noted is what a CA of the store has signed, and
	// is bounded whoever comes.
	Wanted(links []Link)
	// CheckLinks says whether the chain is revoked at that time; nil: it is not.
	CheckLinks(links []Link, at time.Time) *Failure
}

// A Link is one certificate of an accepted chain, with what a look-up needs.
type Link struct {
	Cert       *x509.Certificate
	Issuer     *x509.Certificate // the next one; nil for the root
	IssuerKey  IssuerKey
	IssuerPIN  [sha256.Size]byte // SHA-256 of the issuer's public key, as deny lists name it
	Serial     []byte            // as big.Int.Bytes writes it
	SerialText string            // hexadecimal
	ID         roc.CertificateID
	Prints     [][sha256.Size]byte // of the whole certificate, as deny lists of before name it: see printsOf
	Structure  roc.StructureID     // of the leaf
}

// LinksOf returns the links of a chain, leaf first, root last.
func LinksOf(chain []*x509.Certificate) []Link {
	links := make([]Link, len(chain))
	for i, c := range chain {
		l := &links[i]
		l.Cert, l.ID = c, roc.IDOfCertificate(c)
		l.Serial, l.SerialText = c.SerialNumber.Bytes(), c.SerialNumber.Text(16)
		if i+1 < len(chain) {
			l.Issuer = chain[i+1]
			l.IssuerKey = IssuerKeyOf(l.Issuer)
			l.IssuerPIN = sha256.Sum256(l.Issuer.RawSubjectPublicKeyInfo)
		}
		l.Prints = printsOf(c, l.Issuer)
	}
	links[0].Structure, _ = roc.StructureOfCertificate(chain[0])
	return links
}

// printsOf returns the SHA-256 of the certificate's bytes in every form in
// which its signature holds: an ECDSA signature (r, s) is also (r, n-s), and who
// presents a denied certificate would choose the other one.
func printsOf(c, issuer *x509.Certificate) [][sha256.Size]byte {
	prints := [][sha256.Size]byte{sha256.Sum256(c.Raw)}
	if issuer == nil {
		return prints
	}
	key, ok := issuer.PublicKey.(*ecdsa.PublicKey)
	if !ok {
		return prints
	}
	var signature struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(c.Signature, &signature); err != nil || len(rest) > 0 {
		return prints
	}
	signature.S.Sub(key.Params().N, signature.S)
	other, err := asn1.Marshal(signature)
	var whole struct {
		TBS, Algorithm asn1.RawValue
		Signature      asn1.BitString
	}
	if err != nil {
		return prints
	}
	if rest, err := asn1.Unmarshal(c.Raw, &whole); err != nil || len(rest) > 0 {
		return prints
	}
	whole.Signature = asn1.BitString{Bytes: other, BitLength: 8 * len(other)}
	twin, err := asn1.Marshal(whole)
	if err != nil {
		return prints
	}
	return append(prints, sha256.Sum256(twin))
}

// An IssuerKey is one CA: a name and a public key. A renewed or cross-signed CA
// certificate of the same name and key is the same CA.
type IssuerKey [sha256.Size]byte

// IssuerKeyOf returns the key of a CA.
func IssuerKeyOf(ca *x509.Certificate) IssuerKey {
	h := sha256.New()
	h.Write([]byte(NameKey(ca.RawSubject)))
	h.Write(ca.RawSubjectPublicKeyInfo)
	return IssuerKey(h.Sum(nil))
}
