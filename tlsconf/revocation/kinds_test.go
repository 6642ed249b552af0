package revocation_test

import (
	"bytes"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"crypto/x509"
	"crypto/x509/pkix"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

func armoured(lists ...[]byte) []byte {
	var b bytes.Buffer
	for _, l := range lists {
		pem.Encode(&b, &pem.Block{Type: "X509 CRL", Bytes: l})
	}
	return b.Bytes()
}

func (w *world) file(text []byte) string {
	w.t.Helper()
	name := filepath.Join(w.t.TempDir(), "lists.crl")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		w.t.Fatal(err)
	}
	return name
}

// A file with the lists of two CAs: who is revoked by the second is out.
func TestEveryListOfAFileIsRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	bad := w.pki.Auth(autre, "AUTRE")
	byRoot, byIssuing := w.pki.CRL(es, igc.List{ByRoot: true}), w.pki.CRL(es, igc.List{Revoked: []*big.Int{bad.Cert.SerialNumber}})
	for name, text := range map[string][]byte{
		"one after the other":     armoured(byRoot, byIssuing),
		"a byte order mark":       append([]byte("\xef\xbb\xbf"), armoured(byRoot, byIssuing)...),
		"text around the blocks":  append([]byte("# lists of the ES\n"), armoured(byRoot, byIssuing)...),
		"the first of a stranger": armoured(newPKI(t).CRL(es, igc.List{}), byIssuing),
	} {
		w.o.Lists = []string{w.file(text)}
		w.o.Folder = t.TempDir()
		w.open()
		if got := w.says(bad); got != trust.Revoked {
			t.Errorf("%s: %q, want revoked", name, got)
		}
	}
}

// What is not understood in a file is told, by its line.
func TestAFileOfListsThatIsNotWholeIsToldByItsLine(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	byRoot, byIssuing := armoured(w.pki.CRL(es, igc.List{ByRoot: true})), armoured(w.pki.CRL(es, igc.List{}))
	line := bytes.Count(byRoot, []byte("\n")) + 1
	for name, text := range map[string][]byte{
		"of a stranger":  append(bytes.Clone(byRoot), armoured(newPKI(t).CRL(es, igc.List{}))...),
		"another label":  append(bytes.Clone(byRoot), bytes.ReplaceAll(byIssuing, []byte("X509 CRL"), []byte("CERTIFICATE"))...),
		"cut":            append(bytes.Clone(byRoot), byIssuing[:len(byIssuing)-30]...),
		"damaged base64": append(bytes.Clone(byRoot), bytes.Replace(byIssuing, []byte("\nMI"), []byte("\n!!"), 1)...),
	} {
		w.o.Lists = []string{w.file(text)}
		w.open()
		err := w.Problems()
		if err == nil || !strings.Contains(err.Error(), fmt.Sprint("line ", line)) || !strings.Contains(err.Error(), w.o.Lists[0]) {
			t.Errorf("%s: %v, want the file and line %d", name, err, line)
		}
	}
}

