package revocation

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/piano-roc/rpn/tlsconf/trust"
)

// A crl is one certificate revocation list, complete or delta, that the CA it
// names has signed. Only readCRL makes one, and it never changes.
type crl struct {
	ca       *x509.Certificate
	issuer   trust.IssuerKey
	number   *big.Int // nil: none
	base     *big.Int // of a delta: the complete list it needs, or a later one
	scope    scope
	from, to time.Time // thisUpdate; nextUpdate, or a day later when there is none
	revoked  *serials
	freshest []string          // where it says its delta is
	odd      int               // entries that could not be used, and were left out
	entries  [sha256.Size]byte // digest of who is revoked
	digest   [sha256.Size]byte // of the whole
}

// A scope is the certificates of its CA that a list speaks of. The zero value
// is all of them.
type scope struct {
	points              pointNames // only those whose distribution points have one of these names
	leaves, authorities bool       // only end entities; only CAs
}

// covers says whether a list of that scope speaks of c: one common name is
// enough (RFC 5280 section 6.3.3 b 2 i).
func (s scope) covers(c *x509.Certificate) bool {
	switch {
	case s.leaves && c.IsCA, s.authorities && !c.IsCA:
		return false
	}
	return s.points == "" || s.points.meet(c)
}

// kind orders the lists of one file: a delta needs its complete list first.
func (l *crl) kind() int {
	if l.base != nil {
		return 1
	}
	return 0
}

// noNextUpdate is how long a list without nextUpdate is current.
const noNextUpdate = 24 * time.Hour

// clockSkew is how far in the future a list may begin.
const clockSkew = 5 * time.Minute

// readCRLs reads every list of a file or of an answer: PEM, one or several, or
// one in DER. What is read counts though another list of the file is not, which
// the error then says by its line: who is revoked by the one is so whatever is
// wrong with the other.
func readCRLs(text []byte, authorities []*x509.Certificate) ([]*crl, error) {
	if len(text) > 0 && text[0] == 0x30 { // a SEQUENCE, in DER
		l, err := readCRL(text, authorities)
		if err != nil {
			return nil, err
		}
		return []*crl{l}, nil
	}
	blocks, err := trust.ReadPEM(text)
	if err != nil {
		return nil, err
	}
	if len(blocks) == 0 {
		return nil, errors.New("is not a revocation list: PEM (-----BEGIN X509 CRL-----) or DER is expected")
	}
	var all []*crl
	var problems []error
	for _, b := range blocks {
		var l *crl
		err := fmt.Errorf("is a %s: only revocation lists (X509 CRL) are expected here", trust.Safe(b.Type))
		if b.Type == "X509 CRL" {
			l, err = readCRL(b.Bytes, authorities)
		}
		switch {
		case err == nil:
			all = append(all, l)
		case len(blocks) == 1:
			return nil, err
		default:
			problems = append(problems, fmt.Errorf("the list of line %d %w", b.Line, err))
		}
	}
	return all, errors.Join(problems...)
}

// readCRL reads a list in DER, and checks that one of the authorities signed
// it. It does not look at its age: that is a policy. It fails closed: a critical
// extension that it does not know refuses the list.
func readCRL(text []byte, authorities []*x509.Certificate) (*crl, error) {
	parts, err := splitCRL(text)
	if err != nil {
		return nil, err
	}
	head, err := x509.ParseRevocationList(parts.emptied)
	if err != nil {
		return nil, fmt.Errorf("is not a revocation list: %w", err)
	}
	l := &crl{number: head.Number, from: head.ThisUpdate, to: head.NextUpdate, digest: sha256.Sum256(text), entries: sha256.Sum256(parts.entries)}
	if l.to.IsZero() {
		l.to = l.from.Add(noNextUpdate)
	}
	if err := l.readExtensions(head.Extensions); err != nil {
		return nil, err
	}
	if l.ca, err = signerOfCRL(head, parts, authorities); err != nil {
		return nil, err
	}
	l.issuer = trust.IssuerKeyOf(l.ca)
	if l.revoked, l.odd, err = readEntries(parts.entries); err != nil {
		return nil, err
	}
	return l, nil
}

// crlParts is a list cut in pieces, so that its million entries need not be
// read the way a general parser does.
type crlParts struct {
	signed    []byte // the TBSCertList, as signed
	signature []byte
	entries   cryptobyte.String // what is inside revokedCertificates
	emptied   []byte            // the same list without an entry, for x509 to read
}

var errBadCRL = errors.New("is not a revocation list (X.509 version 2, DER)")

