package xmlsig

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
)

// forgeKeys are the committed keys and certificates that the attack files are
// signed with: TEST ones, worth nothing outside these tests.
var forgeKeys = sync.OnceValue(func() map[string]Key {
	keys := map[string]Key{}
	for _, name := range forgeNames {
		keys[name] = readKey(filepath.Join("testdata", "pki", name+".pem"))
	}
	return keys
})

var forgeNames = []string{"ac", "autre-ac", "signataire", "signataire-ec", "autre-structure", "autre-signataire", "rsa1024", "p384", "expire", "serveur"}

func readKey(file string) Key {
	data, err := os.ReadFile(file)
	if err != nil {
		panic(fmt.Sprintf("%v: run go test ./internal/xmlsig -run Generate -update", err))
	}
	var k Key
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			k.Certificate, err = x509.ParseCertificate(block.Bytes)
		} else {
			var key any
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
			k.Signer, _ = key.(crypto.Signer)
		}
		if err != nil {
			panic(err)
		}
	}
	return k
}

// makeForgeKeys writes those of the committed keys that are not there.
func makeForgeKeys(t *testing.T) {
	ca, otherCA := testCA{}, testCA{}
	for _, name := range forgeNames {
		file := filepath.Join("testdata", "pki", name+".pem")
		if _, err := os.Stat(file); err == nil {
			k := readKey(file)
			switch name {
			case "ac":
				ca = testCA{k.Certificate, k.Signer.(*ecdsa.PrivateKey)}
			case "autre-ac":
				otherCA = testCA{k.Certificate, k.Signer.(*ecdsa.PrivateKey)}
			}
			continue
		} else if !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		var k Key
		subject := func(structure string, change func(*x509.Certificate)) func(*x509.Certificate) {
			return func(c *x509.Certificate) {
				c.Subject = pkix.Name{Country: []string{"FR"}, Organization: []string{"HOPITAL FICTIF TEST"}, OrganizationalUnit: []string{structure}, CommonName: "TEST " + name}
				if change != nil {
					change(c)
				}
			}
		}
		switch name {
		case "ac":
			ca = newCA("TEST AC SIGNATURE FICTIVE")
			k = Key{Certificate: ca.cert, Signer: ca.key}
		case "autre-ac":
			otherCA = newCA("TEST AUTRE AC FICTIVE")
			k = Key{Certificate: otherCA.cert, Signer: otherCA.key}
		case "signataire":
			k = ca.issue(newRSA(2048), subject(string(testStructure), nil))
		case "autre-structure":
			k = ca.issue(newRSA(2048), subject("1010003820", nil))
		case "autre-signataire":
			k = otherCA.issue(newRSA(2048), subject(string(testStructure), nil))
		case "rsa1024":
			k = ca.issue(newRSA(1024), subject(string(testStructure), nil))
		case "signataire-ec":
			k = ca.issue(newEC(elliptic.P256()), subject(string(testStructure), nil))
		case "p384":
			k = ca.issue(newEC(elliptic.P384()), subject(string(testStructure), nil))
		case "expire":
			k = ca.issue(newRSA(2048), subject(string(testStructure), func(c *x509.Certificate) { c.NotAfter = testNow.AddDate(0, 0, -1) }))
		case "serveur":
			k = ca.issue(newRSA(2048), subject(string(testStructure), func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }))
		}
		der, err := x509.MarshalPKCS8PrivateKey(k.Signer)
		if err != nil {
			t.Fatal(err)
		}
		out := []byte("TEST key, fictitious, committed on purpose: it signs the files of testdata/attacks.\n")
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: k.Certificate.Raw})...)
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...)
		if err := os.WriteFile(file, out, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func newRSA(bits int) crypto.Signer {
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return k
}

func newEC(c elliptic.Curve) crypto.Signer {
	k, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		panic(err)
	}
	return k
}

// A draft is a message before it is signed, in pieces that a case may change.
// In it "@digest ALG ID [prefixes=a,b] [enveloped] [comments]@" stands for a
// digest and "@value@" for the signature.
type draft struct {
	prologue         string // before the Envelope
	ns               string // of SOAP
	envelope         string // attributes of Envelope
	before, after    string // header blocks around Security
	security         string // attributes of Security
	token, timestamp string
	sigAttrs         string
	canon, method    string
	refs             []string
	more             string // after the references, in SignedInfo
	value, keyInfo   string
	object           string   // after KeyInfo, in Signature
	order            []string // of Security: "token", "timestamp", "signature", or an element
	body, content    string   // attributes and content of Body
	epilogue         string   // after the Envelope
	key              string   // of forgeKeys
	sign             string   // how; "" by the key
	canonOf          soap.C14N
}

