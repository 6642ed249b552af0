package revocation

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"
	"time"
)

// Of a list for end entities alone, the absence of a CA says nothing; nor that
// of an end entity of a list of CAs.
func TestAListOfAKindSpeaksOfThatKindOnly(t *testing.T) {
	t.Parallel()
	leaf, ca := &x509.Certificate{}, &x509.Certificate{IsCA: true}
	for _, c := range []struct {
		of       scope
		leaf, ca bool
	}{
		{scope{}, true, true}, {scope{leaves: true}, true, false}, {scope{authorities: true}, false, true},
		{scope{leaves: true, authorities: true}, false, false}, {scope{points: "uhttp://crl.test/a"}, false, false},
	} {
		if got := [2]bool{c.of.covers(leaf), c.of.covers(ca)}; got != [2]bool{c.leaf, c.ca} {
			t.Errorf("%+v covers %v", c.of, got)
		}
	}
}

// A certificate that names a place of a list, of a delta too, has announced one.
func TestAPlaceOfADeltaAnnouncesAList(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		oid  asn1.ObjectIdentifier
		want bool
	}{{oidPoints, true}, {oidFreshestCRL, true}, {oidIssuingPoint, false}} {
		if got := announces(&x509.Certificate{Extensions: []pkix.Extension{{Id: c.oid}}}); got != c.want {
			t.Errorf("%s: %t", c.oid, got)
		}
	}
}

// Of several lists that speak of a certificate, the best decides whether an
// absence can be relied on.
func TestOfSeveralListsTheBestStands(t *testing.T) {
	t.Parallel()
	at := time.Now()
	const grace = 72 * time.Hour
	n := &issuerLists{age: AgePolicy{Grace: grace}, complete: map[scope]*crl{
		{}: {to: at.Add(-grace - time.Hour)}, {leaves: true}: {to: at.Add(time.Hour)}, {authorities: true}: {to: at.Add(-time.Hour)},
	}}
	leaf, ca := &x509.Certificate{}, &x509.Certificate{IsCA: true}
	if got := [2]standing{n.standing(leaf, at), n.standing(ca, at)}; got != [2]standing{current, late} {
		t.Errorf("%v", got)
	}
}
