package trust

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/roc"
	inner "github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/test/nation"
	"github.com/piano-roc/rpn/tlsconf/revocation"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

func TestMain(m *testing.M) { os.Exit(nation.Main(m)) }

// A sheet is where a group of cells, played in one country, writes them down.
type sheet struct {
	t      *testing.T
	family string
	row    *row
}

// A row is a line of the table of docs/bench/trust.md.
type row struct {
	what           string
	cells, differs atomic.Int32
}

// cell writes one down: what is done, what must come of it, what came.
func (s sheet) cell(name, want, got string) {
	s.t.Helper()
	word := "ok "
	s.row.cells.Add(1)
	if got != want {
		word = "NOT"
		s.row.differs.Add(1)
		s.t.Errorf("%s: got %q, want %q", name, got, want)
	}
	fmt.Printf("%s  %-10s  %-66s  %s\n", word, s.family, name, or(got, "comes in"))
}

func or(text, empty string) string {
	if text == "" {
		return empty
	}
	return text
}

func TestDrill(t *testing.T) {
	identity := &row{what: "one certificate in all its forms, product categories, deny list"}
	cost := &row{what: "what proves no key, or is too much to verify"}
	revoked := &row{what: "revocation lists, and every door of a reload"}
	checked := &row{what: "`rpn check` of damaged stores and lists; our own chain"}
	asked := &row{what: "what is asked where: redirected, on addresses that are not permitted"}
	answers := &row{what: fmt.Sprint(*exchanges, " exchanges of 20 establishments with an insurer that answers twice, the second time after 0 to 150 ms")}
	t.Cleanup(func() { // after the last group
		fmt.Print("\n| | cells | that differ |\n|---|---|---|\n")
		for _, r := range []*row{identity, cost, revoked, checked, asked, answers} {
			fmt.Printf("| %s | %d | %d |\n", r.what, r.cells.Load(), r.differs.Load())
		}
	})
	for _, group := range []struct {
		family string
		row    *row
		play   func(s sheet)
	}{
		{"identity", identity, forms}, {"identity", identity, denied}, {"memory", cost, unproved}, {"time", cost, junk},
		{"lists", revoked, lists}, {"lists", revoked, reloads}, {"check", checked, checks}, {"chain", checked, ownChain},
		{"egress", asked, responders}, {"egress", asked, elsewhere}, {"answers", answers, twice},
	} {
		t.Run(group.family, func(t *testing.T) {
			t.Parallel()
			group.play(sheet{t, group.family, group.row})
		})
	}
}

func code(r *nation.Reply) string {
	if r.Err != nil {
		return "nothing"
	}
	if r.Code == "" {
		return fmt.Sprint("HTTP ", r.Status)
	}
	return r.Code
}

func ecdsaES() nation.Trait { return nation.TLS(igc.ECDSA()) }

// forms: one certificate is exactly its three parts, and of this environment.
func forms(s sheet) {
	n := nation.New(s.t, nation.Binary)
	chu := n.Etablissement(ecdsaES())
	own := chu.TLS
	s.cell("an ordinary certificate", "", n.HandshakeOf(own))
	longer, inChain := own, own
	longer.Cert = igc.Longer(own.Cert, 5, 0)
	s.cell("two bytes after its signature", "malformed", n.HandshakeOf(longer))
	inChain.Chain = []*x509.Certificate{igc.Longer(own.Chain[0], 5, 0)}
	s.cell("two bytes after the signature of its CA", "malformed", n.HandshakeOf(inChain))
	s.cell("a byte after the certificate", "malformed", n.Handshake(own.Key, append(bytes.Clone(own.Cert.Raw), 0)))
	signer := chu.Signature
	signer.Cert = igc.Longer(signer.Cert, 5, 0)
	s.cell("a message by a signer with two bytes more", "RPN215", code(chu.Send(roc.IDB, "bleue", inner.SignedBy(signer))))
	for _, c := range []struct {
		name     string
		category byte
		want     string
	}{
		{"a production certificate in a test environment", 0x03, "wrong-category"},
		{"a test certificate in a test environment", 0x83, ""},
		{"a card", 0x80, "wrong-category"},
	} {
		s.cell(c.name, c.want, n.HandshakeOf(n.PKI.Auth(roc.StructureOf(chu.EJ), "CH", igc.ECDSA(), igc.Category(c.category))))
	}
}

