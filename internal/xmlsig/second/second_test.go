package second

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"crypto/x509"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/internal/xmlsig"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

var signer = sync.OnceValue(func() igc.Pair { return igc.New(igc.Options{}).Sign("1010003812", "CH FICTIF") })

const body = `<soap:Envelope xmlns:soap="` + soap.NS12 + `"><soap:Header/><soap:Body><idb:interroger xmlns:idb="urn:roc:idb:1.0.0"><nom>FICTIF &amp; Fils</nom></idb:interroger></soap:Body></soap:Envelope>`

func signed(t testing.TB, m string, o xmlsig.SignOptions) roc.Content {
	t.Helper()
	p := signer()
	out, err := xmlsig.Sign(roc.NewContent([]byte(m)), xmlsig.Key{Certificate: p.Cert, Chain: p.Chain, Signer: p.Key}, o)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestAGoodMessageAgreesInEveryForm(t *testing.T) {
	t.Parallel()
	for _, token := range []xmlsig.TokenForm{xmlsig.BinarySecurityToken, xmlsig.PKIPath, xmlsig.KeyIdentifier, xmlsig.X509Data, xmlsig.STRX509Data} {
		if r, err := Verify(signed(t, body, xmlsig.SignOptions{Token: token}), signer().Cert); r != Agrees {
			t.Errorf("%s: %s %v", token, r, err)
		}
	}
}

// Each of these is a message that the request path refuses: were it to accept
// one, the second verification would say so.
func TestWhatIsWrongDisagrees(t *testing.T) {
	t.Parallel()
	m := string(signed(t, body, xmlsig.SignOptions{}).Bytes())
	value := m[strings.Index(m, "SignatureValue>")+len("SignatureValue>"):]
	for name, changed := range map[string]string{
		"an altered Body":     strings.Replace(m, "FICTIF", "AUTRE", 1),
		"an altered value":    strings.Replace(m, value[:8], "AAAAAAAA", 1),
		"another SignedInfo":  strings.Replace(m, "<ds:SignedInfo>", "<ds:SignedInfo> ", 1),
		"a Body put in place": strings.Replace(m, "<soap:Body", "<soap:Body><a/></soap:Body><x", 1),
		"an Id twice":         strings.Replace(m, "<nom>", `<nom Id="`+between(m, `<ds:Reference URI="#`, `"`)+`">`, 1),
	} {
		if changed == m {
			t.Fatalf("%s: nothing changed", name)
		}
		if r, err := Verify(roc.NewContent([]byte(changed)), signer().Cert); r == Agrees {
			t.Errorf("%s: agrees", name)
		} else if strings.Contains(err.Error(), "FICTIF") || strings.Contains(err.Error(), "AUTRE") {
			t.Errorf("%s: the error quotes the message: %v", name, err)
		}
	}
	if r, _ := Verify(roc.NewContent([]byte(strings.Replace(m, "FICTIF", "AUTRE", 1))), signer().Cert); r != Disagrees {
		t.Errorf("an altered Body: %s, want disagrees", r)
	}
	other := igc.New(igc.Options{ECDSA: true}).Sign("1010003812", "AUTRE FICTIF")
	if r, _ := Verify(roc.NewContent([]byte(m)), other.Cert); r != Disagrees {
		t.Errorf("another certificate: %s, want disagrees", r)
	}
}

func between(s, from, to string) string {
	_, s, _ = strings.Cut(s, from)
	s, _, _ = strings.Cut(s, to)
	return s
}

// Right messages with a construct that goxmldsig or etree get wrong: never
// "disagrees"; and the same, altered: never "agrees".
func TestWhatTheLibrariesGetWrongIsNoVerdict(t *testing.T) {
	t.Parallel()
	in := func(s string) string { return strings.Replace(body, "<nom>", s+"<nom>", 1) }
	for name, m := range map[string]string{
		"two prefixes":           strings.Replace(in(`<a xmlns:s="urn:b" s:b="1" n:x="2"/>`), "<soap:Body>", `<soap:Body xmlns:n="urn:A">`, 1),
		"a tab in an attribute":  in("<a b=\"x\ty\"/>"),
		"an undone default":      in(`<p:a xmlns:p="urn:p" xmlns=""><b/></p:a>`),
		"a carriage return":      in("<a>x\ry</a>"),
		"a referenced one":       in("<a>x&#xD;y</a>"),
		"an element of xml":      in(`<xml:a/>`),
		"more than 1000 of them": in(strings.Repeat("<a/>", 1500)),
		"depth":                  in(strings.Repeat("<a>", 50) + strings.Repeat("</a>", 50)),
	} {
		out := signed(t, m, xmlsig.SignOptions{})
		r, err := Verify(out, signer().Cert)
		if r == Disagrees {
			t.Errorf("%s: %v", name, err)
		}
		t.Logf("%s: %s %v", name, r, err)
		if r, _ := Verify(roc.NewContent(bytes.Replace(out.Bytes(), []byte("FICTIF"), []byte("AUTRE"), 1)), signer().Cert); r == Agrees {
			t.Errorf("%s, altered: agrees", name)
		}
	}
}

// The attack files of xmlsig: of those that are accepted none disagrees, of
// those that are refused for a digest or a value none agrees.
func TestTheAttackFiles(t *testing.T) {
	t.Parallel()
	files, _ := filepath.Glob(filepath.Join("..", "testdata", "attacks", "*.txt"))
	if len(files) < 90 {
		t.Fatalf("%d attack files", len(files))
	}
	trust := xmlsig.NewTrust(trust.NewTrust([]*x509.Certificate{certificateOf(t, "ac")}, nil).Signature(nil))
	v := xmlsig.NewVerifier(xmlsig.Options{Trust: func() *xmlsig.Trust { return trust }})
	counts := map[Result]int{}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		head, m, _ := bytes.Cut(data, []byte("\n---\n"))
		at, _ := time.Parse(time.RFC3339, between(string(head)+"\n", "\nat: ", "\n"))
		content := roc.NewContent(m)
		env, err := soap.Read(content, soap.DefaultLimits)
		if err != nil {
			continue
		}
		c, err := v.Check(env, xmlsig.Policy{Answer: bytes.Contains(head, []byte("policy: answer"))}, xmlsig.Expect{}, at)
		if err != nil {
			continue
		}
		r, err := Verify(content, c.Signer())
		counts[r]++
		if r == Disagrees {
			t.Errorf("%s: %v", f, err)
		}
	}
	t.Logf("%v", counts)
	if counts[Agrees] < 20 {
		t.Errorf("only %d accepted messages were judged: %v", counts[Agrees], counts)
	}
}

