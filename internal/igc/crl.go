package igc

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"strings"
	"time"

	"golang.org/x/crypto/ocsp"
)

// A List describes a revocation list; the zero value is a good empty one,
// number 1, of now, for a week.
type List struct {
	Revoked      []*big.Int // serial numbers
	Entries      []x509.RevocationListEntry
	Number       int64
	From, To     time.Time // thisUpdate, nextUpdate
	DeltaOf      int64     // makes it a delta to the list of that number
	Point        string    // only for certificates that name this distribution point
	Extensions   []pkix.Extension
	ByRoot       bool   // the list of the root: of intermediates
	ByImpostor   bool   // signed by a CA of the same name and another key
	Intermediate string // of the intermediate that Under(name) makes, instead of the side's own
	Issuer       []byte // the name of the CA as the list writes it; nil: as the CA does
}

// CRL makes a revocation list of the side's intermediate (or root), DER.
func (p *PKI) CRL(s Side, l List) []byte {
	by := p.branchOf(s, l.Intermediate).intermediate
	if l.ByRoot {
		by = p.cas[s].root
	}
	if l.ByImpostor {
		n := sideNames[s]
		b := p.wrongBranch(n.org, n.root, n.intermediate)
		key := b.intermediate.key
		if l.ByRoot {
			key = b.root.key
		}
		// The name and key identifier of the right one, the key of another.
		copied := *by.cert
		copied.PublicKey = key.Public()
		by = authority{&copied, key}
	}
	if l.Issuer != nil {
		copied := *by.cert
		copied.RawSubject = l.Issuer
		by.cert = &copied
	}
	t := &x509.RevocationList{
		Number: big.NewInt(or(l.Number, 1)), ThisUpdate: l.From, NextUpdate: l.To,
		RevokedCertificateEntries: l.Entries, ExtraExtensions: l.Extensions,
	}
	if t.ThisUpdate.IsZero() {
		t.ThisUpdate = p.now().Add(-time.Minute)
	}
	if t.NextUpdate.IsZero() {
		t.NextUpdate = t.ThisUpdate.AddDate(0, 0, 7)
	}
	for _, serial := range l.Revoked {
		t.RevokedCertificateEntries = append(t.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: serial, RevocationTime: t.ThisUpdate})
	}
	if l.DeltaOf != 0 {
		t.ExtraExtensions = append(t.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 27}, Critical: true, Value: mustMarshal(l.DeltaOf)})
	}
	if l.Point != "" {
		t.ExtraExtensions = append(t.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 28}, Critical: true, Value: issuingPoint(l.Point)})
	}
	der, err := x509.CreateRevocationList(rand.Reader, t, by.cert, by.key)
	if err != nil {
		panic("igc: revocation list: " + err.Error())
	}
	return der
}

func or(v, otherwise int64) int64 {
	if v != 0 {
		return v
	}
	return otherwise
}

func mustMarshal(v any) []byte {
	der, err := asn1.Marshal(v)
	if err != nil {
		panic("igc: " + err.Error())
	}
	return der
}

// issuingPoint is an IssuingDistributionPoint with that URL (RFC 5280 5.2.5).
func issuingPoint(url string) []byte {
	tagged := func(tag int, constructed bool, content []byte) []byte {
		return mustMarshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, IsCompound: constructed, Bytes: content})
	}
	name := tagged(0, true, tagged(0, true, tagged(6, false, []byte(url))))
	return mustMarshal(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: name})
}

// OCSP makes the answer of the side's responder about a certificate, signed by
// the intermediate itself: good, or revoked.
func (p *PKI) OCSP(s Side, about *x509.Certificate, revoked bool) []byte {
	t := ocsp.Response{Status: ocsp.Good, SerialNumber: about.SerialNumber, ThisUpdate: p.now().Add(-time.Minute), NextUpdate: p.now().Add(time.Hour)}
	if revoked {
		t.Status, t.RevokedAt = ocsp.Revoked, p.now().Add(-time.Minute)
	}
	by := p.cas[s].intermediate
	der, err := ocsp.CreateResponse(by.cert, by.cert, t, by.key)
	if err != nil {
		panic("igc: OCSP answer: " + err.Error())
	}
	return der
}

// branchOf returns the side's own branch, or the one with the intermediate of
// that name under the side's own root.
func (p *PKI) branchOf(s Side, intermediate string) branch {
	if intermediate == "" {
		return p.cas[s]
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	name := fmt.Sprint("under ", s, intermediate)
	b, ok := p.wrong[name]
	if !ok {
		b.root = p.cas[s].root
		cn, _, _ := strings.Cut(intermediate, "#")
		b.intermediate = p.newAuthority(sideNames[s].org, "TEST AC FICTIVE "+cn, b.root)
		p.wrong[name] = b
	}
	return b
}

// Intermediate returns the CA that Under(name) signs with.
func (p *PKI) Intermediate(s Side, name string) *x509.Certificate {
	return p.branchOf(s, name).intermediate.cert
}

// Under has the certificate signed by another intermediate of the same root,
// made on demand. What follows a "#" is not in its name: "A#1" and "A#2" are one
// CA with two keys.
func Under(name string) Option { return func(_ *PKI, l *leaf) { l.intermediate = name } }

// Points adds CRL distribution points.
func Points(urls ...string) Option {
	return func(_ *PKI, l *leaf) { l.points = append(l.points, urls...) }
}

// Responder names an OCSP responder.
func Responder(url string) Option { return func(_ *PKI, l *leaf) { l.responder = url } }

// Huge makes a certificate with that many alternative names.
func Huge(names int) Option {
	return func(_ *PKI, l *leaf) {
		for i := range names {
			l.names = append(l.names, fmt.Sprintf("nom-fictif-%06d.huge.test", i))
		}
	}
}

// LongChain has the certificate signed at the end of a chain of that many
// intermediates, each under the one before: longer than the root's side has,
// and beyond the path length that the first one allows.
func LongChain(n int) Option { return func(_ *PKI, l *leaf) { l.depth = n } }

// Constrained has it signed by an intermediate that may speak for names under
// that domain only.
func Constrained(domain string) Option { return func(_ *PKI, l *leaf) { l.constraint = domain } }

// longChain makes the chain of LongChain: lowest first.
func (p *PKI) longChain(s Side, n int) ([]*x509.Certificate, authority) {
	above := p.cas[s].root
	var chain []*x509.Certificate
	for i := range n {
		above = p.newUnder(sideNames[s].org, fmt.Sprintf("TEST AC FICTIVE RANG %d", i+1), above, "")
		chain = append([]*x509.Certificate{above.cert}, chain...)
	}
	return chain, above
}

// newUnder makes a CA without a limit on the length of what is below.
func (p *PKI) newUnder(org, cn string, above authority, constraint string) authority {
	key := newECDSA()
	t := &x509.Certificate{
		SerialNumber: serial(),
		RawSubject:   subject(attribute{oidC, "FR"}, attribute{oidO, org}, attribute{oidOU, "IGC TEST"}, attribute{oidCN, cn}),
		NotBefore:    p.now().AddDate(-5, 0, 0), NotAfter: p.now().AddDate(10, 0, 0),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, IsCA: true, BasicConstraintsValid: true,
	}
	if constraint != "" {
		t.PermittedDNSDomainsCritical, t.PermittedDNSDomains = true, []string{constraint}
	}
	return authority{mustCreate(t, above.cert, key.Public(), above.key), key}
}
