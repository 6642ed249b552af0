package message_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/message/messagetest"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
)

func TestDocument(t *testing.T) {
	t.Parallel()
	const endpoint = `https://rpn.example/roc?a=1&b="x"`
	d := message.NewDescriptions()
	for query, holds := range map[string]string{
		"wsdl":              `location="https://rpn.example/roc?a=1&amp;b=&quot;x&quot;"`,
		"WSDL":              `targetNamespace="urn:roc:wsdl:1"`,
		"wsdl=v2":           `name="RocIdbV2Soap12"`,
		"WSDL=V2&soap=1.1":  `name="RocIdbV2Soap11"`,
		"xsd=commun.xsd":    `targetNamespace="urn:roc:commun:1"`,
		"xsd=idb-1.0.0.xsd": `schemaLocation="commun.xsd"`,
		"xsd=annuaire.xsd":  `targetNamespace="https://ws.annuaireamc.fr/"`,
	} {
		body, contentType, ok := d.Find(query, endpoint)
		if !ok || contentType != "text/xml; charset=utf-8" || !strings.Contains(string(body), holds) {
			t.Errorf("?%s: %v %s", query, ok, contentType)
		}
	}
	for _, query := range []string{"", "x", "wsdl=1", "wsdl=v3", "wsdl=v1&soap=1.2", "wsdl=v1&soap=1.1&x", "soap=1.1", "xsd", "xsd=", "xsd=rpn-roc.wsdl.tmpl", "xsd=../wsdl.go", "xsd=commun.xsd&x=1", "xsd=%zz"} {
		if _, _, ok := d.Find(query, endpoint); ok {
			t.Errorf("?%s is answered", query)
		}
	}
}

// Reading the description costs its bytes: nothing is made again for each reader.
func TestADescriptionIsMadeOnce(t *testing.T) {
	t.Parallel()
	d := message.NewDescriptions()
	for _, query := range []string{"wsdl", "xsd=commun.xsd"} {
		first, _, _ := d.Find(query, "https://rpn.example/roc")
		again, _, ok := d.Find(query, "https://rpn.example/roc")
		if !ok || &first[0] != &again[0] {
			t.Errorf("?%s: %v, made a second time", query, ok)
		}
	}
	for _, form := range message.WSDLForms() {
		at := func(endpoint string) string { b, _, _ := d.Find(form.Query(), endpoint); return string(b) }
		if at("https://a.example/roc") != string(message.WSDL(form, "https://a.example/roc")) || at("https://b.example:8443/roc") != string(message.WSDL(form, "https://b.example:8443/roc")) {
			t.Errorf("?%s: two addresses, and not their two documents", form.Query())
		}
	}
}

func TestEverySchemaIsServed(t *testing.T) {
	t.Parallel()
	d := message.NewDescriptions()
	wsdl := string(message.WSDL(message.WSDLForm{}, "https://rpn.example/roc"))
	for _, op := range message.Operations() {
		if !strings.Contains(wsdl, `soapAction="`+op.Action+`"`) || !strings.Contains(wsdl, `targetNamespace="`+op.Request.Space+`"`) {
			t.Errorf("%s %s is not in the WSDL", op.Service, op.Version)
		}
	}
	if strings.Contains(wsdl, "schemaLocation") {
		t.Error("the WSDL asks for another document")
	}
	files, err := filepath.Glob("wsdl/*.xsd")
	if err != nil || len(files) == 0 {
		t.Fatal("no schema", err)
	}
	for _, f := range files {
		if _, _, ok := d.Find("xsd="+filepath.Base(f), ""); !ok {
			t.Errorf("%s is not served", f)
		}
	}
}

// A WSDL of a version holds nothing of the other, one of SOAP 1.1 nothing of
// SOAP 1.2; in the one of both no two operations have the same name.
func TestEachFormOfTheWSDLHoldsWhatItSays(t *testing.T) {
	t.Parallel()
	for _, form := range message.WSDLForms() {
		text := string(message.WSDL(form, "https://rpn.example/roc"))
		other := map[roc.Version][]string{roc.V1: {":2.0.0", "RocIdbV2", "interrogerV"}, roc.V2: {":1.0.0", "RocIdbV1", "interrogerV"}}[form.Version]
		if form.SOAP11 {
			other = append(other, "soap12", "Soap12")
		}
		for _, word := range other {
			if strings.Contains(text, word) {
				t.Errorf("?%s holds %q", form.Query(), word)
			}
		}
		operations, want := map[string]bool{}, 0
		for _, op := range message.Operations() {
			if op.Service == roc.Annuaire || form.Version == roc.NoVersion || form.Version == op.Version {
				want++
				if !strings.Contains(text, `targetNamespace="`+op.Request.Space+`"`) || !strings.Contains(text, `soapAction="`+op.Action+`"`) {
					t.Errorf("?%s: %s %s is missing", form.Query(), op.Service, op.Version)
				}
			}
		}
		for _, m := range regexp.MustCompile(`<wsdl:operation name="(\w+)">\s*<wsdl:documentation>`).FindAllStringSubmatch(text, -1) {
			operations[m[1]] = true
		}
		if len(operations) != want {
			t.Errorf("?%s: the operations are %v, not %d", form.Query(), operations, want)
		}
	}
}