// denied: a deny line reaches a certificate in every form that verifies.
func denied(s sheet) {
	n := nation.New(s.t, nation.NotStarted)
	chu, other := n.Etablissement(ecdsaES()), n.Etablissement(ecdsaES())
	keyFile, _, file := n.DenyFiles()
	key, err := trust.ReadKey(keyFile)
	if err != nil {
		s.t.Fatal(err)
	}
	lines := revocation.DenyLine(chu.TLS.Cert) + "\n" + revocation.DenyLine(chu.Signature.Cert) + "\n"
	signed, err := revocation.SignDenyList([]byte(lines), 2, time.Now(), key)
	if err != nil {
		s.t.Fatal(err)
	}
	write(s.t, file, signed)
	n.Start()
	twin, longer := chu.TLS, chu.TLS
	twin.Cert, longer.Cert = igc.Twin(twin.Cert), igc.Longer(longer.Cert, 5, 0)
	s.cell("a denied certificate", "denied", n.HandshakeOf(chu.TLS))
	s.cell("the other value of its ECDSA signature", "denied", n.HandshakeOf(twin))
	s.cell("two bytes more", "malformed", n.HandshakeOf(longer))
	signer := chu.Signature
	s.cell("a message by a denied signer", "RPN103", code(other.Send(roc.IDB, "bleue", inner.SignedBy(signer))))
	signer.Cert = igc.Twin(signer.Cert)
	s.cell("the other value of its ECDSA signature", "RPN103", code(other.Send(roc.IDB, "bleue", inner.SignedBy(signer))))
	s.cell("somebody else", "", n.HandshakeOf(other.TLS))
	n.AMC("bleue").WantReceived(0)
}

// unproved: what proves no key leaves nothing.
func unproved(s sheet) {
	n := nation.New(s.t, nation.Binary)
	chu := n.Etablissement(ecdsaES())
	s.cell("a message of its own", "00", code(chu.Send(roc.IDB, "bleue")))
	wrong := newKey(s.t, elliptic.P256())
	got := map[string]int{}
	for i := range 20 {
		public := n.PKI.Auth(roc.StructureID(fmt.Sprintf("10200%05d", i)), "CH", igc.ECDSA())
		got[n.Handshake(wrong, public.TLS().Certificate...)]++
	}
	s.cell("20 certificates shown without their keys", "0 come in, 1 kept", fmt.Sprintf("%d come in, %d kept", got[""], kept(n, "etablissement-tls")))
	refused := 0
	for i := range 20 {
		signer := n.PKI.Sign(roc.StructureOf(chu.EJ), "CH", igc.ECDSA(), igc.Key(fmt.Sprint(i)))
		if r := chu.Send(roc.IDB, "bleue", inner.SignedBy(signer), inner.Altered); r.Refused(roc.BadSignature) {
			refused++
		}
		time.Sleep(50 * time.Millisecond) // its rate
	}
	s.cell("20 signers of altered messages", "20 refused, 1 kept", fmt.Sprintf("%d refused, %d kept", refused, kept(n, "etablissement-signature")))
}

// kept is how many certificates of a kind the RPN remembers.
func kept(n *nation.Nation, kind string) int {
	_, body, err := n.Admin("/certificats?format=json&nature=" + kind)
	var page struct {
		Certificates []any `json:"certificats"`
	}
	if err != nil || json.Unmarshal([]byte(body), &page) != nil {
		return -1
	}
	return len(page.Certificates)
}

// junk: what a stranger presents is bounded before anything is verified.
func junk(s sheet) {
	n := nation.New(s.t, nation.Binary)
	real := n.PKI.Intermediates(igc.EtablissementTLS)[0]
	for _, c := range []struct {
		name  string
		n     int
		curve elliptic.Curve
		want  string
	}{
		{"99 authorities of the real one's name, on P-521", 99, elliptic.P521(), "oversized"},
		{"7 of them", 7, elliptic.P521(), "weak-key"},
		{"7 on P-384", 7, elliptic.P384(), "unknown-ca"},
	} {
		key := newKey(s.t, elliptic.P256())
		chain := [][]byte{forged(s.t, key, key, real.RawSubject, []byte("feuille"), false)}
		for range c.n {
			ca := newKey(s.t, c.curve)
			chain = append(chain, forged(s.t, ca, ca, real.RawSubject, nil, true))
		}
		s.cell(c.name, c.want, n.Handshake(key, chain...))
	}
	s.cell("an ordinary client after them", "", n.HandshakeOf(n.Etablissement(ecdsaES()).TLS))
}

func newKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// forged is a certificate of a name that is somebody else's.
func forged(t *testing.T, key, by *ecdsa.PrivateKey, issuer, cn []byte, ca bool) []byte {
	t.Helper()
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), RawSubject: issuer, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: ca, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, SignatureAlgorithm: x509.ECDSAWithSHA256,
	}
	if !ca {
		c.RawSubject, c.Subject.CommonName = nil, string(cn)
		c.KeyUsage, c.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, &x509.Certificate{RawSubject: issuer}, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func write(t *testing.T, file string, text []byte) {
	t.Helper()
	if err := os.WriteFile(file+".new", text, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

func armoured(kind string, ders ...[]byte) []byte {
	var b bytes.Buffer
	for _, der := range ders {
		pem.Encode(&b, &pem.Block{Type: kind, Bytes: der})
	}
	return b.Bytes()
}

const es = igc.EtablissementTLS

// lists: each kind of list under an intermediate of its own, all in one RPN.
func lists(s sheet) {
	n := nation.New(s.t, nation.NotStarted)
	chu := n.Etablissement(ecdsaES())
	id := roc.StructureOf(chu.EJ)
	var authorities []byte
	known := map[string]bool{}
	auth := func(ca string, options ...igc.Option) igc.Pair {
		if !known[ca] {
			known[ca] = true
			authorities = append(authorities, armoured("CERTIFICATE", n.PKI.Intermediate(es, ca).Raw)...)
		}
		return n.PKI.Auth(id, "CH", append(options, igc.ECDSA(), igc.Under(ca), igc.Key(fmt.Sprint(ca, len(options))))...)
	}
	var files []string
	list := func(name string, text []byte) {
		files = append(files, name+".crl")
		write(s.t, n.File(name+".crl"), text)
	}
	crl := func(ca string, l igc.List) []byte {
		l.Intermediate = ca
		return n.PKI.CRL(es, l)
	}
	revoke := func(p igc.Pair) []*big.Int { return []*big.Int{p.Cert.SerialNumber} }

	// Several lists in a file, the second of a CA that has revoked somebody.
	a, b := auth("FICHIER"), auth("FICHIER", igc.Names("b.test"))
	list("fichier", append([]byte("\xef\xbb\xbfListes\n"), armoured("X509 CRL", n.PKI.CRL(es, igc.List{ByRoot: true}), crl("FICHIER", igc.List{Revoked: revoke(a)}))...))
	ldapOnly := auth("LDAP", igc.Points("ldap://annuaire.example/cn=AC?certificateRevocationList"))
	mute := auth("MUETTE")
	absent := auth("ABSENTE", igc.Points("http://127.0.0.1:1/absente.crl"))
	const url = "http://crl.example/ac.crl"
	idp := auth("POINT", igc.Points(url))
	list("point", crl("POINT", igc.List{Extensions: []pkix.Extension{point("ldap://annuaire.example/cn=AC", url)}}))
	otherPoint := auth("AUTRE POINT", igc.Points(url))
	list("autre-point", crl("AUTRE POINT", igc.List{Extensions: []pkix.Extension{point("http://crl.example/2.crl")}}))
	rekeyed := auth("RECLEF#2")
	auth("RECLEF#1")
	list("reclef", crl("RECLEF#1", igc.List{}))
	names := auth("NOMS")
	list("noms", crl("NOMS", igc.List{Issuer: bytes.ReplaceAll(n.PKI.Intermediate(es, "NOMS").RawSubject, []byte{0x0c, 8, 'I', 'G', 'C', ' ', 'T', 'E', 'S', 'T'}, []byte{0x13, 8, 'i', 'g', 'c', ' ', 't', 'e', 's', 't'}),
		Revoked: revoke(names)}))
	odd, beside := auth("IMPAIRE"), auth("IMPAIRE", igc.Names("b.test"))
	list("impaire", crl("IMPAIRE", igc.List{Entries: []x509.RevocationListEntry{{SerialNumber: big.NewInt(-5), RevocationTime: time.Now()}, {SerialNumber: odd.Cert.SerialNumber, RevocationTime: time.Now()}}}))
	added, kept := auth("DELTA"), auth("DELTA", igc.Names("b.test"))
	list("a-delta", crl("DELTA", igc.List{Number: 11, DeltaOf: 10, Revoked: revoke(added)}))
	list("b-complete", crl("DELTA", igc.List{Number: 10}))

	store := n.File("confiance/etablissements-tls.pem")
	text, err := os.ReadFile(store)
	if err != nil {
		s.t.Fatal(err)
	}
	write(s.t, store, append(text, authorities...))
	n.Edit("rpn.yaml", "\nrevocation:\n", "\nrevocation:\n  lists: ["+strings.Join(files, ", ")+"]\n")
	n.Start()

	s.cell("several lists in a file, revoked by the second", "revoked", n.HandshakeOf(a))
	s.cell("somebody else of that CA", "", n.HandshakeOf(b))
	s.cell("a list announced by LDAP alone", "revocation-unknown", n.HandshakeOf(ldapOnly))
	s.cell("a list announced and not obtained", "revocation-unknown", n.HandshakeOf(absent))
	s.cell("a CA that announces nothing", "", n.HandshakeOf(mute))
	s.cell("a list of several points, one of them the certificate's", "", n.HandshakeOf(idp))
	s.cell("a list of another point", "revocation-unknown", n.HandshakeOf(otherPoint))
	s.cell("a CA with a new key, the list of the old one", "revocation-unknown", n.HandshakeOf(rekeyed))
	s.cell("a list that writes its CA's name otherwise", "revoked", n.HandshakeOf(names))
	s.cell("revoked beside a negative serial number", "revoked", n.HandshakeOf(odd))
	s.cell("somebody else of that CA", "", n.HandshakeOf(beside))
	s.cell("revoked by a delta that comes before its complete list", "revoked", n.HandshakeOf(added))
	s.cell("somebody else of that CA", "", n.HandshakeOf(kept))
	ready := n.Ready()
	s.cell("readiness says that some are refused", "true true", fmt.Sprint(ready.Ready, strings.Contains(strings.Join(ready.Degraded, " "), "revocation")))
	s.cell("a list of a week is no certificate near its end", "0", fmt.Sprint(len(n.Lines("a certificate is near its end: have it renewed"))))
}

// point is an IssuingDistributionPoint of these URLs.
func point(urls ...string) pkix.Extension {
	tagged := func(class, tag int, compound bool, content []byte) []byte {
		der, err := asn1.Marshal(asn1.RawValue{Class: class, Tag: tag, IsCompound: compound, Bytes: content})
		if err != nil {
			panic(err)
		}
		return der
	}
	var names []byte
	for _, u := range urls {
		names = append(names, tagged(asn1.ClassContextSpecific, 6, false, []byte(u))...)
	}
	full := tagged(asn1.ClassContextSpecific, 0, true, tagged(asn1.ClassContextSpecific, 0, true, names))
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 28}, Critical: true, Value: tagged(asn1.ClassUniversal, asn1.TagSequence, true, full)}
}

// reloads: every door of a reload asks the list servers.
func reloads(s sheet) {
	server := newServer(s.t)
	n := nation.New(s.t, nation.NotStarted)
	chu := n.Etablissement(ecdsaES())
	n.Edit("rpn.yaml", "\nrevocation:\n", "\nrevocation:\n  lists: ["+server.URL+"/es.crl]\n")
	server.says(func(w http.ResponseWriter, _ *http.Request) { w.Write(n.PKI.CRL(es, igc.List{})) })
	n.Start()
	s.cell("the list of a server", "", n.HandshakeOf(chu.TLS))
	server.says(func(w http.ResponseWriter, _ *http.Request) {
		w.Write(n.PKI.CRL(es, igc.List{Number: 2, Revoked: []*big.Int{chu.TLS.Cert.SerialNumber}}))
	})
	nation.Run(s.t, "reload", "--config", n.ConfigFile()).WantExit(0)
	got := ""
	await.Until(s.t, "it is out", func() bool { got = n.HandshakeOf(chu.TLS); return got != "" })
	s.cell("the next one, at once by rpn reload", "revoked", got)
}

// checks: what would let nobody in, or leave an authority out, is an error of
// rpn check, which names the file and the line.
func checks(s sheet) {
	n := nation.New(s.t, nation.NotStarted)
	store := n.File("confiance/etablissements-tls.pem")
	good, err := os.ReadFile(store)
	if err != nil {
		s.t.Fatal(err)
	}
	config, err := os.ReadFile(n.ConfigFile())
	if err != nil {
		s.t.Fatal(err)
	}
	line := regexp.MustCompile(`line \d+`)
	check := func() string {
		p := nation.Run(s.t, "check", "--config", n.ConfigFile())
		code := p.Wait()
		said := p.Errors.String() + p.Output.String()
		if code == 0 {
			return fmt.Sprint("0, ", regexp.MustCompile(`trust.etablissements_tls\s+(\d+ roots, \d+ intermediates)`).FindStringSubmatch(said)[1])
		}
		return strings.TrimRight(fmt.Sprint(code, " ", line.FindString(said)), " ")
	}
	second := bytes.LastIndex(good, []byte("-----BEGIN"))
	at := bytes.Count(good[:second], []byte("\n")) + 1
	here := fmt.Sprint("1 line ", at)
	for _, c := range []struct {
		name, want string
		text       []byte
	}{
		{"a trust store", "0, 1 roots, 1 intermediates", good},
		{"a byte order mark", "0, 1 roots, 1 intermediates", append([]byte("\xef\xbb\xbf"), good...)},
		{"END and BEGIN on one line", "0, 1 roots, 1 intermediates", append(bytes.Clone(bytes.TrimSpace(good[:second])), good[second:]...)},
		{"bad base64 in the second block", here, append(bytes.Clone(good[:second]), bytes.Replace(good[second:], []byte("\nMI"), []byte("\n!!"), 1)...)},
		{"the second block is cut", here, good[:len(good)-40]},
		{"another label on the second block", here, append(bytes.Clone(good[:second]), bytes.ReplaceAll(good[second:], []byte(" CERTIFICATE"), []byte(" CERTIFICAT"))...)},
	} {
		write(s.t, store, c.text)
		s.cell(c.name, c.want, check())
	}
	write(s.t, store, good)
	stranger := igc.New(igc.Options{ECDSA: true})
	write(s.t, n.File("etranger.crl"), stranger.CRL(es, igc.List{}))
	write(s.t, n.File("page.crl"), []byte("<html>"))
	for _, c := range []struct{ name, list string }{
		{"a list that is missing", "absente.crl"}, {"a list that is a page", "page.crl"}, {"a list of a CA in no trust store", "etranger.crl"},
	} {
		write(s.t, n.ConfigFile(), bytes.Replace(config, []byte("\nrevocation:\n"), []byte("\nrevocation:\n  lists: ["+c.list+"]\n"), 1))
		p := nation.Run(s.t, "check", "--config", n.ConfigFile())
		s.cell(c.name, "1 true", fmt.Sprint(p.Wait(), " ", strings.Contains(p.Errors.String()+p.Output.String(), filepath.Base(c.list))))
	}
}

// ownChain: our own certificate goes with the CA that issued it.
func ownChain(s sheet) {
	n := nation.New(s.t, nation.NotStarted)
	file := n.File("rpn/serveur.pem")
	good, err := os.ReadFile(file)
	if err != nil {
		s.t.Fatal(err)
	}
	end := bytes.Index(good, []byte("-----END CERTIFICATE-----\n")) + len("-----END CERTIFICATE-----\n")
	write(s.t, file, good[:end])
	n.Start()
	chu := n.Etablissement(ecdsaES())
	s.cell("a leaf without its intermediate, peers with the root alone", "", n.HandshakeOf(chu.TLS))
	wrong := armoured("CERTIFICATE", n.PKI.Intermediates(igc.EtablissementSignature)[0].Raw)
	write(s.t, file, append(bytes.Clone(good[:end]), wrong...))
	nation.Run(s.t, "reload", "--config", n.ConfigFile()).WantExit(0)
	s.cell("a wrong intermediate", "", n.HandshakeOf(chu.TLS))
}

// A server is a web server that a drill tells what to do, and that counts.
type server struct {
	*httptest.Server
	does  atomic.Pointer[http.HandlerFunc]
	asked atomic.Int32
}

func newServer(t *testing.T) *server {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serverOn(t, ln)
}

func serverOn(t *testing.T, ln net.Listener) *server {
	v := &server{}
	v.says(http.NotFound)
	v.Server = &httptest.Server{Listener: ln, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v.asked.Add(1)
		(*v.does.Load())(w, r)
	})}}
	v.Start()
	t.Cleanup(v.Close)
	return v
}

