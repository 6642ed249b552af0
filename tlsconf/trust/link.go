package trust

import (
	"crypto/sha256"
	"crypto/x509"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// A Revocation says whether a certificate of a chain is out. Its methods take
// the links of an accepted chain, leaf first, root last.
type Revocation interface {
	// Seen is called once for each chain that was accepted: it may note where
	// the lists of its CAs are.
	Seen(links []Link)
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
	Print      [sha256.Size]byte
	Structure  roc.StructureID // of the leaf
}

// LinksOf returns the links of a chain, leaf first, root last.
func LinksOf(chain []*x509.Certificate) []Link {
	links := make([]Link, len(chain))
	for i, c := range chain {
		l := &links[i]
		l.Cert, l.Print = c, sha256.Sum256(c.Raw)
		l.Serial, l.SerialText = c.SerialNumber.Bytes(), c.SerialNumber.Text(16)
		if i+1 < len(chain) {
			l.Issuer = chain[i+1]
			l.IssuerKey = IssuerKeyOf(l.Issuer)
			l.IssuerPIN = sha256.Sum256(l.Issuer.RawSubjectPublicKeyInfo)
		}
	}
	links[0].Structure, _ = roc.StructureOfCertificate(chain[0])
	return links
}

// An IssuerKey is one CA: a name and a public key. A renewed or cross-signed CA
// certificate of the same name and key is the same CA.
type IssuerKey [sha256.Size]byte

// IssuerKeyOf returns the key of a CA.
func IssuerKeyOf(ca *x509.Certificate) IssuerKey {
	h := sha256.New()
	h.Write(ca.RawSubject)
	h.Write(ca.RawSubjectPublicKeyInfo)
	return IssuerKey(h.Sum(nil))
}
