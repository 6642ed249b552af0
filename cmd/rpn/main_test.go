package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/nation"
)

// rpn runs one command line.
func rpn(t *testing.T, stdin string, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), args, streams{strings.NewReader(stdin), &o, &e})
	return code, o.String(), e.String()
}

func TestSendSignsSendsAndTellsFaults(t *testing.T) {
	t.Parallel()
	n, err := nation.New(nation.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	chu, clinique := n.Files("chu"), n.Files("clinique")
	message, err := os.ReadFile(n.MessageFile())
	if err != nil {
		t.Fatal(err)
	}
	tls := []string{"send", "--url", n.URL(), "--ca", n.AuthorityFile(), "--cert", chu.Cert, "--key", chu.Key}

	code, signed, errs := rpn(t, string(message), "send", "--sign-only", "--sign-cert", chu.SignCert, "--sign-key", chu.SignKey, "-")
	if code != 0 || !strings.Contains(signed, "SignatureValue") {
		t.Fatalf("--sign-only: exit %d %s", code, errs)
	}
	code, out, errs := rpn(t, signed, append(tls, "--as-is", "--body-only", "-")...)
	if code != 0 || !strings.HasPrefix(out, "<?xml") || !strings.Contains(out, "<CodeCR>00</CodeCR>") {
		t.Errorf("--as-is: exit %d %s %s", code, out, errs)
	}
	code, out, _ = rpn(t, strings.Replace(signed, "<nom>FICTIF", "<nom>AUTRE", 1), append(tls, "--as-is", "-")...)
	if code != 1 || !strings.Contains(out, "HTTP 500") || !strings.Contains(out, `code="RPN212"`) {
		t.Errorf("an altered message: exit %d\n%s", code, out)
	}
	code, out, _ = rpn(t, "", append(tls, "--sign-cert", clinique.SignCert, "--sign-key", clinique.SignKey, n.MessageFile())...)
	if code != 1 || !strings.Contains(out, `code="RPN216"`) {
		t.Errorf("signed by another structure: exit %d\n%s", code, out)
	}
	ailleurs := n.Files("ailleurs")
	code, _, errs = rpn(t, signed, "send", "--url", n.URL(), "--ca", n.AuthorityFile(), "--cert", ailleurs.Cert, "--key", ailleurs.Key, "--as-is", "-")
	if code != 1 || !strings.Contains(errs, "nothing came back") {
		t.Errorf("a certificate of another authority: exit %d %s", code, errs)
	}
}

func TestExitCodesAndWhatIsSaid(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		f := filepath.Join(dir, name)
		if err := os.WriteFile(f, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return f
	}
	faulty := write("rpn.yaml", "environment: prod\nlisten: 127.0.0.1:8443\npolices: {}\n")
	for _, c := range []struct {
		args []string
		code int
		want []string // on standard error, or output when code is 0
	}{
		{[]string{"serv"}, 2, []string{`unknown command "serv"`, "serve"}},
		{[]string{"check", faulty, "-c", faulty}, 2, []string{"name one configuration"}},
		{[]string{"check", dir + "/absent.yaml"}, 2, []string{"absent.yaml does not exist"}},
		{[]string{"serve"}, 2, []string{"/etc/rpn/rpn.yaml does not exist"}},
		{[]string{"serve", "--conf", "x"}, 2, []string{"--conf"}},
		{[]string{"serve", "--config", dir + "/absent.yaml"}, 2, []string{"absent.yaml does not exist", "--config"}},
		{[]string{"serve", "--config", faulty}, 2, []string{"rpn.yaml:1:14: environment", "rpn.yaml:3:1: polices: unknown field (did you mean \"policies\"?)"}},
		{[]string{"check", faulty}, 1, []string{"environment: prod", "^", "did you mean \"policies\"?"}},
		{[]string{"send", "x.xml"}, 2, []string{"--url", "--cert", "--key", "--sign-cert", "--sign-key"}},
		{[]string{"send", "--sign-only", "--as-is", "x.xml"}, 2, []string{"exclude each other"}},
		{[]string{"send", "--as-is", "--url", "http://localhost/roc", "--cert", "a", "--key", "b", "x.xml"}, 2, []string{"https://"}},
		{[]string{"send", "--sign-only", "--sign-cert", "absent.pem", "--sign-key", "absent.key", faulty}, 2, []string{"is not a message that can be signed"}},
		{[]string{"send", "--as-is", "--url", "https://localhost:1/roc", "--cert", "absent.pem", "--key", "absent.key", faulty}, 2, []string{"--cert", "absent.pem"}},
		{[]string{"version"}, 0, []string{"rpn ", "go1."}},
		{[]string{"completion", "bash"}, 0, []string{"__start_rpn"}},
		{[]string{"--help"}, 0, []string{"serve", "check", "send"}},
	} {
		code, out, errs := rpn(t, "", c.args...)
		text := errs
		if c.code == 0 {
			text = out
		}
		if code != c.code {
			t.Errorf("%v: exit %d, want %d\n%s%s", c.args, code, c.code, out, errs)
		}
		for _, w := range c.want {
			if !strings.Contains(text, w) {
				t.Errorf("%v: %q is not in\n%s", c.args, w, text)
			}
		}
	}
}

// serve says each fault on one line, for a log; nothing goes to standard
// output, which is the log's.
func TestServeSaysEachFaultOnOneLine(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "rpn.yaml")
	if err := os.WriteFile(file, []byte("environment: prod\nlisten: nowhere\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	code, out, errs := rpn(t, "", "serve", "--config", file)
	if code != 2 || out != "" {
		t.Errorf("exit %d, output %q", code, out)
	}
	for line := range strings.Lines(errs) {
		if !strings.HasPrefix(line, "rpn: "+file+":") {
			t.Errorf("not a fault on its line: %q", line)
		}
	}
}

func TestManPagesOfEveryCommand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if code, _, errs := rpn(t, "", "man", dir); code != 0 {
		t.Fatal(errs)
	}
	for _, page := range []string{"rpn.1", "rpn-serve.1", "rpn-check.1", "rpn-send.1"} {
		text, err := os.ReadFile(filepath.Join(dir, page))
		if err != nil || !bytes.Contains(text, []byte(".TH")) {
			t.Errorf("%s: %v", page, err)
		}
	}
}