// A configured list that is not there, is no list, or is of a CA in no store,
// is a problem that names its file.
func TestAConfiguredListThatCannotServeIsAProblem(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for name, c := range map[string]struct {
		list string
		want string
	}{
		"absent":        {filepath.Join(t.TempDir(), "absent.crl"), "absent.crl"},
		"no list":       {w.file([]byte("<html>")), "lists.crl"},
		"of a stranger": {w.file(newPKI(t).CRL(es, igc.List{})), "in no trust store"},
	} {
		w.o.Lists = []string{c.list}
		w.open()
		if err := w.Problems(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.o.Lists = []string{w.file(w.pki.CRL(es, igc.List{}))}
	w.open()
	if err := w.Problems(); err != nil {
		t.Errorf("a good one: %v", err)
	}
}

// A distribution point by LDAP is announced: nothing is obtained, so nobody
// enters, and it is told why.
func TestAListAnnouncedByLDAPOnlyIsNotUnannounced(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	pair := w.pki.Auth(chu, "CH", igc.Points("ldap://ldap.igc.example/cn=AC?certificateRevocationList"))
	none := w.pki.Auth(autre, "AUTRE")
	w.open()
	if got := w.says(pair); got != trust.RevocationUnknown {
		t.Errorf("announced by LDAP: %q", got)
	}
	if got := w.says(none); got != "" {
		t.Errorf("announced nowhere: %q", got)
	}
	if err := w.Check(w.chain(pair), w.at.now()); err == nil || !strings.Contains(err.Error(), "revocation.lists") {
		t.Errorf("it says %v", err)
	}
	if closed := w.Closed(w.at.now()); len(closed) != 1 || !strings.Contains(closed[0], "IGC-SANTE") {
		t.Errorf("closed: %q", closed)
	}
	w.o.Lists = []string{w.file(w.pki.CRL(es, igc.List{}))}
	w.open()
	if got := w.says(pair); got != "" || len(w.Closed(w.at.now())) != 0 {
		t.Errorf("with the list by a file: %q", got)
	}
}

// Of an IssuingDistributionPoint with several names, any common one counts, and
// the case of a host does not.
func TestAnyCommonNameOfADistributionPointCounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	const ldap, http = "ldap://ldap.example/cn=AC", "http://crl.example/Ac.crl"
	for _, c := range []struct {
		list, of []string
		covers   bool
	}{
		{[]string{ldap, http}, []string{http}, true},
		{[]string{http, ldap}, []string{http}, true},
		{[]string{ldap}, []string{ldap, http}, true},
		{[]string{"HTTP://CRL.Example/Ac.crl"}, []string{http}, true},
		{[]string{"http://crl.example/ac.crl"}, []string{http}, false}, // a path has a case
		{[]string{ldap, "http://other.example/"}, []string{http}, false},
	} {
		pair := w.pki.Auth(chu, "CH", igc.Points(c.of...))
		w.o.Lists, w.o.NoFollow, w.o.Folder = []string{w.file(w.pki.CRL(es, pointed(t, c.list...)))}, true, t.TempDir()
		w.open()
		if err := w.Problems(); err != nil {
			t.Fatal(err)
		}
		want := trust.Reason("")
		if !c.covers {
			want = trust.RevocationUnknown
		}
		if got := w.says(pair); got != want {
			t.Errorf("list of %v, certificate of %v: %q, want %q", c.list, c.of, got, want)
		}
	}
}

// pointed is a list with an IssuingDistributionPoint of these URLs.
func pointed(t *testing.T, urls ...string) igc.List {
	t.Helper()
	var names []byte
	for _, u := range urls {
		names = append(names, tlv(t, asn1.ClassContextSpecific, 6, false, []byte(u))...)
	}
	full := tlv(t, asn1.ClassContextSpecific, 0, true, tlv(t, asn1.ClassContextSpecific, 0, true, names))
	return igc.List{Extensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 28}, Critical: true, Value: tlv(t, asn1.ClassUniversal, asn1.TagSequence, true, full)}}}
}

func tlv(t *testing.T, class, tag int, compound bool, content []byte) []byte {
	t.Helper()
	der, err := asn1.Marshal(asn1.RawValue{Class: class, Tag: tag, IsCompound: compound, Bytes: content})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// One odd entry does not refuse a list: it is left out, counted and told, and
// the others count.
func TestAnOddEntryIsLeftOutCountedAndTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	bad := w.pki.Auth(autre, "AUTRE")
	l := igc.List{Entries: []x509.RevocationListEntry{
		{SerialNumber: big.NewInt(-5), RevocationTime: time.Now()},
		{SerialNumber: bad.Cert.SerialNumber, RevocationTime: time.Now()},
		{SerialNumber: new(big.Int).Lsh(big.NewInt(1), 8*300), RevocationTime: time.Now()},
	}}
	w.o.Lists = []string{w.file(w.pki.CRL(es, l))}
	w.open()
	if err := w.Problems(); err != nil {
		t.Fatal(err)
	}
	if got := w.says(bad); got != trust.Revoked {
		t.Errorf("the entry beside: %q", got)
	}
	if s := w.Status(); len(s) != 1 || s[0].Odd != 2 || s[0].Entries != 1 {
		t.Errorf("status %+v", s)
	}
	if !strings.Contains(w.log.String(), "crl_odd_entries") {
		t.Error("it is not told")
	}
}