// What is generated from the schemas explains itself, and no choice makes an
// "object Item" of it.
func TestEverythingNamedInTheSchemasIsDocumented(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("wsdl/*.xsd")
	if err != nil || len(files) == 0 {
		t.Fatal("no schema", err)
	}
	named := regexp.MustCompile(`<xs:(?:element|attribute|simpleType|complexType) name="(\w+)"[^>]*>\s*(<xs:annotation><xs:documentation xml:lang="fr">[^<]{5,}</xs:documentation>)?`)
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range named.FindAllStringSubmatch(string(b), -1) {
			if m[2] == "" {
				t.Errorf("%s: %s has no documentation in French", file, m[1])
			}
		}
		if strings.Contains(string(b), "xs:choice") {
			t.Errorf("%s has a choice", file)
		}
	}
}

func TestSamplesFollowTheSchemas(t *testing.T) {
	t.Parallel()
	d := message.SampleDemande(time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC), "010003812", "0077565712")
	for _, op := range message.Operations() {
		messagetest.Valid(t, message.SampleRequest(op, d, soap.SOAP12))
	}
}

// wsdlServer serves the documents, and refuses the calls.
func wsdlServer(t *testing.T) (url string) {
	d := message.NewDescriptions()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, contentType, ok := d.Find(r.URL.RawQuery, "http://"+r.Host+"/roc")
		if r.Method != http.MethodGet || !ok {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", contentType)
		w.Write(body)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/roc?wsdl"
}

func TestZeepBuildsEveryCall(t *testing.T) {
	t.Parallel()
	const python = "/usr/bin/python3" // Debian's, which sees python3-zeep
	if _, err := os.Stat("/usr/lib/python3/dist-packages/zeep"); err != nil {
		t.Fatal("zeep is missing: run test/deps.sh")
	}
	out := t.TempDir()
	cmd := exec.Command(python, "-B", "testdata/clients/zeep_calls.py", wsdlServer(t), "testdata/clients/data.json", out)
	b, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("zeep: %v\n%s", err, b)
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	for _, op := range message.Operations() {
		n := 0
		for _, l := range lines {
			if strings.HasSuffix(l, " "+op.Action) {
				n++
			}
		}
		if n != 2 {
			t.Errorf("%s %s: %d calls with its action, not one of each SOAP version", op.Service, op.Version, n)
		}
	}
	checkCalls(t, out)
}

func TestNodeSoapBuildsEveryCall(t *testing.T) {
	t.Parallel()
	modules, err := filepath.Abs("../../test/clients/node/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(modules, "soap")); err != nil {
		t.Fatal("node-soap is missing: run test/deps.sh")
	}
	out := t.TempDir()
	cmd := exec.Command("node", "testdata/clients/node_calls.js", wsdlServer(t), "testdata/clients/data.json", out)
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.Contains(strings.ToLower(e), "_proxy=") }), "NODE_PATH="+modules)
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("node: %v\n%s", err, b)
	}
	checkCalls(t, out)
	checkFlatCalls(t, filepath.Join(out, "flat"))
}

// checkFlatCalls checks what a client sends that calls an operation of the WSDL
// without its service: each file is named after the version that was meant.
func checkFlatCalls(t *testing.T, dir string) {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(dir, "*.xml"))
	if len(files) != 8+4+4 {
		t.Errorf("%d flat calls", len(files))
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		env, err := soap.Read(roc.NewContent(b), soap.DefaultLimits)
		if err != nil {
			t.Fatalf("%s: %v", filepath.Base(f), err)
		}
		op, ok := message.OperationOf(env.Operation())
		if want := op.Version.String() + "-"; !ok || !strings.HasPrefix(filepath.Base(f), want) {
			t.Errorf("%s leaves as %v", filepath.Base(f), env.Operation())
		}
	}
}

// checkCalls checks that there is a valid request of every operation, in both
// versions of SOAP.
func checkCalls(t *testing.T, dir string) {
	t.Helper()
	seen := map[roc.Service]int{}
	files, _ := filepath.Glob(filepath.Join(dir, "*.xml"))
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		m := roc.NewContent(b)
		messagetest.Valid(t, m)
		env, err := soap.Read(m, soap.DefaultLimits)
		if err != nil {
			t.Fatalf("%s: %v", filepath.Base(f), err)
		}
		op, ok := message.OperationOf(env.Operation())
		port := filepath.Base(f)
		want := "Roc" + op.Service.String()[:1] + strings.ToLower(op.Service.String()[1:]) + op.Version.String()
		if op.Service == roc.Annuaire {
			want = "Annuaire"
		}
		want += "Soap" + strings.Replace(env.Version().String(), ".", "", 1) + ".xml"
		if !ok || port != want {
			t.Errorf("port %s calls %s", port, want)
		}
		seen[op.Service]++
	}
	for _, s := range roc.Services {
		want := 4
		if s == roc.Annuaire {
			want = 2
		}
		if seen[s] != want {
			t.Errorf("%s: %d calls, not %d", s, seen[s], want)
		}
	}
}
