//go:build vectors

package xmlsig

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"flag"
	"fmt"
	"math/big"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// The public test files are not in this repository: make vectors gives their
// folder. What each one must give is in testdata/vectors-verdicts.tsv, by file
// name; one whose verdict is not the best of its class is explained there.
var vectorsDir = flag.String("vectors", "", "folder of the public test files, with its INDEX.tsv")

const verdictFile = "testdata/vectors-verdicts.tsv"

type vector struct{ class, file, repo, dir, base string }

func (v vector) read(t *testing.T) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(*vectorsDir, v.class, v.file))
	if err != nil {
		t.Fatal(err)
	}
	if v.class != "c14n" { // some SAML responses are in base64, whatever they are called
		if m, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(b)), "")); err == nil {
			return m
		}
	}
	return b
}

func readIndex(t *testing.T) []vector {
	t.Helper()
	index, err := os.ReadFile(filepath.Join(*vectorsDir, "INDEX.tsv"))
	if err != nil {
		t.Fatalf("%v: give the folder with -vectors", err)
	}
	var all []vector
	for i, line := range strings.Split(strings.TrimSpace(string(index)), "\n") {
		f := strings.Split(line, "\t")
		if i == 0 {
			continue
		}
		if len(f) < 9 {
			t.Fatalf("INDEX.tsv:%d: %d fields, want 9", i+1, len(f))
		}
		all = append(all, vector{f[0], f[1], f[2], path.Dir(f[4]), path.Base(f[4])})
	}
	return all
}

type verdict struct{ verdict, why string }

func readVerdicts(t *testing.T) map[string]verdict {
	t.Helper()
	m := map[string]verdict{}
	data, err := os.ReadFile(verdictFile)
	if err != nil && !*update {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if strings.HasPrefix(line, "class\t") {
			continue
		}
		if len(f) != 4 {
			t.Fatalf("%s: %d fields, want 4: %q", verdictFile, len(f), line)
		}
		m[f[0]+"\t"+f[1]] = verdict{f[2], f[3]}
	}
	return m
}