func splitCRL(der []byte) (*crlParts, error) {
	var p crlParts
	var list, tbs, algorithm cryptobyte.String
	input := cryptobyte.String(der)
	var signature asn1.BitString
	if !input.ReadASN1(&list, cbasn1.SEQUENCE) || !input.Empty() ||
		!list.ReadASN1Element(&tbs, cbasn1.SEQUENCE) || !list.ReadASN1Element(&algorithm, cbasn1.SEQUENCE) ||
		!list.ReadASN1BitString(&signature) || !list.Empty() {
		return nil, errBadCRL
	}
	p.signed, p.signature = tbs, signature.RightAlign()
	inner := tbs
	var before cryptobyte.String
	if !inner.ReadASN1(&inner, cbasn1.SEQUENCE) {
		return nil, errBadCRL
	}
	start := inner
	var skipped cryptobyte.String
	for _, tag := range []cbasn1.Tag{cbasn1.INTEGER, cbasn1.SEQUENCE, cbasn1.SEQUENCE} { // version, algorithm, issuer
		if !inner.ReadASN1Element(&skipped, tag) {
			return nil, errBadCRL
		}
	}
	for n := 0; inner.PeekASN1Tag(cbasn1.UTCTime) || inner.PeekASN1Tag(cbasn1.GeneralizedTime); n++ {
		if n == 2 || !inner.ReadAnyASN1Element(&skipped, nil) {
			return nil, errBadCRL
		}
	}
	before = start[:len(start)-len(inner)]
	if inner.PeekASN1Tag(cbasn1.SEQUENCE) && !inner.ReadASN1(&p.entries, cbasn1.SEQUENCE) {
		return nil, errBadCRL
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes(before)
			b.AddBytes(inner)
		})
		b.AddBytes(algorithm)
		b.AddASN1BitString(p.signature)
	})
	var err error
	p.emptied, err = b.Bytes()
	return &p, err
}

// signerOfCRL returns the authority that signed the list.
func signerOfCRL(head *x509.RevocationList, p *crlParts, authorities []*x509.Certificate) (*x509.Certificate, error) {
	if !trust.StrongSignature(head.SignatureAlgorithm) {
		return nil, fmt.Errorf("is signed with %s, which is not accepted", head.SignatureAlgorithm)
	}
	named := false
	for _, ca := range authorities {
		if !trust.SameName(ca.RawSubject, head.RawIssuer) {
			continue
		}
		named = true
		if ca.KeyUsage != 0 && ca.KeyUsage&x509.KeyUsageCRLSign == 0 {
			continue
		}
		if ca.CheckSignature(head.SignatureAlgorithm, p.signed, p.signature) == nil {
			return ca, nil
		}
	}
	if named {
		return nil, fmt.Errorf("is not signed by the CA it names (%s): somebody may have changed it, or the CA has a new key that is in no trust store", trust.NameOf(head.Issuer))
	}
	return nil, fmt.Errorf("is of a CA that is in no trust store: %s", trust.NameOf(head.Issuer))
}

var (
	oidAuthorityKeyID = asn1.ObjectIdentifier{2, 5, 29, 35}
	oidCRLNumber      = asn1.ObjectIdentifier{2, 5, 29, 20}
	oidDelta          = asn1.ObjectIdentifier{2, 5, 29, 27}
	oidIssuingPoint   = asn1.ObjectIdentifier{2, 5, 29, 28}
	oidFreshestCRL    = asn1.ObjectIdentifier{2, 5, 29, 46}
	oidReasonCode     = asn1.ObjectIdentifier{2, 5, 29, 21}
)

