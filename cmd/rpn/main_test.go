package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/piano-roc/rpn/nation"
)

// rpn runs one command line.
func rpn(t *testing.T, stdin string, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), args, streams{strings.NewReader(stdin), &o, &e})
	return code, o.String(), e.String()
}

func TestDemoOnceEndsWellAndLeavesNothing(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	code, out, errs := rpn(t, "", "demo", "--once")
	if code != 0 || errs != "" {
		t.Fatalf("exit %d\n%s\n%s", code, out, errs)
	}
	if got, want := strings.Count(out, " V1 ")+strings.Count(out, " V2 "), len(nation.Day()); got != want {
		t.Errorf("%d rows for %d scenes\n%s", got, want, out)
	}
	for _, want := range []string{"CHU de Sainte-Fiction", "RPN101", "RPN110", "RPN212", "RPN215", "RPN303", "TLS connexion refusée", "sa connexion a été fermée", "nouvelle connexion : le nouveau certificat", "every one as expected"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in the table\n%s", want, out)
		}
	}
	if strings.Contains(out, "\x1b") {
		t.Error("colours on what is no terminal")
	}
	if entries, _ := os.ReadDir(tmp); len(entries) > 0 {
		t.Errorf("left: %v", entries)
	}
}

// A terminal is what the demo writes to while it runs.
type terminal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (p *terminal) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.Write(b)
}

func (p *terminal) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.String()
}

// until waits for a text; the end of the command ends the wait.
func (p *terminal) until(t *testing.T, text string, done <-chan int) string {
	t.Helper()
	for {
		if s := p.String(); strings.Contains(s, text) {
			return s
		}
		select {
		case code := <-done:
			t.Fatalf("it ended with %d before it said %q:\n%s", code, text, p.String())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// began runs a command that lasts; end ends it and checks that it ends well.
func began(t *testing.T, args ...string) (*terminal, <-chan int, func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out, done := &terminal{}, make(chan int, 1)
	go func() { done <- run(ctx, args, streams{strings.NewReader(""), out, out}) }()
	return out, done, func() {
		cancel()
		if code := <-done; code != 0 {
			t.Errorf("%v: exit %d\n%s", args, code, out)
		}
	}
}

// command returns the words of the printed command that begins so, without
// the program.
func command(t *testing.T, printed, begins string) []string {
	t.Helper()
	_, after, ok := strings.Cut(strings.ReplaceAll(printed, "\\\n", " "), "\n  "+begins+" ")
	if !ok {
		t.Fatalf("no command %q in\n%s", begins, printed)
	}
	line, _, _ := strings.Cut(after, "\n")
	return strings.Fields(line)
}

// The commands that the demo prints work as they are printed, during the demo
// and later.
func TestTheCommandsThatTheDemoPrintsWork(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "nation")
	out, done, end := began(t, "demo", "--dir", dir)
	text := out.until(t, "Light traffic goes on", done)

	send := append([]string{"send"}, command(t, text, program()+" send")...)
	code, answer, errs := rpn(t, "", send...)
	if code != 0 || !strings.Contains(answer, "RPN-Origine: amc") || !strings.Contains(answer, "<CodeCR>00</CodeCR>") {
		t.Errorf("exit %d\n%s\n%s", code, answer, errs)
	}

	metrics := command(t, text, "curl -s")[0]
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(metrics)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || !strings.Contains(string(body), "\nrpn_exchanges_total{") {
		t.Errorf("%s: %v\n%.300s", metrics, err, body)
	}

	log, err := os.ReadFile(command(t, text, "tail -n 3")[0])
	if err != nil || !strings.Contains(string(log), `"msg":"exchange"`) {
		t.Errorf("the log: %v\n%.300s", err, log)
	}
	end()

	around, aroundDone, endAround := began(t, append([]string{"demo"}, command(t, text, program()+" demo")...)...)
	around.until(t, "in another terminal", aroundDone)
	serve, serveDone, endServe := began(t, append([]string{"serve"}, command(t, text, program()+" serve")...)...)
	serve.until(t, `"msg":"listening"`, serveDone)
	later := append([]string(nil), send...)
	for i, w := range later {
		if w == "--url" { // should the first day's port have been taken since
			config, err := os.ReadFile(filepath.Join(dir, "rpn.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			_, port, _ := strings.Cut(string(config), "listen: 127.0.0.1:")
			port, _, _ = strings.Cut(port, "\n")
			later[i+1] = "https://localhost:" + port + "/roc"
		}
	}
	if code, answer, errs := rpn(t, "", later...); code != 0 {
		t.Errorf("later: exit %d\n%s\n%s", code, answer, errs)
	}
	endServe()
	endAround()
}

func TestSendSignsSendsAndTellsFaults(t *testing.T) {
	t.Parallel()
	n, err := nation.New(t.Context(), nation.Options{Dir: t.TempDir()})
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
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "x"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		want []string // on standard error, or output when code is 0
	}{
		{[]string{"serv"}, 2, []string{`unknown command "serv"`, "serve"}},
		{[]string{"serve"}, 2, []string{`"config"`}},
		{[]string{"serve", "--conf", "x"}, 2, []string{"--conf"}},
		{[]string{"serve", "--config", dir + "/absent.yaml"}, 2, []string{"absent.yaml does not exist", "--config"}},
		{[]string{"serve", "--config", faulty}, 2, []string{"rpn.yaml:1:14: environment", "rpn.yaml:3:1: polices: unknown field (did you mean \"policies\"?)"}},
		{[]string{"check", "--config", faulty}, 2, []string{"environment: prod", "^", "did you mean \"policies\"?"}},
		{[]string{"send", "x.xml"}, 2, []string{"--url", "--cert", "--key", "--sign-cert", "--sign-key"}},
		{[]string{"send", "--sign-only", "--as-is", "x.xml"}, 2, []string{"exclude each other"}},
		{[]string{"send", "--as-is", "--url", "http://localhost/roc", "--cert", "a", "--key", "b", "x.xml"}, 2, []string{"https://"}},
		{[]string{"send", "--sign-only", "--sign-cert", "absent.pem", "--sign-key", "absent.key", faulty}, 2, []string{"is not a message that can be signed"}},
		{[]string{"send", "--as-is", "--url", "https://localhost:1/roc", "--cert", "absent.pem", "--key", "absent.key", faulty}, 2, []string{"--cert", "absent.pem"}},
		{[]string{"demo", "--without-rpn"}, 2, []string{"--dir"}},
		{[]string{"demo", "--once", "--dir", other}, 2, []string{"not empty"}},
		{[]string{"version"}, 0, []string{"rpn ", "go1."}},
		{[]string{"completion", "bash"}, 0, []string{"__start_rpn"}},
		{[]string{"--help"}, 0, []string{"serve", "check", "demo", "send"}},
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
	for _, page := range []string{"rpn.1", "rpn-serve.1", "rpn-check.1", "rpn-demo.1", "rpn-send.1"} {
		text, err := os.ReadFile(filepath.Join(dir, page))
		if err != nil || !bytes.Contains(text, []byte(".TH")) {
			t.Errorf("%s: %v", page, err)
		}
	}
}