func (v *server) says(f http.HandlerFunc) { v.does.Store(&f) }

// responders: a responder or a distribution point does not make the RPN call
// somebody else: another host, or by a POST our own admin listener.
func responders(s sheet) {
	n := nation.New(s.t, nation.NotStarted, nation.Section("log", "level: debug"))
	n.Edit("rpn.yaml", "\nrevocation:\n", "\nrevocation:\n  ocsp: true\n")
	n.Start()
	other, there := newServer(s.t), newServer(s.t)
	for _, status := range []int{302, 307, 308} {
		for name, to := range map[string]string{"another host": other.URL, "our own admin listener": n.AdminURL()} {
			there.says(func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, to+"/-/reload?force=register", status)
			})
			for kind, option := range map[string]func(string) igc.Option{
				"a responder": func(place string) igc.Option { return igc.Responder(place) },
				"a list":      func(place string) igc.Option { return igc.Points(place) },
			} {
				place := fmt.Sprintf("%s/%d/%s/%s", there.URL, status, kind[2:], name[:1])
				who := n.Etablissement(ecdsaES(), nation.TLS(option(place)))
				n.HandshakeOf(who.TLS)
				await.Until(s.t, "it is told what became of "+place, func() bool { return told(n, place) })
				acts := len(n.Lines("an operator's act was refused")) + strings.Count(n.Log(), `"forced_register":true`)
				s.cell(fmt.Sprint(kind, " that answers ", status, " to ", name), "0 there, 0 acts", fmt.Sprintf("%d there, %d acts", other.asked.Load(), acts))
			}
		}
	}
	text := n.PKI.CRL(es, igc.List{})
	there.says(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/la.crl":
			http.Redirect(w, r, "/ici.crl", http.StatusFound)
		case "/ici.crl":
			w.Write(text)
		default:
			http.NotFound(w, r)
		}
	})
	who := n.Etablissement(ecdsaES(), nation.TLS(igc.Points(there.URL+"/la.crl")))
	n.HandshakeOf(who.TLS)
	await.Until(s.t, "the list is obtained", func() bool { return told(n, there.URL+"/la.crl", "crl_in_use") })
	s.cell("a list, redirected on its own host", "", n.HandshakeOf(who.TLS))
}

