package revocation_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf16"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/piano-roc/rpn/internal/roc"
)

// What follows writes certificates and lists byte by byte: those of package igc
// are right, and these need not be.

var (
	oidReason  = asn1.ObjectIdentifier{2, 5, 29, 21}
	oidIssuer  = asn1.ObjectIdentifier{2, 5, 29, 29} // certificateIssuer, of an entry
	oidAKI     = asn1.ObjectIdentifier{2, 5, 29, 35}
	oidNumber  = asn1.ObjectIdentifier{2, 5, 29, 20}
	oidDeltaOf = asn1.ObjectIdentifier{2, 5, 29, 27}
	oidIDP     = asn1.ObjectIdentifier{2, 5, 29, 28}
	oidCRLDP   = asn1.ObjectIdentifier{2, 5, 29, 31}
	oidFresh   = asn1.ObjectIdentifier{2, 5, 29, 46}
	oidOdd     = asn1.ObjectIdentifier{1, 2, 250, 9, 9}
)

// forgedKeys are made once: a key costs more than what it signs.
var forgedKeys = sync.OnceValue(func() (keys []*ecdsa.PrivateKey) {
	for range 6 {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			panic(err)
		}
		keys = append(keys, k)
	}
	return keys
})

func built(f func(b *cryptobyte.Builder)) []byte {
	var b cryptobyte.Builder
	f(&b)
	return b.BytesOrPanic()
}

func sequence(parts ...[]byte) []byte { return tagged(cbasn1.SEQUENCE, parts...) }

func tagged(tag cbasn1.Tag, parts ...[]byte) []byte {
	return built(func(b *cryptobyte.Builder) {
		b.AddASN1(tag, func(b *cryptobyte.Builder) {
			for _, p := range parts {
				b.AddBytes(p)
			}
		})
	})
}

func inContext(tag uint8, parts ...[]byte) []byte {
	return tagged(cbasn1.Tag(tag).ContextSpecific().Constructed(), parts...)
}

func yes(tag uint8) []byte { return tagged(cbasn1.Tag(tag).ContextSpecific(), []byte{0xff}) }

// A spelling is one way to write a text that compares equal.
type spelling struct {
	tag    cbasn1.Tag // of its string type
	upper  bool
	spaced bool
}

// written is a name of a country, an organisation and a common name.
func written(cn string, how spelling) []byte {
	attribute := func(oid asn1.ObjectIdentifier, text string, how spelling) []byte {
		if how.upper {
			text = strings.ToUpper(text)
		}
		if how.spaced {
			text = "  " + strings.ReplaceAll(text, " ", "   ") + " "
		}
		value := []byte(text)
		switch how.tag {
		case cbasn1.Tag(asn1.TagBMPString):
			value = nil
			for _, u := range utf16.Encode([]rune(text)) {
				value = append(value, byte(u>>8), byte(u))
			}
		case cbasn1.T61String:
			value = nil
			for _, r := range text {
				value = append(value, byte(r)) // Latin-1
			}
		}
		id, err := asn1.Marshal(oid)
		if err != nil {
			panic(err)
		}
		return tagged(cbasn1.SET, sequence(id, tagged(how.tag, value)))
	}
	return sequence(
		attribute(asn1.ObjectIdentifier{2, 5, 4, 6}, "FR", spelling{tag: cbasn1.PrintableString}),
		attribute(asn1.ObjectIdentifier{2, 5, 4, 10}, "IGC FICTIVE", how),
		attribute(asn1.ObjectIdentifier{2, 5, 4, 3}, cn, how))
}

// A maker is a CA, or the holder of a leaf: a key and a certificate.
type maker struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func keyID(k *ecdsa.PrivateKey) []byte {
	der, err := x509.MarshalPKIXPublicKey(k.Public())
	if err != nil {
		panic(err)
	}
	sum := sha1.Sum(der)
	return sum[:]
}

