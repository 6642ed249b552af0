package xmlsig

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"math/big"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
)

const mebibyte = 1 << 20

// A denialCase makes a message of about that size, which costs its sender
// nothing to make and must cost us little to refuse.
type denialCase struct {
	name string
	make func(size int) string
}

// fillBody is an unsigned message whose operation holds as many pieces as fit.
func fillBody(piece string) func(int) string {
	return func(size int) string { return unsignedWith("", strings.Repeat(piece, size/len(piece))) }
}

func unsignedWith(attrs, inner string) string {
	return `<s:Envelope xmlns:s="` + soap.NS12 + `"><s:Body><a` + attrs + `>` + inner + `</a></s:Body></s:Envelope>`
}

// numbered repeats pieces that hold their own number.
func numbered(format string, size int) string {
	var b strings.Builder
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// signedThen is a message whose first digest, that of the Body, is false, so
// that the whole Body is canonicalized.
func signedThen(change func(d *draft, size int)) func(int) string {
	return raw(func(d *draft, size int) {
		change(d, size)
		d.refs[0], d.refs[1] = d.refs[1], d.refs[0]
	})
}

// raw writes a draft without sealing it: digests and value are wrong.
func raw(change func(d *draft, size int)) func(int) string {
	return func(size int) string {
		d := newDraft()
		change(d, size)
		doc := digestPlace.ReplaceAllString(d.String(), base64.StdEncoding.EncodeToString(make([]byte, 32)))
		return strings.Replace(doc, "@value@", base64.StdEncoding.EncodeToString(make([]byte, 256)), 1)
	}
}

func denialCases() []denialCase {
	attrs := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	long := strings.Repeat("x", 100)
	return []denialCase{
		{"billion laughs", func(size int) string {
			e := `<!ENTITY a0 "ha">`
			for i := range 20 {
				e += fmt.Sprintf(`<!ENTITY a%d "%s">`, i+1, strings.Repeat(fmt.Sprintf("&a%d;", i), 10))
			}
			return `<!DOCTYPE a [` + e + `]>` + fillBody("&a20;")(size)
		}},
		{"quadratic entity", func(size int) string {
			return `<!DOCTYPE a [<!ENTITY a "` + strings.Repeat("a", size/2) + `">]>` + fillBody("&a;")(size/2)
		}},
		{"100 000 attributes", func(int) string { return unsignedWith(attrs(100_000, ` a%d=""`), "") }},
		{"100 000 declarations", func(int) string { return unsignedWith(attrs(100_000, ` xmlns:a%d="u:"`), "") }},
		{"depth 100 000", func(int) string { return unsignedWith("", strings.Repeat("<a>", 100_000)) }},
		{"name of 1 MiB", func(size int) string { return unsignedWith("", "<"+strings.Repeat("a", size)+"/>") }},
		{"prefix of 1 MiB", func(size int) string { return unsignedWith("", "<"+strings.Repeat("a", size)+":a/>") }},
		{"attribute name of 1 MiB", func(size int) string { return unsignedWith(" "+strings.Repeat("a", size)+`=""`, "") }},
		{"namespace of 1 MiB", func(size int) string { return unsignedWith(` xmlns:a="u:`+strings.Repeat("a", size)+`"`, "") }},
		{"namespaces of 1 MiB, by references", func(size int) string { return unsignedWith(` xmlns:a="u:`+strings.Repeat("&#97;", size/5)+`"`, "") }},
		{"2 MiB of <a/>", func(size int) string { return fillBody("<a/>")(2*size - 500) }},
		{"1 MiB of <a/>", fillBody("<a/>")},
		{"elements up to the limit", func(int) string { return fillBody("<a/>")(49_990 * 4) }},
		{"end tags with spaces", fillBody("<a></a >")},
		{"elements of 64 attributes", fillBody("<a" + attrs(64, ` a%d=""`) + "/>")},
		{"elements of 60 attributes of one name and long namespaces", func(size int) string {
			decls, uses, n := "", "", size/2/60
			for i := range 60 {
				decls += fmt.Sprintf(`<w xmlns:p%d="u:%s%02d">`, i, strings.Repeat("x", min(n, 200)), i)
				uses += fmt.Sprintf(` p%d:a=""`, i)
			}
			return unsignedWith("", decls+strings.Repeat("<a"+uses+"/>", size/2/len(uses)))
		}},
		{"one prefix declared again and again", fillBody(`<a xmlns:p="u:"/>`)},
		{"ever new prefixes", func(size int) string { return unsignedWith("", numbered(`<a xmlns:p%d="u:"/>`, size)) }},
		{"colliding prefixes", func(size int) string {
			// Anagrams: the sums and products of their bytes are equal.
			var b strings.Builder
			for i := 0; b.Len() < size; i++ {
				p := strings.Map(func(r rune) rune { return 'a' + (r-'0')*('b'-'a') }, fmt.Sprintf("%016b", i))
				fmt.Fprintf(&b, `<a xmlns:%s%s="u:"/>`, p, strings.Map(func(r rune) rune { return 'a' + 'b' - r }, p))
			}
			return unsignedWith("", b.String())
		}},
		{"1 MiB of '>'", fillBody(">")},
		{"1 MiB of '&lt;'", fillBody("&lt;")},
		{"1 MiB of '\\r'", fillBody("\r")},
		{"1 MiB of ']'", fillBody("]")},
		{"1 MiB of ' '", fillBody(" ")},
		{"1 MiB of '&#x1F600;'", fillBody("&#x1F600;")},
		{"1 MiB of '&'", fillBody("&")},
		{"a reference of 1 MiB", func(size int) string { return unsignedWith("", "&#"+strings.Repeat("0", size)+";") }},
		{"1 MiB of comments", fillBody("<!---->")},
		{"1 MiB of CDATA", fillBody("<![CDATA[]]>")},
		{"1 MiB of '<!--' never closed", fillBody("<!-- ")},
		{"1 MiB of '<![CDATA['", fillBody("<![CDATA[")},
		{"1 MiB of '<'", fillBody("<")},
		{"comments between elements", fillBody("<a/><!---->")},
		{"text and comments", fillBody("a<!---->")},
		{"a value of 1 MiB with a tab", func(size int) string { return unsignedWith(` b="	`+strings.Repeat("a", size)+`"`, "") }},
		{"a value of 1 MiB of references", func(size int) string { return unsignedWith(` b="`+strings.Repeat("&lt;", size/4)+`"`, "") }},
		{"an XML declaration of 1 MiB", func(size int) string { return `<?xml version="1.0"` + strings.Repeat(" ", size) + `?><a/>` }},
		{"white space around it", func(size int) string { return strings.Repeat(" ", size/2) + "<a/>" + strings.Repeat(" ", size/2) }},

		{"50 000 Ids", raw(func(d *draft, size int) { d.content = "<o>" + numbered(`<a Id="i%d"/>`, min(size, 800_000)) + "</o>" })},
		{"foreign ids", raw(func(d *draft, size int) {
			d.content = "<o>" + strings.Repeat(`<a id="" ID="" iD=""/>`, min(size/22, 49_000)) + "</o>"
		})},
		{"16 references among foreign ids of references", raw(func(d *draft, size int) {
			manyHeaders(d, 14)
			d.content = "<o>" + strings.Repeat(`<a id="&lt;`+long+`"/>`, size/120) + "</o>"
		})},
		{"16 references to the Body", raw(func(d *draft, size int) {
			d.refs = nil
			for range 16 {
				d.refs = append(d.refs, ref("#corps-CANARI"))
			}
			d.content = "<o>" + strings.Repeat("<a/>", min(size/4, 49_000)) + "</o>"
		})},
		{"10 000 references", raw(func(d *draft, size int) {
			d.refs = strings.SplitAfter(strings.Repeat(ref("#corps-CANARI")+"|", size/500), "|")
		})},
		{"a PrefixList of 1 MiB", raw(func(d *draft, size int) {
			d.refs[1] = refWith("#corps-CANARI", prefixList(strings.Repeat("a ", size/2)), algSHA256, "@digest sha256 corps-CANARI@")
		})},
		{"a SignatureValue of 1 MiB", raw(func(d *draft, size int) {
			d.value = "<ds:SignatureValue>" + strings.Repeat("AAAA", size/4) + "</ds:SignatureValue>"
		})},
		{"a SignatureValue of 1 MiB in lines", raw(func(d *draft, size int) {
			d.value = "<ds:SignatureValue>" + strings.Repeat("AAAA\r\n", size/6) + "</ds:SignatureValue>"
		})},
		{"a DigestValue of 1 MiB", raw(func(d *draft, size int) {
			d.refs[1] = refWith("#corps-CANARI", excOnce, algSHA256, strings.Repeat("AAAA", size/4))
		})},
		{"a token of 1 MiB", raw(func(d *draft, size int) {
			d.token = strings.Replace(d.token, certOf("signataire"), strings.Repeat("AAAA", size/4), 1)
		})},
		{"a token of 1 MiB, one sequence", raw(func(d *draft, size int) {
			der := append([]byte{0x30, 0x83, byte(size * 3 / 4 >> 16), byte(size * 3 / 4 >> 8), byte(size * 3 / 4)}, make([]byte, size*3/4)...)
			d.token = strings.Replace(d.token, certOf("signataire"), base64.StdEncoding.EncodeToString(der), 1)
		})},
		{"a PKIPath of 1 MiB", raw(func(d *draft, size int) {
			n := size * 3 / 4
			der := []byte{0x30, 0x83, byte(n >> 16), byte(n >> 8), byte(n)}
			der = append(der, []byte(strings.Repeat("\x05\x00", n/2))...)
			pkiPathToken(d, base64.StdEncoding.EncodeToString(der))
		})},
		{"a PKIPath with an RSA key of 150 000 bits", raw(func(d *draft, size int) { pkiPathToken(d, giantKeyPath(150_000)) })},
		{"a PKIPath of 7 CAs of the real one's name, P-521", raw(func(d *draft, size int) { pkiPathToken(d, namesakesPath(elliptic.P521())) })},
		{"a PKIPath of 7 CAs of the real one's name, P-384", raw(func(d *draft, size int) { pkiPathToken(d, namesakesPath(elliptic.P384())) })},
		{"X509Data full of IssuerSerial", raw(func(d *draft, size int) {
			d.order = []string{"timestamp", "signature"}
			d.keyInfo = "<ds:KeyInfo><ds:X509Data>" + strings.Repeat("<ds:X509IssuerSerial><a> </a></ds:X509IssuerSerial>", min(size/50, 20_000)) + "</ds:X509Data></ds:KeyInfo>"
		})},
		{"50 000 header blocks", raw(func(d *draft, size int) { d.before = strings.Repeat("<a/>", 49_000) })},

		{"signed: dense elements", signedThen(func(d *draft, size int) {
			d.content = "<o>" + strings.Repeat("<montant>12.00</montant>", size/24) + "</o>"
		})},
		{"signed: a namespace rendered again on each element", signedThen(func(d *draft, size int) {
			d.content = `<o xmlns:p="u:` + strings.Repeat("x", 200) + `">` + strings.Repeat("<p:a/>", min(size/6, 49_000)) + "</o>"
		})},
		{"signed: 32 namespaces rendered again on each element", signedThen(func(d *draft, size int) {
			decls, uses := "", ""
			for i := range 32 {
				decls += fmt.Sprintf(` xmlns:p%d="u:%s"`, i, strings.Repeat("x", 200)+fmt.Sprint(i))
				uses += fmt.Sprintf(` p%d:a=""`, i)
			}
			d.content = `<o` + decls + `>` + strings.Repeat("<a"+uses+"/>", size/(len(uses)+4)) + "</o>"
		})},
		{"signed: elements of 64 attributes", signedThen(func(d *draft, size int) {
			e := "<a" + attrs(64, ` a%d=""`) + "/>"
			d.content = "<o>" + strings.Repeat(e, size/len(e)) + "</o>"
		})},
		{"signed: 1 MiB of '>'", signedThen(func(d *draft, size int) { d.content = "<o>" + strings.Repeat(">", size) + "</o>" })},
		{"signed: 1 MiB of '\\r'", signedThen(func(d *draft, size int) { d.content = "<o>" + strings.Repeat("\r", size) + "</o>" })},
		{"signed: 1 MiB of '&lt;'", signedThen(func(d *draft, size int) { d.content = "<o>" + strings.Repeat("&lt;", size/4) + "</o>" })},
		{"signed: 1 MiB of CDATA", signedThen(func(d *draft, size int) { d.content = "<o>" + strings.Repeat("<![CDATA[>]]>", size/13) + "</o>" })},
		{"signed: a value of 1 MiB of references", signedThen(func(d *draft, size int) {
			d.content = `<o a="` + strings.Repeat("&lt;", size/4) + `"/>`
		})},
		{"signed: values with tabs", signedThen(func(d *draft, size int) {
			d.content = `<o>` + strings.Repeat("<a b='\t"+long+"'/>", size/112) + `</o>`
		})},
		{"signed: comments", signedThen(func(d *draft, size int) { d.content = "<o>" + strings.Repeat("<!---->", size/7) + "</o>" })},
	}
}

func pkiPathToken(d *draft, text string) {
	d.token = swap(swap(bst("signataire"), typeX509v3, typePKIPath), certOf("signataire"), text)
	d.keyInfo = swap(d.keyInfo, typeX509v3, typePKIPath)
}

// giantKeyPath is a PKIPath whose intermediate has an RSA key of that many
// bits, and whose last certificate seems to be signed by it: to verify that
// takes seconds.
func giantKeyPath(bits int) string {
	n := new(big.Int).Lsh(big.NewInt(1), uint(bits)-1)
	n.SetBit(n, 0, 1)
	make := func(c, parent *x509.Certificate, public any) []byte {
		parent = &x509.Certificate{Subject: parent.Subject, SubjectKeyId: parent.SubjectKeyId}
		der, err := x509.CreateCertificate(rand.Reader, c, parent, public, rsaOf("signataire"))
		if err != nil {
			panic(err)
		}
		return der
	}
	middle := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "TEST GEANT"}, SubjectKeyId: []byte{7}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: testNow.AddDate(-1, 0, 0), NotAfter: testNow.AddDate(1, 0, 0), KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := *forgeKeys()["signataire"].Certificate
	leaf.SignatureAlgorithm, leaf.AuthorityKeyId = 0, nil
	var signed struct {
		TBS, Algorithm asn1.RawValue
		Signature      asn1.BitString
	}
	if _, err := asn1.Unmarshal(make(&leaf, middle, rsaOf("signataire").Public()), &signed); err != nil {
		panic(err)
	}
	signed.Signature = asn1.BitString{Bytes: bytes.Repeat([]byte{1}, (bits+7)/8), BitLength: (bits + 7) / 8 * 8}
	last, err := asn1.Marshal(signed)
	if err != nil {
		panic(err)
	}
	path, err := asn1.Marshal([]asn1.RawValue{{FullBytes: make(middle, middle, &rsa.PublicKey{N: n, E: 1<<31 - 1})}, {FullBytes: last}})
	if err != nil {
		panic(err)
	}
	return base64.StdEncoding.EncodeToString(path)
}