func certificateOf(t *testing.T, name string) *x509.Certificate {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "testdata", "pki", name+".pem"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), "-----BEGIN CERTIFICATE-----")
	rest, _, _ = strings.Cut(rest, "-----END")
	der, err := decode(rest)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTheQueueIsBoundedAndNobodyWaits(t *testing.T) {
	t.Parallel()
	m := signed(t, body, xmlsig.SignOptions{})
	hold, told := make(chan struct{}), 0
	o := New(Options{OneIn: 1, OnResult: func(_ roc.ExchangeID, r Result, err error) {
		<-hold
		told++
		if r != Agrees {
			t.Errorf("%s %v", r, err)
		}
	}})
	for range 1000 {
		o.Offer("id", m, signer().Cert) // it would hang here if it waited
	}
	close(hold)
	o.Close()
	if told < queueLength || told > queueLength+1 {
		t.Errorf("%d of 1000 were looked at while the reader stood still, want the queue of %d and the one in hand", told, queueLength)
	}
}

func TestTheShareIsWhatIsAsked(t *testing.T) {
	t.Parallel()
	m := roc.NewContent([]byte("<a/>"))
	for oneIn, most := range map[int]int{0: 0, -1: 0, 1_000_000_000: 1} {
		told := 0
		o := New(Options{OneIn: oneIn, OnResult: func(roc.ExchangeID, Result, error) { told++ }})
		for range 1000 {
			o.Offer("id", m, signer().Cert)
		}
		o.Offer("id", m, nil) // unsigned: nothing to look at
		o.Close()
		if told > most {
			t.Errorf("one in %d: %d of 1000 were looked at", oneIn, told)
		}
	}
}

// FuzzLook: whatever the bytes, there is a result, and an altered message
// never agrees.
func FuzzLook(f *testing.F) {
	m := signed(f, body, xmlsig.SignOptions{}).Bytes()
	f.Add(m)
	f.Add([]byte("<a xmlns='"))
	f.Add([]byte(`<Envelope><Header/><Body/></Envelope>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := Verify(roc.NewContent(b), signer().Cert); (err == nil) != (r == Agrees) {
			t.Errorf("%s %v", r, err)
		}
		knownWrong(b)
	})
}