func (l *crl) readExtensions(extensions []pkix.Extension) error {
	for _, e := range extensions {
		var err error
		switch {
		case e.Id.Equal(oidAuthorityKeyID), e.Id.Equal(oidCRLNumber): // x509 reads them
		case e.Id.Equal(oidDelta):
			l.base = new(big.Int)
			if value := cryptobyte.String(e.Value); !value.ReadASN1Integer(l.base) || !value.Empty() {
				err = errBadCRL
			}
		case e.Id.Equal(oidIssuingPoint):
			l.scope, err = readIssuingPoint(e.Value)
		case e.Id.Equal(oidFreshestCRL):
			l.freshest = pointURLs(e.Value)
		case e.Critical:
			err = fmt.Errorf("has a critical extension (%s) that is not known here", e.Id)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// readIssuingPoint reads an IssuingDistributionPoint (RFC 5280 section 5.2.5).
// Lists for some reasons only, indirect ones and those of attribute
// certificates are refused: an absence from them says too little.
func readIssuingPoint(der []byte) (scope, error) {
	var s scope
	input := cryptobyte.String(der)
	var point cryptobyte.String
	if !input.ReadASN1(&point, cbasn1.SEQUENCE) || !input.Empty() {
		return s, errBadCRL
	}
	var name cryptobyte.String
	var named bool
	if !point.ReadOptionalASN1(&name, &named, cbasn1.Tag(0).ContextSpecific().Constructed()) {
		return s, errBadCRL
	}
	if named {
		if s.points = namesOfPoint(name); s.points == "" {
			return s, errors.New("is for a distribution point whose name is none that is known here")
		}
	}
	for !point.Empty() {
		var value cryptobyte.String
		var tag cbasn1.Tag
		if !point.ReadAnyASN1(&value, &tag) {
			return s, errBadCRL
		}
		yes := len(value) == 1 && value[0] != 0
		switch tag {
		case cbasn1.Tag(1).ContextSpecific():
			s.leaves = yes
		case cbasn1.Tag(2).ContextSpecific():
			s.authorities = yes
		case cbasn1.Tag(4).ContextSpecific(), cbasn1.Tag(5).ContextSpecific():
			if yes {
				return s, errors.New("is an indirect list, or one of attribute certificates: the CA's own list is needed")
			}
		default:
			return s, errors.New("is for some revocation reasons only: the CA's complete list is needed")
		}
	}
	return s, nil
}

// maxSerial is the longest serial number, in bytes, that a list may hold.
// RFC 5280 allows 20.
const maxSerial = 255

// readEntries reads who is revoked. An odd entry is left out and counted, when
// no certificate that is accepted can be meant by it: a number that is negative,
// absent or far too long. What is odd beside a number that may be meant (its
// date, its reason) does not make it less revoked.
func readEntries(entries cryptobyte.String) (_ *serials, odd int, _ error) {
	n := 0
	for rest := entries; !rest.Empty(); n++ {
		if !rest.SkipASN1(cbasn1.SEQUENCE) {
			return nil, 0, errBadCRL
		}
	}
	s := newSerials(n)
	for !entries.Empty() {
		var entry, serial cryptobyte.String
		var r revocation
		if !entries.ReadASN1(&entry, cbasn1.SEQUENCE) || !entry.ReadASN1(&serial, cbasn1.INTEGER) {
			return nil, 0, errBadCRL
		}
		number := bytes.TrimLeft(serial, "\x00")
		if len(serial) == 0 || serial[0] >= 0x80 || len(number) > maxSerial {
			odd++
			continue
		}
		if !readTime(&entry, &r.at) {
			odd++
			s.add(number, revocation{})
			continue
		}
		if !entry.Empty() {
			var err error
			if r.reason, err = readEntryExtensions(entry); errors.Is(err, errOddEntry) {
				odd++
			} else if err != nil {
				return nil, 0, err
			}
		}
		s.add(number, r)
	}
	return s, odd, nil
}

// errOddEntry: the extensions of an entry cannot be read.
var errOddEntry = errors.New("an odd entry")

func readTime(s *cryptobyte.String, at *time.Time) bool {
	if s.PeekASN1Tag(cbasn1.UTCTime) {
		return s.ReadASN1UTCTime(at)
	}
	return s.ReadASN1GeneralizedTime(at)
}

func readEntryExtensions(entry cryptobyte.String) (reason byte, err error) {
	var list cryptobyte.String
	if !entry.ReadASN1(&list, cbasn1.SEQUENCE) || !entry.Empty() {
		return 0, errOddEntry
	}
	for !list.Empty() {
		var one, value cryptobyte.String
		var id asn1.ObjectIdentifier
		var critical bool
		if !list.ReadASN1(&one, cbasn1.SEQUENCE) || !one.ReadASN1ObjectIdentifier(&id) ||
			one.PeekASN1Tag(cbasn1.BOOLEAN) && !one.ReadASN1Boolean(&critical) || !one.ReadASN1(&value, cbasn1.OCTET_STRING) || !one.Empty() {
			return 0, errOddEntry
		}
		var code int
		switch {
		case id.Equal(oidReasonCode):
			if !value.ReadASN1Enum(&code) || code < 0 || code > 10 {
				return 0, errOddEntry
			}
			reason = byte(code)
		case critical: // certificateIssuer: an indirect list
			return 0, fmt.Errorf("holds an entry with a critical extension (%s) that is not known here", id)
		}
	}
	return reason, nil
}

// supersedes says whether the list may replace old, of the same CA and scope:
// a list that goes back in time is refused, an attacker who can answer for the
// server could otherwise bring a revoked certificate back.
func (l *crl) supersedes(old *crl) error {
	switch {
	case old == nil || l.digest == old.digest:
		return nil
	case l.number != nil && old.number != nil && l.number.Cmp(old.number) < 0:
		return fmt.Errorf("is older than the list in use (number %s, and %s is known): it is refused", l.number, old.number)
	case l.from.Before(old.from):
		return fmt.Errorf("is older than the list in use (of %s, and one of %s is known): it is refused", trust.Day(l.from), trust.Day(old.from))
	case l.number != nil && old.number != nil && l.number.Cmp(old.number) == 0 && !l.from.After(old.from):
		return fmt.Errorf("has the number %s and the date of the list in use, and says something else: it is refused", l.number)
	}
	return nil
}