// namesakesPath is a PKIPath of seven CAs, each issued by the one before, all of
// the real one's name, and a leaf.
func namesakesPath(curve elliptic.Curve) string {
	real := forgeKeys()["ac"].Certificate
	var path []asn1.RawValue
	parent, by := &x509.Certificate{RawSubject: real.RawSubject}, crypto.Signer(nil)
	issue := func(c *x509.Certificate, public any) {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			panic(err)
		}
		if by == nil {
			by = key
		}
		if public == nil {
			public = key.Public()
		}
		c.NotBefore, c.NotAfter, c.SerialNumber = testNow.AddDate(-1, 0, 0), testNow.AddDate(1, 0, 0), big.NewInt(int64(len(path)+1))
		der, err := x509.CreateCertificate(rand.Reader, c, parent, public, by)
		if err != nil {
			panic(err)
		}
		path, by = append(path, asn1.RawValue{FullBytes: der}), key
	}
	for range 7 {
		issue(&x509.Certificate{RawSubject: real.RawSubject, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, nil)
	}
	issue(&x509.Certificate{Subject: forgeKeys()["signataire"].Certificate.Subject, KeyUsage: x509.KeyUsageDigitalSignature}, rsaOf("signataire").Public())
	text, err := asn1.Marshal(path)
	if err != nil {
		panic(err)
	}
	return base64.StdEncoding.EncodeToString(text)
}