// elsewhere: what a certificate names on an address that is not permitted is not
// connected to. The server is on every address of this machine, and the first
// cells show that it is asked where it may be. The metadata address of a cloud is
// not of this machine: what is told of it is all there is to see.
func elsewhere(s sheet) {
	ln, err := net.Listen("tcp", ":0")
	if err != nil {
		s.t.Fatal(err)
	}
	there := serverOn(s.t, ln)
	var requests sync.Map
	there.says(func(w http.ResponseWriter, r *http.Request) {
		requests.Store("http://"+r.Host+r.URL.Path, true)
		http.NotFound(w, r)
	})
	n := nation.New(s.t, nation.NotStarted, nation.Section("log", "level: debug"))
	n.Edit("rpn.yaml", "allow: [127.0.0.0/8]", "allow: [127.0.0.1/32]")
	n.Edit("rpn.yaml", "\nrevocation:\n", "\nrevocation:\n  ocsp: true\n")
	n.Start()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	for _, host := range []string{"127.0.0.1", "127.0.0.2", "[::1]", "[::ffff:127.0.0.2]", "169.254.169.254"} {
		for i, kind := range []string{"a list", "a responder"} {
			place := fmt.Sprintf("http://%s:%s/%d", host, port, i)
			option, want := igc.Points(place), "revocation-unknown"
			if i == 1 {
				option, want = igc.Responder(place), ""
			}
			who := n.Etablissement(ecdsaES(), nation.TLS(option))
			s.cell(kind+" on "+host, want, n.HandshakeOf(who.TLS))
			await.Until(s.t, "it is told what became of "+place, func() bool { return told(n, place) })
			_, came := requests.Load(place)
			s.cell("it is asked there", fmt.Sprint(host == "127.0.0.1"), fmt.Sprint(came))
		}
	}
}

// told reports whether a line of the log has all of these texts.
func told(n *nation.Nation, texts ...string) bool {
	for line := range strings.Lines(n.Log()) {
		if !slices.ContainsFunc(texts, func(t string) bool { return !strings.Contains(line, t) }) {
			return true
		}
	}
	return false
}
