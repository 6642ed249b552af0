package xmlsig

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/piano-roc/rpn/internal/soap"
)

// An oracle is libxml2 and xmlsec in one long-lived process.
type oracle struct {
	in  io.Writer
	out *bufio.Reader
}

type oracleQuestion struct {
	Op       string   `json:"op"`
	Doc      []byte   `json:"doc"`
	Path     string   `json:"path"`
	Prefixes []string `json:"prefixes"`
	Comments bool     `json:"comments"`
	Cert     []byte   `json:"cert"`
}

type oracleAnswer struct {
	OK     bool   `json:"ok"`
	Parsed bool   `json:"parsed"`
	Bytes  []byte `json:"bytes"`
}

func startOracle(t testing.TB) *oracle {
	t.Helper()
	// The distribution's own Python: the xmlsec module is built for its libxml2.
	cmd := exec.Command("/usr/bin/python3", filepath.Join("testdata", "oracle.py"))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("the oracle does not start: %v; run `make deps` (python3-xmlsec, python3-lxml)", err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the oracle ended badly: %v; run `make deps` (python3-xmlsec, python3-lxml)", err)
		}
	})
	return &oracle{in, bufio.NewReaderSize(out, 1<<20)}
}

func (o *oracle) ask(t testing.TB, q oracleQuestion) oracleAnswer {
	t.Helper()
	line, err := json.Marshal(q)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.in.Write(append(line, '\n')); err != nil {
		t.Fatal(err)
	}
	answer, err := o.out.ReadBytes('\n')
	if err != nil {
		t.Fatalf("the oracle does not answer: %v", err)
	}
	var a oracleAnswer
	if err := json.Unmarshal(answer, &a); err != nil {
		t.Fatal(err)
	}
	return a
}

// canonical asks libxml2 for the canonical form of the first element at an
// XPath, "" for the whole document.
func (o *oracle) canonical(t testing.TB, doc []byte, path string, form soap.C14N) []byte {
	t.Helper()
	a := o.ask(t, oracleQuestion{Op: "c14n", Doc: doc, Path: path, Prefixes: form.Prefixes, Comments: form.Comments})
	if !a.OK {
		t.Fatalf("libxml2 does not canonicalize %s of\n%s", path, doc)
	}
	return a.Bytes
}

// verifies asks xmlsec whether the signature of the Security header holds
// under the key of that certificate.
func (o *oracle) verifies(t testing.TB, doc, cert []byte) bool {
	t.Helper()
	return o.ask(t, oracleQuestion{Op: "verify", Doc: doc, Cert: cert}).OK
}

// cannotCanonicalize says whether libxml2 reads a document and then fails to
// canonicalize it: its reader of URIs refuses some that RFC 3986 allows.
func (o *oracle) cannotCanonicalize(t testing.TB, doc []byte) bool {
	t.Helper()
	a := o.ask(t, oracleQuestion{Op: "c14n", Doc: doc})
	return a.Parsed && !a.OK
}