func TestVectors(t *testing.T) {
	all := readIndex(t)
	known := readVerdicts(t)
	table := strings.Builder{}
	table.WriteString("class\tfile\tverdict\twhy\n")
	count := map[string]int{}
	for _, v := range all {
		if v.class == "certs" {
			continue
		}
		got, held := v.check(t, all)
		was := known[v.class+"\t"+v.file]
		fmt.Fprintf(&table, "%s\t%s\t%s\t%s\n", v.class, v.file, got, was.why)
		count[fmt.Sprintf("%s held=%v", v.class, held)]++
		delete(known, v.class+"\t"+v.file)
		if *update {
			continue
		}
		if got != was.verdict {
			t.Errorf("%s/%s: %q, the table says %q", v.class, v.file, got, was.verdict)
		}
		if !held && was.why == "" {
			t.Errorf("%s/%s: %q is not held to and the table does not say why", v.class, v.file, got)
		}
	}
	for file := range known {
		t.Errorf("%s is in the table and not in INDEX.tsv", file)
	}
	if *update {
		if err := os.WriteFile(verdictFile, []byte(table.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Log(count)
}

// check says what a file gave, and whether that is the best of its class.
func (v vector) check(t *testing.T, all []vector) (got string, held bool) {
	t.Helper()
	switch v.class {
	case "c14n":
		return v.checkC14N(t, all)
	case "sig-full":
		got = coreVerdict(t, v.read(t))
		return got, strings.Contains(got, "signature good") && !strings.Contains(got, "unequal")
	case "sig-exc-digest-only":
		got = coreVerdict(t, v.read(t))
		return got, strings.HasPrefix(got, "digests equal")
	case "wss":
		return v.checkWSS(t), true
	case "negative":
		m := v.read(t)
		strict := profileVerdict(m, false)
		if strict == "accepted" {
			t.Errorf("negative/%s is accepted", v.file)
		}
		return strict + "; " + coreVerdict(t, m), true
	}
	t.Fatalf("%s: unknown class %s", v.file, v.class)
	return "", false
}

// short is a refusal without the position.
func short(err error) string {
	s, _, _ := strings.Cut(err.Error(), " (byte")
	return s
}

// ---- c14n

// excPairs are the pairs whose names do not tell it: the expected file, its
// input, and the element that is canonicalized ("" the root).
var excPairs = map[string]struct{ input, apex string }{
	"santuario/default_ns_redefinition_c14n.xml":    {"santuario/default_ns_redefinition_input.xml", "Object"},
	"santuario/example2_2_c14nized_exclusive.xml":   {"santuario/example2_2_1.xml", "elem2"},
	"santuario/example2_2_3_c14nized_exclusive.xml": {"santuario/example2_2_3.xml", "p"},
	"santuario/example2_4_c14nized.xml":             {"santuario/example2_4.xml", "elem2"},
	"santuario/plain-soap-c14nized.xml":             {"santuario/plain-soap-1.1.xml", "Body"},
	"santuario/32_c14n.xml":                         {"santuario/32_input.xml", ""},
	"goxmldsig-v2/out_inC14N1_c14nComment.xml":      {"goxmldsig-v2/inC14N1.xml", ""},
	"santuario/34_c14n.xml":                         {"santuario/34_input.xml", ""},
	"santuario/36_c14n.xml":                         {"santuario/36_input.xml", ""},
	"santuario/33_c14n.xml":                         {"santuario/33_input.xml", ""},
	"santuario/35_c14n.xml":                         {"santuario/35_input.xml", ""},
	"santuario/31_c14n.xml":                         {"santuario/31_input.xml", ""},
	"santuario/31_c14n-comments.xml":                {"santuario/31_input.xml", ""},
}

func (v vector) checkC14N(t *testing.T, all []vector) (string, bool) {
	t.Helper()
	name := path.Base(v.file)
	if p, ok := excPairs[v.file]; ok {
		return v.pair(t, p.input, p.apex, strings.Contains(strings.ToLower(name), "comment"))
	}
	ext := path.Ext(name)
	switch {
	case ext == ".exc-c14n":
		return v.pair(t, strings.TrimSuffix(v.file, ext)+".xml", "", false)
	case ext == ".c14n10" || ext == ".c14n11":
		return "another algorithm: " + ext[1:], false
	case strings.HasPrefix(name, "out_in") && strings.HasSuffix(name, "_c14nDefault.xml"):
		// Canonical XML 2.0 without options is the exclusive form.
		in := strings.TrimSuffix(strings.TrimPrefix(name, "out_"), "_c14nDefault.xml")
		return v.pair(t, path.Join(path.Dir(v.file), in+".xml"), "", false)
	case strings.HasPrefix(name, "out_in"):
		return "another algorithm: an option of Canonical XML 2.0", false
	case strings.HasPrefix(v.base, "c14n-") && ext == ".txt":
		return v.intermediate(t, all)
	case ext == ".xml" && bytes.Contains(v.read(t), []byte("SignedInfo")):
		got := coreVerdict(t, v.read(t))
		return got, strings.HasPrefix(got, "digests equal")
	case ext == ".xml":
		return "input: " + readVerdict(v.read(t)), true
	}
	return "no message: " + ext, true
}

func readVerdict(b []byte) string {
	env, err := soap.ReadDocument(roc.NewContent(b), soap.DefaultLimits)
	if err != nil {
		return short(err)
	}
	env.Release()
	return "read"
}

// pair canonicalizes the input and compares it with the file.
func (v vector) pair(t *testing.T, input, apex string, comments bool) (string, bool) {
	t.Helper()
	in := vector{class: v.class, file: input}
	env, err := soap.ReadDocument(roc.NewContent(in.read(t)), soap.DefaultLimits)
	if err != nil {
		return short(err), false
	}
	defer env.Release()
	n := env.Root()
	if apex != "" {
		n = findLocal(n, apex)
	}
	want := strings.TrimSuffix(string(v.read(t)), "\n")
	switch want {
	case string(canonicalOf(n, soap.C14N{Comments: comments})):
		return "equal", true
	case string(canonicalOf(n, soap.C14N{Comments: true})):
		return "equal with comments", true
	}
	return "unequal", false
}

// intermediate looks for the bytes of a c14n-N.txt among the canonical forms
// that the signed files of the same folder ask for.
func (v vector) intermediate(t *testing.T, all []vector) (string, bool) {
	t.Helper()
	want := v.read(t)
	reason := "no signed file beside it"
	for _, s := range all {
		if s.class != "c14n" || s.repo != v.repo || s.dir != v.dir || path.Ext(s.base) != ".xml" {
			continue
		}
		env, err := soap.ReadDocument(roc.NewContent(s.read(t)), soap.DefaultLimits)
		if err != nil {
			reason = s.base + ": " + short(err)
			continue
		}
		for _, c := range cores(env) {
			if bytes.Equal(c.canonicalInfo(), want) {
				env.Release()
				return "equal: SignedInfo of " + s.base, true
			}
			for i, r := range c.refs {
				if r.other == "" && bytes.Equal(r.canonical, want) {
					env.Release()
					return fmt.Sprintf("equal: reference %d of %s", i, s.base), true
				}
			}
			if len(c.refs) > 0 {
				reason = "no exc-c14n reference of " + s.base + " gives it"
			}
		}
		env.Release()
	}
	return reason, false
}

// ---- core validation (XMLDSig 3.2), with our canonical form and no policy

type core struct {
	info   soap.Node
	form   soap.C14N
	canon  string // another algorithm, or ""
	method string
	value  []byte
	keys   []crypto.PublicKey
	refs   []coreReference
}

type coreReference struct {
	other     string // why it is not checked, or ""
	canonical []byte
	equal     bool
}

func (c core) canonicalInfo() []byte { return canonicalOf(c.info, c.form) }

func attrOf(n soap.Node, name string) string { s, _ := n.Attr("", name); return s }

// cores takes each ds:Signature of a document apart.
func cores(env *soap.Envelope) []core {
	var all []core
	var walk func(n soap.Node)
	walk = func(n soap.Node) {
		if n.Is(soap.NSDS, "Signature") && !n.Child(soap.NSDS, "SignedInfo").IsZero() {
			all = append(all, coreOf(env, n))
		}
		for c := n.First(); !c.IsZero(); c = c.Next() {
			walk(c)
		}
	}
	walk(env.Root())
	return all
}

func coreOf(env *soap.Envelope, sig soap.Node) core {
	info := sig.Child(soap.NSDS, "SignedInfo")
	c := core{info: info, method: attrOf(info.Child(soap.NSDS, "SignatureMethod"), "Algorithm")}
	c.form, c.canon = excForm(info.Child(soap.NSDS, "CanonicalizationMethod"))
	text, _ := sig.Child(soap.NSDS, "SignatureValue").Text()
	c.value, _ = base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	var find func(n soap.Node)
	find = func(n soap.Node) {
		if n.Is(soap.NSDS, "X509Certificate") {
			text, _ := n.Text()
			der, _ := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
			c.keys = append(c.keys, keysOf(der)...)
		}
		if n.Is(soap.NSDS, "RSAKeyValue") {
			number := func(local string) *big.Int {
				text, _ := n.Child(soap.NSDS, local).Text()
				b, _ := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
				return new(big.Int).SetBytes(b)
			}
			c.keys = append(c.keys, &rsa.PublicKey{N: number("Modulus"), E: int(number("Exponent").Int64())})
		}
		for d := n.First(); !d.IsZero(); d = d.Next() {
			find(d)
		}
	}
	find(env.Root())
	for r := info.First(); !r.IsZero(); r = r.Next() {
		if r.Is(soap.NSDS, "Reference") {
			c.refs = append(c.refs, coreReferenceOf(env, sig, r))
		}
	}
	return c
}

// excForm reads an exc-c14n method; other names any other algorithm.
func excForm(n soap.Node) (form soap.C14N, other string) {
	alg := attrOf(n, "Algorithm")
	if alg != algExcC14N && alg != algExcC14NComments {
		return form, alg[strings.LastIndexAny(alg, "/#")+1:]
	}
	form.Comments = alg == algExcC14NComments
	for _, p := range strings.Fields(attrOf(n.Child(soap.NSEC, "InclusiveNamespaces"), "PrefixList")) {
		if p == "#default" {
			p = ""
		}
		form.Prefixes = append(form.Prefixes, p)
	}
	return form, ""
}

func coreReferenceOf(env *soap.Envelope, sig, ref soap.Node) (r coreReference) {
	uri := attrOf(ref, "URI")
	id, keepsComments := strings.TrimPrefix(uri, "#"), false
	if strings.HasPrefix(uri, "#xpointer(id('") {
		id, keepsComments = strings.TrimSuffix(strings.TrimPrefix(uri, "#xpointer(id('"), "'))"), true
	}
	target := env.Root()
	switch {
	case uri == "#xpointer(/)":
		return coreReference{other: "xpointer(/)"}
	case uri != "" && uri[0] != '#':
		return coreReference{other: "external"}
	case uri != "":
		if target = byAnyID(env.Root(), id); target.IsZero() {
			return coreReference{other: "no target"}
		}
	}
	form, exc := soap.C14N{}, false
	for tr := ref.Child(soap.NSDS, "Transforms").First(); !tr.IsZero(); tr = tr.Next() {
		switch alg := attrOf(tr, "Algorithm"); {
		case alg == algEnveloped:
			form.Without = sig
		case exc:
			return coreReference{other: "two canonicalizations"}
		default:
			f, other := excForm(tr)
			if other != "" {
				return coreReference{other: other}
			}
			f.Without, f.Comments, exc = form.Without, f.Comments && keepsComments, true
			form = f
		}
	}
	alg := attrOf(ref.Child(soap.NSDS, "DigestMethod"), "Algorithm")
	hash := map[string]crypto.Hash{algSHA1: crypto.SHA1, algSHA256: crypto.SHA256, algSHA512: crypto.SHA512, "http://www.w3.org/2001/04/xmldsig-more#sha384": crypto.SHA384}[alg]
	if hash == 0 {
		return coreReference{other: alg}
	}
	want, _ := ref.Child(soap.NSDS, "DigestValue").Text()
	sum, _ := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(want), ""))
	r.canonical = canonicalOf(target, form)
	r.equal = bytes.Equal(digestOfBytes(hash, r.canonical), sum)
	if !exc && !r.equal { // C14N 1.0, whose form is often the same
		r.other = "C14N 1.0 by default"
	}
	return r
}

func byAnyID(n soap.Node, id string) soap.Node {
	found := false
	for name, value := range n.Attrs {
		switch name.Local {
		case "Id", "ID", "id", "AssertionID", "ResponseID", "RequestID":
			found = found || value == id
		}
	}
	if found {
		return n
	}
	for c := n.First(); !c.IsZero(); c = c.Next() {
		if f := byAnyID(c, id); !f.IsZero() {
			return f
		}
	}
	return soap.Node{}
}

// coreVerdict is "digests equal; signature good" when all is as its maker
// says; each digest and signature that is not, or is not checked, is named.
func coreVerdict(t *testing.T, b []byte) string {
	t.Helper()
	env, err := soap.ReadDocument(roc.NewContent(b), soap.DefaultLimits)
	if err != nil {
		return short(err)
	}
	defer env.Release()
	all := cores(env)
	if len(all) == 0 {
		return "no signature"
	}
	var digests, signatures []string
	for _, c := range all {
		for _, r := range c.refs {
			switch {
			case r.other != "":
				digests = append(digests, "not judged ("+r.other+")")
			case r.equal:
				digests = append(digests, "equal")
			default:
				digests = append(digests, "unequal")
			}
		}
		signatures = append(signatures, c.signature(t))
	}
	return "digests " + strings.Join(compact(digests), ", ") + "; signature " + strings.Join(compact(signatures), ", ")
}

func compact(list []string) []string {
	var out []string
	for _, s := range list {
		seen := false
		for _, o := range out {
			seen = seen || o == s
		}
		if !seen {
			out = append(out, s)
		}
	}
	if len(out) == 0 {
		return []string{"none"}
	}
	return out
}

func (c core) signature(t *testing.T) string {
	t.Helper()
	if c.canon != "" {
		return "not judged (" + c.canon + ")"
	}
	hashes := map[string]crypto.Hash{algRSASHA1: crypto.SHA1, algRSASHA256: crypto.SHA256, algRSASHA512: crypto.SHA512, algECDSASHA256: crypto.SHA256}
	hash := hashes[c.method]
	if hash == 0 {
		return "not judged (" + c.method[strings.LastIndexByte(c.method, '#')+1:] + ")"
	}
	sum := digestOfBytes(hash, c.canonicalInfo())
	for _, key := range append(c.keys, vectorKeys(t)...) {
		switch key := key.(type) {
		case *rsa.PublicKey:
			if rsa.VerifyPKCS1v15(key, hash, sum, c.value) == nil {
				return "good"
			}
		case *ecdsa.PublicKey:
			if n := len(c.value) / 2; key.Curve == elliptic.P256() && ecdsa.Verify(key, sum, new(big.Int).SetBytes(c.value[:n]), new(big.Int).SetBytes(c.value[n:])) {
				return "good"
			}
		}
	}
	return "bad, or its key is not known"
}

func vectorKeys(t *testing.T) (all []crypto.PublicKey) {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(*vectorsDir, "certs", "*", "*"))
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, keysOf(data)...)
	}
	return all
}

