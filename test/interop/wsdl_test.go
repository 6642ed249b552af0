//go:build interop

package interop

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/message/messagetest"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/internal/xmlsig"
	"github.com/piano-roc/rpn/test/nation"
)

// A stack makes a program of a WSDL of one version and nothing else, which
// calls every operation of it. make returns how to run it.
type stack struct {
	name string
	soap string // what is added to the query, "&soap=1.1" for what cannot read SOAP 1.2
	make func(t *testing.T, at call) (command []string, err error)
}

// A call is what a stack is given.
type call struct{ wsdl, address, version, samples, dir string }

const java = "/usr/share/java/"

func jars(names string) string {
	var all []string
	for name := range strings.FieldsSeq(names) {
		all = append(all, java+name+".jar")
	}
	return strings.Join(all, ":")
}

var (
	jaxws = jars("jaxws-tools jaxws-rt jaxws-api jaxb-api jaxb-xjc jaxb-runtime jaxb-core jaxb-impl saaj saaj-impl codemodel istack-commons-runtime istack-commons-tools " +
		"stax-ex streambuffer xsom rngom dtd-parser relaxngDatatype txw2 mimepull metro-policy gmbal jws-api javax.activation codemodel-annotation-compiler")
	axis = jars("axis axis-jaxrpc axis-saaj commons-logging commons-discovery wsdl4j javax.activation javax.mail")
)

// javac compiles what was generated in dir, and one of our programs.
func javac(dir, classes, program string) error {
	generated, err := exec.Command("find", dir, "-name", "*.java").Output()
	if err != nil {
		return err
	}
	args := append([]string{"-encoding", "UTF-8", "-nowarn", "-d", dir, "-cp", classes, "wsdl/Fill.java", "wsdl/" + program + ".java"}, strings.Fields(string(generated))...)
	return run("javac", args...)
}

func jvm(classes, dir, program string, args ...string) []string {
	return append([]string{"java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", dir + ":" + classes, program}, args...)
}

var stacks = []stack{
	{"zeep", "", func(_ *testing.T, c call) ([]string, error) {
		return []string{"/usr/bin/python3", "-B", "wsdl/calls.py", "zeep", c.wsdl, c.version, c.samples}, nil
	}},
	{"suds", "", func(_ *testing.T, c call) ([]string, error) {
		return []string{"/usr/bin/python3", "-B", "wsdl/calls.py", "suds", c.wsdl, c.version, c.samples}, nil
	}},
	{"node-soap", "", func(t *testing.T, c call) ([]string, error) {
		modules, err := filepath.Abs("../clients/node/node_modules")
		return []string{"env", "NODE_PATH=" + modules, "node", "--no-deprecation", "wsdl/calls.js", c.wsdl, c.version, c.samples}, err
	}},
	{"php", "", func(_ *testing.T, c call) ([]string, error) {
		return []string{"php", "wsdl/calls.php", c.wsdl, c.version, c.samples}, nil
	}},
	{"wsimport", "", func(_ *testing.T, c call) ([]string, error) {
		err := run("java", "-cp", jaxws, "com.sun.tools.ws.WsImport", "-quiet", "-Xnocompile", "-s", c.dir, c.wsdl)
		if err == nil {
			err = javac(c.dir, jaxws, "Jaxws")
		}
		return jvm(jaxws, c.dir, "Jaxws", c.version, c.samples), err
	}},
	{"xjc", "", func(_ *testing.T, c call) ([]string, error) {
		err := run("java", "-cp", jaxws, "com.sun.tools.xjc.XJCFacade", "-quiet", "-d", c.dir, "-wsdl", c.wsdl)
		if err == nil {
			err = javac(c.dir, jaxws, "Xjc")
		}
		return jvm(jaxws, c.dir, "Xjc", c.address, c.version, c.samples), err
	}},
	{"axis", "&soap=1.1", func(_ *testing.T, c call) ([]string, error) {
		err := run("java", "-cp", axis, "org.apache.axis.wsdl.WSDL2Java", "-o", c.dir, c.wsdl)
		if err == nil {
			err = javac(c.dir, axis, "Axis")
		}
		return jvm(axis, c.dir, "Axis", c.version, c.samples), err
	}},
	{"wsdl.exe", "&soap=1.1", func(_ *testing.T, c call) ([]string, error) {
		source, program := filepath.Join(c.dir, "Generated.cs"), filepath.Join(c.dir, "Calls.exe")
		err := run("wsdl", "-out:"+source, c.wsdl)
		if err == nil {
			err = run("mcs", "-warn:0", "-out:"+program, "-r:System.Web.Services.dll", "-r:System.Xml.dll", "-r:System.Core.dll", source, "wsdl/Calls.cs")
		}
		return []string{"mono", program, c.address, c.version, c.samples}, err
	}},
}

// A relay stands between a stack and the RPN: it gives the WSDL of the RPN with
// its own address in it, and signs what comes, so that what is tried is the WSDL
// alone. How each client signs is tried by the other test.
type relay struct {
	t    *testing.T
	n    *nation.Nation
	e    *nation.Etablissement
	http *http.Client
	url  string

	mu   sync.Mutex
	seen map[string]map[message.Operation]int // by stack
}

