package revocation_test

import (
	"bytes"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"crypto/x509"
	"crypto/x509/pkix"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/tlsconf/revocation"
	"github.com/piano-roc/rpn/tlsconf/tlstest"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

func armoured(lists ...[]byte) []byte {
	var b bytes.Buffer
	for _, l := range lists {
		pem.Encode(&b, &pem.Block{Type: "X509 CRL", Bytes: l})
	}
	return b.Bytes()
}

// listFile writes lists in a file, and returns its name.
func listFile(t *testing.T, text []byte) string {
	t.Helper()
	return tlstest.Write(t, filepath.Join(t.TempDir(), "lists.crl"), string(text))
}

// A file with the lists of two CAs: who is revoked by the second is out.
func TestEveryListOfAFileIsRead(t *testing.T) {
	t.Parallel()
	w := tlstest.NewRegistry(t, nil)
	bad := w.PKI.Auth(autre, "AUTRE")
	byRoot, byIssuing := w.PKI.CRL(es, igc.List{ByRoot: true}), w.PKI.CRL(es, igc.List{Revoked: []*big.Int{bad.Cert.SerialNumber}})
	for name, text := range map[string][]byte{
		"one after the other":     armoured(byRoot, byIssuing),
		"a byte order mark":       append([]byte("\xef\xbb\xbf"), armoured(byRoot, byIssuing)...),
		"text around the blocks":  append([]byte("# lists of the ES\n"), armoured(byRoot, byIssuing)...),
		"the first of a stranger": armoured(tlstest.NewPKI().CRL(es, igc.List{}), byIssuing),
	} {
		w.Options.Lists = []string{listFile(t, text)}
		w.Options.Folder = t.TempDir()
		w.Open()
		if got := w.Says(bad); got != trust.Revoked {
			t.Errorf("%s: %q, want revoked", name, got)
		}
	}
}

// What is not understood in a file is told, by its line.
func TestAFileOfListsThatIsNotWholeIsToldByItsLine(t *testing.T) {
	t.Parallel()
	w := tlstest.NewRegistry(t, nil)
	byRoot, byIssuing := armoured(w.PKI.CRL(es, igc.List{ByRoot: true})), armoured(w.PKI.CRL(es, igc.List{}))
	line := bytes.Count(byRoot, []byte("\n")) + 1
	for name, text := range map[string][]byte{
		"of a stranger":  append(bytes.Clone(byRoot), armoured(tlstest.NewPKI().CRL(es, igc.List{}))...),
		"another label":  append(bytes.Clone(byRoot), bytes.ReplaceAll(byIssuing, []byte("X509 CRL"), []byte("CERTIFICATE"))...),
		"cut":            append(bytes.Clone(byRoot), byIssuing[:len(byIssuing)-30]...),
		"damaged base64": append(bytes.Clone(byRoot), bytes.Replace(byIssuing, []byte("\nMI"), []byte("\n!!"), 1)...),
	} {
		w.Options.Lists = []string{listFile(t, text)}
		w.Open()
		err := w.Problems()
		if err == nil || !strings.Contains(err.Error(), fmt.Sprint("line ", line)) || !strings.Contains(err.Error(), w.Options.Lists[0]) {
			t.Errorf("%s: %v, want the file and line %d", name, err, line)
		}
	}
}

// A configured list that is not there, is no list, or is of a CA in no store,
// is a problem that names its file.
func TestAConfiguredListThatCannotServeIsAProblem(t *testing.T) {
	t.Parallel()
	w := tlstest.NewRegistry(t, nil)
	for name, c := range map[string]struct {
		list string
		want string
	}{
		"absent":        {filepath.Join(t.TempDir(), "absent.crl"), "absent.crl"},
		"no list":       {listFile(t, []byte("<html>")), "lists.crl"},
		"of a stranger": {listFile(t, tlstest.NewPKI().CRL(es, igc.List{})), "in no trust store"},
	} {
		w.Options.Lists = []string{c.list}
		w.Open()
		if err := w.Problems(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.Options.Lists = []string{listFile(t, w.PKI.CRL(es, igc.List{}))}
	w.Open()
	if err := w.Problems(); err != nil {
		t.Errorf("a good one: %v", err)
	}
}

// A distribution point by LDAP is announced: nothing is obtained, so nobody
// enters, and it is told why.
func TestAListAnnouncedByLDAPOnlyIsNotUnannounced(t *testing.T) {
	t.Parallel()
	w := tlstest.NewRegistry(t, nil)
	pair := w.PKI.Auth(chu, "CH", igc.Points("ldap://ldap.igc.example/cn=AC?certificateRevocationList"))
	none := w.PKI.Auth(autre, "AUTRE")
	w.Open()
	if got := w.Says(pair); got != trust.RevocationUnknown {
		t.Errorf("announced by LDAP: %q", got)
	}
	if got := w.Says(none); got != "" {
		t.Errorf("announced nowhere: %q", got)
	}
	if err := w.Check(w.Chain(pair), w.Clock.Now()); err == nil || !strings.Contains(err.Error(), "revocation.lists") {
		t.Errorf("it says %v", err)
	}
	if closed := w.Closed(w.Clock.Now()); len(closed) != 1 || !strings.Contains(closed[0], "IGC-SANTE") {
		t.Errorf("closed: %q", closed)
	}
	w.Options.Lists = []string{listFile(t, w.PKI.CRL(es, igc.List{}))}
	w.Open()
	if got := w.Says(pair); got != "" || len(w.Closed(w.Clock.Now())) != 0 {
		t.Errorf("with the list by a file: %q", got)
	}
}

// Of an IssuingDistributionPoint with several names, any common one counts, and
// the case of a host does not.
func TestAnyCommonNameOfADistributionPointCounts(t *testing.T) {
	t.Parallel()
	w := tlstest.NewRegistry(t, nil)
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
		pair := w.PKI.Auth(chu, "CH", igc.Points(c.of...))
		w.Options.Lists, w.Options.NoFollow, w.Options.Folder = []string{listFile(t, w.PKI.CRL(es, pointed(t, c.list...)))}, true, t.TempDir()
		w.Open()
		if err := w.Problems(); err != nil {
			t.Fatal(err)
		}
		want := trust.Reason("")
		if !c.covers {
			want = trust.RevocationUnknown
		}
		if got := w.Says(pair); got != want {
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
	w := tlstest.NewRegistry(t, nil)
	bad := w.PKI.Auth(autre, "AUTRE")
	l := igc.List{Entries: []x509.RevocationListEntry{
		{SerialNumber: big.NewInt(-5), RevocationTime: time.Now()},
		{SerialNumber: bad.Cert.SerialNumber, RevocationTime: time.Now()},
		{SerialNumber: new(big.Int).Lsh(big.NewInt(1), 8*300), RevocationTime: time.Now()},
	}}
	w.Options.Lists = []string{listFile(t, w.PKI.CRL(es, l))}
	w.Open()
	if err := w.Problems(); err != nil {
		t.Fatal(err)
	}
	if got := w.Says(bad); got != trust.Revoked {
		t.Errorf("the entry beside: %q", got)
	}
	if s := w.Status(); len(s) != 1 || s[0].Odd != 2 || s[0].Entries != 1 {
		t.Errorf("status %+v", s)
	}
	if !strings.Contains(w.Log.String(), "crl_odd_entries") {
		t.Error("it is not told")
	}
}

// A delta may come before its complete list: by the order of files, of answers,
// of what is kept on disk. Whatever the order, both count.
func TestADeltaBeforeItsCompleteListCounts(t *testing.T) {
	t.Parallel()
	complete, extra := newPublisher(t), newPublisher(t)
	w := tlstest.NewRegistry(t, nil)
	good, bad := w.PKI.Auth(chu, "CH"), w.PKI.Auth(autre, "AUTRE")
	base := w.PKI.CRL(es, igc.List{Number: 10})
	adds := w.PKI.CRL(es, igc.List{Number: 11, DeltaOf: 10, Revoked: []*big.Int{bad.Cert.SerialNumber}})
	want := func(when string) {
		t.Helper()
		if w.Says(good) != "" || w.Says(bad) != trust.Revoked || w.Problems() != nil {
			t.Errorf("%s: %q, %q, %v", when, w.Says(good), w.Says(bad), w.Problems())
		}
	}

	// By files, and by files of which one comes later.
	for range 8 { // sources are asked in no order
		w.Options.Folder, w.Options.Lists = "", []string{listFile(t, adds), listFile(t, base)}
		w.Open()
		want("two files")
	}
	late := filepath.Join(t.TempDir(), "complete.crl")
	w.Options.Lists = []string{listFile(t, adds), late}
	w.Open()
	w.Reread() // the delta is known to be without its list
	if err := os.WriteFile(late, base, 0o600); err != nil {
		t.Fatal(err)
	}
	w.Reread()
	want("the complete list came later")

	// By servers, the slower one having the complete list; then from disk alone.
	w.Options.Folder, w.Options.Lists = t.TempDir(), []string{complete.URL, extra.URL}
	refused := make(chan struct{})
	extra.publishes(adds)
	complete.now(func(rw http.ResponseWriter, _ *http.Request) {
		<-refused
		rw.Write(base)
	})
	w.Options.Log = slog.New(slog.NewJSONHandler(writer(func(p []byte) {
		if bytes.Contains(p, []byte("delta list without")) {
			close(refused)
		}
	}), nil))
	w.Options.Timeout = 30 * time.Second
	w.Open()
	want("two servers")
	complete.now(nil)
	extra.now(nil)
	for range 8 {
		w.Open()
		if w.Says(good) != "" || w.Says(bad) != trust.Revoked {
			t.Errorf("from disk: %q, %q", w.Says(good), w.Says(bad))
		}
	}
}

// A writer is a log that a test listens to.
type writer func([]byte)

func (f writer) Write(p []byte) (int, error) { f(p); return len(p), nil }

// A CA that has a new key keeps its name. Its certificates are of the new one:
// a list of the old key says nothing about them, and is no reason to say that
// the CA publishes nothing; nor is a list that is announced and not obtained.
func TestARekeyedCAWhoseListIsMissingIsNotUnannounced(t *testing.T) {
	t.Parallel()
	utf8 := spelling{tag: 12}
	name := func(how spelling) []byte { return written("AC", how) }
	top := written("AC RACINE", utf8)
	keys := forgedKeys()
	root := forgeCert(t, nil, keys[0], big.NewInt(1), top, top, nil)
	old := forgeCert(t, root, keys[1], big.NewInt(2), name(utf8), top, nil)
	next := forgeCert(t, root, keys[2], big.NewInt(3), name(spelling{tag: 19, upper: true}), top, nil)
	client := func(by *maker, serial int64, points ...point) []*x509.Certificate {
		leaf := forgeCert(t, by, keys[3], big.NewInt(serial), written("feuille", utf8), name(utf8), func(c *x509.Certificate) {
			c.IsCA, c.KeyUsage = false, x509.KeyUsageDigitalSignature
			if len(points) > 0 {
				c.ExtraExtensions = []pkix.Extension{pointsExtension(points...)}
			}
		})
		return []*x509.Certificate{leaf.cert, by.cert, root.cert}
	}
	listOf := func(by *maker, revoked ...entry) []byte {
		return (&list{by: by, issuer: name(utf8), number: 1, from: time.Now().Add(-time.Hour), to: time.Now().AddDate(0, 0, 7), entries: revoked}).der(t)
	}
	const announced = "http://127.0.0.1:1/ac.crl"
	ofOld, ofNext, named := client(old, 10), client(next, 10), client(next, 11, point{names: [][]byte{uri(announced)}})
	for _, c := range []struct {
		name                 string
		lists                [][]byte
		ofOld, ofNext, named trust.Reason
	}{
		{"no list at all", nil, "", "", trust.RevocationUnknown},
		{"of the old key", [][]byte{listOf(old)}, "", trust.RevocationUnknown, trust.RevocationUnknown},
		{"of the new key", [][]byte{listOf(next)}, trust.RevocationUnknown, "", ""},
		{"of both", [][]byte{listOf(old), listOf(next)}, "", "", ""},
		// The serial numbers of one key are not those of the other.
		{"of both, revoked by the old key", [][]byte{listOf(old, of(ofOld[0], 1)), listOf(next)}, trust.Revoked, "", ""},
		{"of both, revoked by the new key", [][]byte{listOf(old), listOf(next, of(ofNext[0], 1), of(named[0], 1))}, "", trust.Revoked, trust.Revoked},
	} {
		w := tlstest.NewRegistry(t, func(o *revocation.Options) {
			o.Authorities = func() []*x509.Certificate { return certsOf([]*maker{root, old, next}) }
		})
		if c.lists != nil {
			w.Options.Lists = []string{listFile(t, armoured(c.lists...))}
		}
		w.Open()
		for chain, want := range map[*[]*x509.Certificate]trust.Reason{&ofOld: c.ofOld, &ofNext: c.ofNext, &named: c.named} {
			if err := w.Check(*chain, w.Clock.Now()); tlstest.Reason(err) != want {
				t.Errorf("lists %s, leaf %s: %v, want %q", c.name, (*chain)[0].SerialNumber, err, want)
			} else if want == trust.RevocationUnknown && strings.Contains(err.Error(), "publishes no revocation list") {
				t.Errorf("lists %s: it says that nothing is published: %v", c.name, err)
			}
		}
	}
}

// A distribution point may be named by a name of the directory, as AD CS and
// EJBCA do: it compares as names do. A point for some reasons only, or of
// another CA, is not that of the certificate.
func TestADistributionPointNamedInTheDirectory(t *testing.T) {
	t.Parallel()
	keys, utf8 := forgedKeys(), spelling{tag: 12}
	ca := written("AC", utf8)
	root := forgeCert(t, nil, keys[0], big.NewInt(1), ca, ca, nil)
	here := directory(written("CRL 1", utf8))
	for _, c := range []struct {
		name   string
		idp    [][]byte
		point  point
		covers bool
	}{
		{"the same", [][]byte{here}, point{names: [][]byte{here}}, true},
		{"in other letters", [][]byte{directory(written("CRL 1", spelling{tag: 19, upper: true, spaced: true}))}, point{names: [][]byte{here}}, true},
		{"another", [][]byte{here}, point{names: [][]byte{directory(written("CRL 2", utf8))}}, false},
		{"beside a URL in the list", [][]byte{uri("http://crl.example/1"), here}, point{names: [][]byte{here}}, true},
		{"beside a URL in the certificate", [][]byte{here}, point{names: [][]byte{uri("http://crl.example/1"), here}}, true},
		{"a URL that reads like it", [][]byte{here}, point{names: [][]byte{uri(string(here))}}, false},
		{"for some reasons", [][]byte{here}, point{names: [][]byte{here}, reasons: true}, false},
		{"by another CA", [][]byte{here}, point{names: [][]byte{here}, issuer: written("AUTRE", utf8)}, false},
	} {
		leaf := forgeCert(t, root, keys[1], big.NewInt(10), written("feuille", utf8), ca, func(x *x509.Certificate) {
			x.IsCA, x.ExtraExtensions = false, []pkix.Extension{pointsExtension(c.point)}
		})
		l := &list{by: root, issuer: ca, number: 1, from: time.Now().Add(-time.Hour), to: time.Now().AddDate(0, 0, 7), idp: [][]byte{pointName(c.idp...)}}
		w := tlstest.NewRegistry(t, func(o *revocation.Options) {
			o.Authorities = func() []*x509.Certificate { return certsOf([]*maker{root}) }
		})
		w.Options.Lists = []string{listFile(t, l.der(t))}
		w.Open()
		if err := w.Problems(); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		want := trust.Reason("")
		if !c.covers {
			want = trust.RevocationUnknown
		}
		if err := w.Check([]*x509.Certificate{leaf.cert, root.cert}, w.Clock.Now()); tlstest.Reason(err) != want {
			t.Errorf("%s: %v, want %q", c.name, err, want)
		}
	}
}

// What a certificate names is followed once a CA of ours has signed it, though
// its owner has proved nothing: no more than 256 places, however many there are.
func TestThePlacesThatAreFollowedAreBounded(t *testing.T) {
	t.Parallel()
	w := tlstest.NewRegistry(t, nil)
	w.Open()
	ca := w.PKI.Intermediates(es)[0]
	for i := range 400 {
		w.Wanted(trust.LinksOf([]*x509.Certificate{{SerialNumber: big.NewInt(1), CRLDistributionPoints: []string{fmt.Sprint("http://127.0.0.1:1/", i)}}, ca}))
	}
	if n := len(w.Sources()); n != 256 {
		t.Errorf("%d places are followed, want 256", n)
	}
	if n := strings.Count(w.Log.String(), "crl_too_many_points"); n != 1 {
		t.Errorf("told %d times, want once", n)
	}
	w.Open()
	w.Wanted(trust.LinksOf([]*x509.Certificate{{SerialNumber: big.NewInt(1), CRLDistributionPoints: []string{"http://127.0.0.1:1/" + strings.Repeat("a", 1024)}}, ca}))
	if n := len(w.Sources()); n != 0 {
		t.Error("an address of more than 1 kB is followed")
	}
}