// forgeCert signs a certificate under by (nil: itself), whose name is written as
// issuer.
func forgeCert(t *testing.T, by *maker, key *ecdsa.PrivateKey, serial *big.Int, subject, issuer []byte, change func(*x509.Certificate)) *maker {
	t.Helper()
	c := &x509.Certificate{
		SerialNumber: serial, RawSubject: subject, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, SubjectKeyId: keyID(key),
	}
	if change != nil {
		change(c)
	}
	parent, signer := &x509.Certificate{RawSubject: issuer, SubjectKeyId: keyID(key)}, key
	if by != nil {
		parent, signer = &x509.Certificate{RawSubject: issuer, SubjectKeyId: by.cert.SubjectKeyId, PublicKey: by.key.Public()}, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	made, err := roc.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &maker{key, made}
}

// A point is a distribution point of a certificate, or of a list.
type point struct {
	names   [][]byte // GeneralName each
	reasons bool     // of a certificate: for some reasons only
	issuer  []byte   // of a certificate: whose list it is, when not its issuer's
}

func uri(u string) []byte              { return tagged(cbasn1.Tag(6).ContextSpecific(), []byte(u)) }
func directory(name []byte) []byte     { return inContext(4, name) }
func pointName(names ...[]byte) []byte { return inContext(0, inContext(0, names...)) }

// someReasons are key compromise and on hold.
func someReasons(tag uint8) []byte { return tagged(cbasn1.Tag(tag).ContextSpecific(), []byte{1, 0x42}) }

// pointsExtension is a CRLDistributionPoints.
func pointsExtension(points ...point) pkix.Extension {
	var all [][]byte
	for _, p := range points {
		var parts [][]byte
		if len(p.names) > 0 {
			parts = append(parts, pointName(p.names...))
		}
		if p.reasons {
			parts = append(parts, someReasons(1))
		}
		if p.issuer != nil {
			parts = append(parts, inContext(2, directory(p.issuer)))
		}
		all = append(all, sequence(parts...))
	}
	return pkix.Extension{Id: oidCRLDP, Value: sequence(all...)}
}

// An entry is who is revoked, as it is written.
type entry struct {
	serial     []byte // content of the INTEGER
	date       []byte // nil: of an hour ago
	extensions []pkix.Extension
}

func enumerated(n byte) []byte { return tagged(cbasn1.ENUM, []byte{n}) }

// of revokes a certificate, for a reason; -1: none is written.
func of(c *x509.Certificate, reason int) entry {
	e := entry{serial: built(func(b *cryptobyte.Builder) { b.AddASN1BigInt(c.SerialNumber) })[2:]}
	if reason >= 0 {
		e.extensions = []pkix.Extension{{Id: oidReason, Value: enumerated(byte(reason))}}
	}
	return e
}

func timeDER(at time.Time) []byte {
	return built(func(b *cryptobyte.Builder) { b.AddASN1UTCTime(at.UTC()) })
}

func extensionDER(e pkix.Extension) []byte {
	return built(func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(e.Id)
			if e.Critical {
				b.AddASN1Boolean(true)
			}
			b.AddASN1OctetString(e.Value)
		})
	})
}

func integer(n int64) []byte { return built(func(b *cryptobyte.Builder) { b.AddASN1Int64(n) }) }

// A list is a revocation list as it is written.
type list struct {
	by         *maker
	signer     *ecdsa.PrivateKey // nil: by.key
	issuer     []byte            // by's name, as this list writes it
	number     int64             // 0: none
	first      bool              // of version 1: no extensions
	deltaOf    int64             // 0: it is complete
	from, to   time.Time         // a zero to is not written
	noAKI      bool
	idp        [][]byte // what is in its IssuingDistributionPoint, nil: it has none
	fresh      bool     // it says where its delta is
	entries    []entry
	extensions []pkix.Extension // more of them
}

// der signs it.
func (l *list) der(t *testing.T) []byte {
	t.Helper()
	algorithm := sequence(built(func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2})
	}))
	parts := [][]byte{integer(1), algorithm, l.issuer, timeDER(l.from)}
	if l.first {
		parts = parts[1:]
	}
	if !l.to.IsZero() {
		parts = append(parts, timeDER(l.to))
	}
	var entries [][]byte
	for _, e := range l.entries {
		date := e.date
		if date == nil {
			date = timeDER(time.Now().Add(-time.Hour))
		}
		one := [][]byte{tagged(cbasn1.INTEGER, e.serial), date}
		if len(e.extensions) > 0 {
			one = append(one, extensionsDER(e.extensions))
		}
		entries = append(entries, sequence(one...))
	}
	if len(entries) > 0 {
		parts = append(parts, sequence(entries...))
	}
	var extensions []pkix.Extension
	add := func(yes bool, id asn1.ObjectIdentifier, critical bool, value []byte) {
		if yes {
			extensions = append(extensions, pkix.Extension{Id: id, Critical: critical, Value: value})
		}
	}
	add(!l.noAKI, oidAKI, false, sequence(tagged(cbasn1.Tag(0).ContextSpecific(), l.by.cert.SubjectKeyId)))
	add(l.number > 0, oidNumber, false, integer(l.number))
	add(l.deltaOf > 0, oidDeltaOf, true, integer(l.deltaOf))
	add(l.idp != nil, oidIDP, true, sequence(l.idp...))
	add(l.fresh, oidFresh, false, sequence(sequence(pointName(uri("http://delta.example/")))))
	extensions = append(extensions, l.extensions...)
	if len(extensions) > 0 && !l.first {
		parts = append(parts, inContext(0, extensionsDER(extensions)))
	}
	tbs := sequence(parts...)
	digest := sha256.Sum256(tbs)
	key := l.signer
	if key == nil {
		key = l.by.key
	}
	signature, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return sequence(tbs, algorithm, built(func(b *cryptobyte.Builder) { b.AddASN1BitString(signature) }))
}

func extensionsDER(all []pkix.Extension) []byte {
	var parts [][]byte
	for _, e := range all {
		parts = append(parts, extensionDER(e))
	}
	return sequence(parts...)
}