// keysOf reads a certificate or a public key, in DER or PEM.
func keysOf(data []byte) []crypto.PublicKey {
	if block, _ := pem.Decode(data); block != nil {
		data = block.Bytes
	}
	if c, err := x509.ParseCertificate(data); err == nil {
		return []crypto.PublicKey{c.PublicKey}
	}
	// crypto/x509 refuses the negative serial numbers of some test CAs.
	var cert struct {
		TBS struct {
			Version                                   int `asn1:"explicit,tag:0,optional"`
			Serial, Algorithm, Issuer, Valid, Subject asn1.RawValue
			Key                                       asn1.RawValue
			Rest                                      asn1.RawValue `asn1:"optional"`
			Rest2                                     asn1.RawValue `asn1:"optional"`
		}
		Algorithm, Signature asn1.RawValue
	}
	if _, err := asn1.Unmarshal(data, &cert); err == nil {
		data = cert.TBS.Key.FullBytes
	}
	if k, err := x509.ParsePKIXPublicKey(data); err == nil {
		return []crypto.PublicKey{k}
	}
	return nil
}

// ---- wss

// checkWSS gives the verdict of the profile, and that of a test environment
// which allows SHA-1.
func (v vector) checkWSS(t *testing.T) string {
	m := v.read(t)
	return profileVerdict(m, false) + "; with SHA-1 allowed: " + profileVerdict(m, true) + "; " + coreVerdict(t, m)
}

// profileVerdict trusts whatever certificate the message carries, and reads it
// when it was made: what is checked is all the rest.
func profileVerdict(m []byte, sha1 bool) string {
	env, err := soap.Read(roc.NewContent(m), soap.DefaultLimits)
	if err != nil {
		return short(err)
	}
	at := time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC)
	if ts := findLocal(env.Header(), "Timestamp"); !ts.IsZero() {
		if read, err := readTimestamp(ts); err == nil {
			at = read.created
		}
	}
	var roots []*x509.Certificate
	for b := range strings.SplitSeq(string(m), ">") {
		text, _, _ := strings.Cut(b, "<")
		if der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), "")); err == nil && len(der) > 200 {
			if c, err := x509.ParseCertificate(der); err == nil {
				roots = append(roots, c)
			}
		}
	}
	trust := NewTrust(trust.NewTrust(roots, nil).Signature(nil))
	_, err = NewVerifier(Options{Trust: func() *Trust { return trust }, AllowSHA1: sha1}).Check(env, Policy{}, Expect{}, at)
	if err != nil {
		return err.Error()
	}
	return "accepted"
}