const (
	forgedBody  = `wsu:Id="corps-CANARI"`
	goodContent = `<idb:interroger xmlns:idb="urn:roc:idb:1.0.0"><etablissement><finess_ej>010003812</finess_ej></etablissement><adressage><numero_amc>0077565712</numero_amc></adressage><beneficiaire><nom>FICTIF-CANARI</nom></beneficiaire></idb:interroger>`
	evilContent = `<idb:interroger xmlns:idb="urn:roc:idb:1.0.0"><etablissement><finess_ej>010003812</finess_ej></etablissement><adressage><numero_amc>0099999999</numero_amc></adressage><beneficiaire><nom>PIRATE-CANARI</nom></beneficiaire></idb:interroger>`
)

func newDraft() *draft {
	return &draft{
		ns: soap.NS12, body: " " + forgedBody, content: goodContent, key: "signataire",
		token:     bst("signataire"),
		timestamp: `<wsu:Timestamp wsu:Id="ts-CANARI"><wsu:Created>2026-11-21T09:30:00.000Z</wsu:Created><wsu:Expires>2026-11-21T09:35:00.000Z</wsu:Expires></wsu:Timestamp>`,
		canon:     `<ds:CanonicalizationMethod Algorithm="` + algExcC14N + `"/>`,
		method:    `<ds:SignatureMethod Algorithm="` + algRSASHA256 + `"/>`,
		refs:      []string{ref("#ts-CANARI"), ref("#corps-CANARI")},
		value:     `<ds:SignatureValue>@value@</ds:SignatureValue>`,
		keyInfo:   `<ds:KeyInfo><wsse:SecurityTokenReference><wsse:Reference URI="#jeton-CANARI" ValueType="` + typeX509v3 + `"/></wsse:SecurityTokenReference></ds:KeyInfo>`,
		order:     []string{"token", "timestamp", "signature"},
	}
}

func bst(key string) string {
	return `<wsse:BinarySecurityToken EncodingType="` + encodingBase64 + `" ValueType="` + typeX509v3 + `" wsu:Id="jeton-CANARI">` + certOf(key) + `</wsse:BinarySecurityToken>`
}

func certOf(key string) string {
	return base64.StdEncoding.EncodeToString(forgeKeys()[key].Certificate.Raw)
}

const excOnce = `<ds:Transform Algorithm="` + algExcC14N + `"/>`

// ref is a right reference to an Id.
func ref(uri string) string { return refWith(uri, excOnce, algSHA256, "@digest sha256 "+uri[1:]+"@") }

func refWith(uri, transforms, digestAlg, digest string) string {
	if transforms != "" {
		transforms = "<ds:Transforms>" + transforms + "</ds:Transforms>"
	}
	return `<ds:Reference URI="` + uri + `">` + transforms + `<ds:DigestMethod Algorithm="` + digestAlg + `"/><ds:DigestValue>` + digest + `</ds:DigestValue></ds:Reference>`
}

func (d *draft) signedInfo() string {
	return "<ds:SignedInfo>" + d.canon + d.method + strings.Join(d.refs, "") + d.more + "</ds:SignedInfo>"
}

func (d *draft) String() string {
	signature := `<ds:Signature xmlns:ds="` + soap.NSDS + `"` + d.sigAttrs + ">" + d.signedInfo() + d.value + d.keyInfo + d.object + `</ds:Signature>`
	children := ""
	for _, c := range d.order {
		switch c {
		case "token":
			c = d.token
		case "timestamp":
			c = d.timestamp
		case "signature":
			c = signature
		}
		children += c
	}
	return d.prologue + `<soap:Envelope xmlns:soap="` + d.ns + `" xmlns:wsse="` + soap.NSWSSE + `" xmlns:wsu="` + soap.NSWSU + `"` + d.envelope + `><soap:Header>` +
		d.before + `<wsse:Security` + d.security + `>` + children + `</wsse:Security>` + d.after +
		`</soap:Header><soap:Body` + d.body + `>` + d.content + `</soap:Body></soap:Envelope>` + d.epilogue
}

var digestPlace = regexp.MustCompile(`@digest (\S+) (\S+?)((?: [a-z]+(?:=[^ @]*)?)*)@`)

// seal fills the places of digests, then that of the value.
func (d *draft) seal(doc string) string {
	doc = digestPlace.ReplaceAllStringFunc(doc, func(place string) string {
		m := digestPlace.FindStringSubmatch(place)
		form := soap.C14N{}
		env := mustRead(doc)
		defer env.Release()
		for _, o := range strings.Fields(m[3]) {
			switch name, list, _ := strings.Cut(o, "="); name {
			case "prefixes":
				form.Prefixes = strings.Split(list, ",")
			case "comments":
				form.Comments = true
			case "enveloped":
				form.Without = findLocal(env.Root(), "Signature")
			}
		}
		return base64.StdEncoding.EncodeToString(digestBy(m[1], canonicalOf(findID(env, m[2]), form)))
	})
	if !strings.Contains(doc, "@value@") {
		return doc
	}
	env := mustRead(doc)
	info := canonicalOf(findLocal(env.Root(), "SignedInfo"), d.canonOf)
	env.Release()
	return strings.ReplaceAll(doc, "@value@", base64.StdEncoding.EncodeToString(signBy(d.sign, forgeKeys()[d.key], info)))
}