func refuse(v *Verifier, m roc.Content) error {
	env, err := soap.Read(m, soap.DefaultLimits)
	if err != nil {
		return err
	}
	defer env.Release()
	_, err = v.Check(env, Policy{}, Expect{Structure: testStructure}, testNow)
	return err
}

// allocated is what one refusal allocates when nothing is pooled.
func allocated(v *Verifier, m roc.Content) uint64 {
	runtime.GC()
	runtime.GC() // the victims of a sync.Pool too
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	refuse(v, m)
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// What one refusal allocates is bounded: four times the message, or four
// times 1 MiB for a shorter one. Not
// parallel: it measures what is allocated.
func TestRefusingCostsLittleMemory(t *testing.T) {
	v := forgeVerifier()
	for _, c := range denialCases() {
		m := roc.NewContent([]byte(c.make(mebibyte)))
		err := refuse(v, m)
		if err == nil {
			t.Errorf("%s: accepted", c.name)
			continue
		}
		most := 4 * max(m.Len(), mebibyte)
		got := allocated(v, m)
		t.Logf("%-60s %8d bytes, %8d allocated: %v", c.name, m.Len(), got, err)
		if got > uint64(most) {
			t.Errorf("%s: %d bytes allocated to refuse %d, at most %d", c.name, got, m.Len(), most)
		}
	}
}

func BenchmarkRefuse(b *testing.B) {
	v := forgeVerifier()
	for _, c := range denialCases() {
		m := roc.NewContent([]byte(c.make(mebibyte)))
		b.Run(strings.ReplaceAll(c.name, " ", "_"), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(m.Len()))
			before := cpu(b)
			for b.Loop() {
				if refuse(v, m) == nil {
					b.Fatal("accepted")
				}
			}
			b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N)/1000, "cpu-ms/op")
		})
	}
}

// cpu is the processor time of this process, garbage collection and all.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