func newRelay(t *testing.T, n *nation.Nation, e *nation.Etablissement) *relay {
	r := &relay{t: t, n: n, e: e, http: e.Client(), seen: map[string]map[message.Operation]int{}}
	s := httptest.NewServer(r)
	t.Cleanup(s.Close)
	r.url = s.URL
	return r
}

func (r *relay) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if err := r.pass(w, req); err != nil {
		r.t.Errorf("%s %s: %v", req.Method, req.URL, err)
		http.Error(w, err.Error(), http.StatusBadGateway)
	}
}

func (r *relay) pass(w http.ResponseWriter, req *http.Request) error {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return err
	}
	var op message.Operation
	if req.Method == http.MethodPost {
		m := roc.NewContent(body)
		env, err := soap.Read(m, soap.DefaultLimits)
		if err != nil {
			return err
		}
		op, _ = message.OperationOf(env.Operation())
		if p := messagetest.Problems(r.t, m); p != "" {
			return fmt.Errorf("not valid by the schemas: %s", p)
		}
		if op.Service != roc.Annuaire {
			key := r.e.Signature
			if m, err = xmlsig.Sign(m, xmlsig.Key{Certificate: key.Cert, Chain: key.Chain, Signer: key.Key}, xmlsig.SignOptions{At: time.Now()}); err != nil {
				return err
			}
		}
		body = m.Bytes()
	}
	on, err := http.NewRequestWithContext(req.Context(), req.Method, r.n.URL()+"?"+req.URL.RawQuery, bytes.NewReader(body))
	if err != nil {
		return err
	}
	for _, name := range []string{"Content-Type", "SOAPAction"} {
		if v := req.Header.Get(name); v != "" {
			on.Header.Set(name, v)
		}
	}
	resp, err := r.http.Do(on)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if req.Method == http.MethodPost && resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: HTTP %d %s", op.Service, op.Version, resp.StatusCode, answer)
	}
	stack := strings.TrimPrefix(req.URL.Path, "/")
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen[stack] == nil {
		r.seen[stack] = map[message.Operation]int{}
	}
	r.seen[stack][op]++
	w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
	w.Write(bytes.ReplaceAll(answer, []byte(`location="`+r.n.URL()+`"`), []byte(`location="`+r.url+"/"+stack+`"`)))
	return nil
}

// Each stack builds from the WSDL of a version alone, and calls every operation.
func TestEveryStackCallsEveryOperationFromTheWSDLAlone(t *testing.T) {
	n := nation.New(t, nation.Binary)
	e := n.Etablissement()
	r, samples := newRelay(t, n, e), t.TempDir()
	d := message.SampleDemande(time.Now().UTC().Truncate(time.Second), e.EJ, bleue)
	for _, op := range message.Operations() {
		writeSample(t, samples, op, message.SampleRequest(op, d, soap.SOAP11))
	}
	for _, s := range stacks {
		for _, version := range []roc.Version{roc.V1, roc.V2} {
			t.Run(s.name+"/"+version.String(), func(t *testing.T) {
				t.Parallel()
				path := s.name + "-" + version.String()
				c := call{wsdl: r.url + "/" + path + "?wsdl=" + strings.ToLower(version.String()) + s.soap, address: r.url + "/" + path, version: version.String(), samples: samples, dir: t.TempDir()}
				command, err := s.make(t, c)
				if err == nil {
					err = run(command[0], command[1:]...)
				}
				if err != nil {
					t.Fatal(err)
				}
				r.mu.Lock()
				defer r.mu.Unlock()
				for _, op := range message.Operations() {
					if want := op.Service == roc.Annuaire || op.Version == version; want != (r.seen[path][op] > 0) {
						t.Errorf("%s %s: %d calls", op.Service, op.Version, r.seen[path][op])
					}
				}
			})
		}
	}
}

// writeSample keeps the sample of a service as XML, and as JSON: the operation
// and its parameters.
func writeSample(t *testing.T, dir string, op message.Operation, m roc.Content) {
	t.Helper()
	name := "Annuaire"
	if op.Service != roc.Annuaire {
		code := op.Service.String()
		name = "Roc" + code[:1] + strings.ToLower(code[1:]) + op.Version.String()
	}
	var envelope struct {
		Body struct {
			Request element `xml:",any"`
		}
	}
	if err := xml.Unmarshal(m.Bytes(), &envelope); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(map[string]any{"operation": op.Request.Local, "parameters": envelope.Body.Request})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".json"), b, 0o600)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".xml"), m.Bytes(), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// An element is any element, with its children or its text.
type element struct {
	XMLName  xml.Name
	Text     string    `xml:",chardata"`
	Children []element `xml:",any"`
}

// MarshalJSON writes what a dynamic language takes for it, in the order of the
// message: an object, a text, a list where a name stands twice.
func (e element) MarshalJSON() ([]byte, error) {
	if len(e.Children) == 0 {
		return json.Marshal(e.Text)
	}
	var names []string
	groups := map[string][]element{}
	for _, c := range e.Children {
		if name := c.XMLName.Local; groups[name] == nil {
			names = append(names, name)
		}
		groups[c.XMLName.Local] = append(groups[c.XMLName.Local], c)
	}
	var b bytes.Buffer
	for i, name := range names {
		var v any = groups[name]
		if len(groups[name]) == 1 {
			v = groups[name][0]
		}
		text, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "%s%q:%s", map[bool]string{true: "{", false: ","}[i == 0], name, text)
	}
	return append(b.Bytes(), '}'), nil
}