func mustRead(doc string) *soap.Envelope {
	env, err := soap.ReadDocument(roc.NewContent([]byte(doc)), soap.DefaultLimits)
	if err != nil {
		panic(fmt.Sprintf("a draft must be well-formed: %v\n%s", err, doc))
	}
	return env
}

func canonicalOf(n soap.Node, form soap.C14N) []byte {
	var b bytes.Buffer
	if err := n.Canonical(&b, form); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func findID(env *soap.Envelope, id string) soap.Node {
	for i := range env.IDs {
		if i.Value == id {
			return i.Node
		}
	}
	panic("no Id " + id)
}

// findLocal is the first element of that local name, in document order.
func findLocal(n soap.Node, local string) soap.Node {
	if n.Name().Local == local {
		return n
	}
	for c := n.First(); !c.IsZero(); c = c.Next() {
		if f := findLocal(c, local); !f.IsZero() {
			return f
		}
	}
	return soap.Node{}
}

func digestBy(alg string, b []byte) []byte {
	var h hash.Hash
	switch alg {
	case "sha256":
		h = sha256.New()
	case "sha1":
		h = sha1.New()
	case "md5":
		h = md5.New()
	case "sha512":
		h = crypto.SHA512.New()
	case "nothing":
		return sha256.New().Sum(nil)
	default:
		panic(alg)
	}
	h.Write(b)
	return h.Sum(nil)
}

// signBy signs canonical bytes in one of the ways, right or wrong, that the
// cases ask for. Every way gives the same value each time.
func signBy(how string, k Key, b []byte) []byte {
	pkcs1 := func(h crypto.Hash) []byte {
		s, err := rsa.SignPKCS1v15(nil, k.Signer.(*rsa.PrivateKey), h, digestOfBytes(h, b))
		if err != nil {
			panic(err)
		}
		return s
	}
	ec := func(h crypto.Hash) []byte {
		der, err := k.Signer.Sign(nil, digestOfBytes(h, b), h) // without a source of randomness: RFC 6979
		if err != nil {
			panic(err)
		}
		return der
	}
	if how == "" {
		how = "rsa-sha256"
		if _, ok := k.Signer.(*ecdsa.PrivateKey); ok {
			how = "ecdsa-sha256"
		}
	}
	switch how {
	case "rsa-sha256":
		return pkcs1(crypto.SHA256)
	case "rsa-sha512":
		return pkcs1(crypto.SHA512)
	case "rsa-sha1":
		return pkcs1(crypto.SHA1)
	case "rsa-md5":
		return pkcs1(crypto.MD5)
	case "ecdsa-der":
		return ec(crypto.SHA256)
	case "ecdsa-sha256":
		return rawECDSA(ec(crypto.SHA256), 32)
	case "ecdsa-sha384":
		return rawECDSA(ec(crypto.SHA384), 48)
	case "hmac-certificate", "hmac-spki", "hmac-pem", "hmac-empty":
		return macBy(how, k, b)
	}
	panic(how)
}

// macBy keys an HMAC with something that everybody knows.
func macBy(how string, k Key, b []byte) []byte {
	var secret []byte
	switch how {
	case "hmac-certificate":
		secret = k.Certificate.Raw
	case "hmac-spki":
		secret = k.Certificate.RawSubjectPublicKeyInfo
	case "hmac-pem":
		secret = pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: k.Certificate.RawSubjectPublicKeyInfo})
	}
	h := hmac.New(sha256.New, secret)
	h.Write(b)
	return h.Sum(nil)
}

func digestOfBytes(h crypto.Hash, b []byte) []byte {
	d := h.New()
	d.Write(b)
	return d.Sum(nil)
}

func rawECDSA(der []byte, size int) []byte {
	var pair struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &pair); err != nil {
		panic(err)
	}
	out := make([]byte, 2*size)
	pair.R.FillBytes(out[:size])
	pair.S.FillBytes(out[size:])
	return out
}

func rsaOf(key string) *rsa.PrivateKey { return forgeKeys()[key].Signer.(*rsa.PrivateKey) }

// pkiPath is the base64 of a PKIPath of those certificates, in that order.
func pkiPath(names ...string) string {
	var path []asn1.RawValue
	for _, n := range names {
		path = append(path, asn1.RawValue{FullBytes: forgeKeys()[n].Certificate.Raw})
	}
	der, err := asn1.Marshal(path)
	if err != nil {
		panic(err)
	}
	return base64.StdEncoding.EncodeToString(der)
}
