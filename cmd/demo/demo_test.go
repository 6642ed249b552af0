package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/test/binary"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if err := binary.Remove(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// demonstrate runs one command line.
func demonstrate(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), args, &o, &e)
	return code, o.String(), e.String()
}

func TestDemoOnceEndsWellAndLeavesNothing(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	code, out, errs := demonstrate(t, "--once")
	if code != 0 || errs != "" {
		t.Fatalf("exit %d\n%s\n%s", code, out, errs)
	}
	if got, want := strings.Count(out, " V1 ")+strings.Count(out, " V2 "), len(nation.Day()); got != want {
		t.Errorf("%d rows for %d scenes\n%s", got, want, out)
	}
	for _, want := range []string{"CHU de Sainte-Fiction", "RPN101", "RPN110", "RPN212", "RPN215", "RPN303", "TLS connexion refusée", "sa connexion a été fermée", "nouvelle connexion : le nouveau certificat", "RPN404", "refusé sans l'appeler", "pendant ce temps les autres", "every one as expected"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in the table\n%s", want, out)
		}
	}
	for _, want := range []string{"panne of Mutuelle Ambre (IDB)", "retour of Mutuelle Ambre (IDB)", "exchanges to play again", "with the public key alone", "activite_", "anomalies_", "temps_", "nothing was changed, added or taken away"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not at its end\n%s", want, out)
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
	await.Until(t, "it says "+text, func() bool {
		select {
		case code := <-done:
			t.Fatalf("it ended with %d before it said %q:\n%s", code, text, p.String())
		default:
		}
		return strings.Contains(p.String(), text)
	})
	return p.String()
}

// began runs the demo; end ends it and checks that it ends well.
func began(t *testing.T, args ...string) (*terminal, <-chan int, func()) {
	t.Helper()
	return lasting(t, args, func(ctx context.Context, out io.Writer) int { return run(ctx, args, out, out) })
}

// served runs `rpn serve`, likewise.
func served(t *testing.T, args ...string) (*terminal, <-chan int, func()) {
	t.Helper()
	file := built(t)
	return lasting(t, args, func(ctx context.Context, out io.Writer) int {
		cmd := exec.CommandContext(ctx, file, append([]string{"serve"}, args...)...)
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
		cmd.Stdout, cmd.Stderr = out, out
		cmd.Run()
		return cmd.ProcessState.ExitCode()
	})
}

func lasting(t *testing.T, args []string, play func(context.Context, io.Writer) int) (*terminal, <-chan int, func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out, done := &terminal{}, make(chan int, 1)
	go func() { done <- play(ctx, out) }()
	return out, done, func() {
		cancel()
		if code := <-done; code != 0 {
			t.Errorf("%v: exit %d\n%s", args, code, out)
		}
	}
}

// built is the built rpn.
func built(t *testing.T) string {
	t.Helper()
	file, err := binary.Path("rpn")
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// sent runs `rpn send` to its end.
func sent(t *testing.T, args ...string) (good bool, out string) {
	t.Helper()
	b, err := exec.Command(built(t), append([]string{"send"}, args...)...).CombinedOutput()
	return err == nil, string(b)
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
	out, done, end := began(t, "--dir", dir)
	text := out.until(t, "Light traffic goes on", done)

	send := command(t, text, rpn()+" send")
	if good, answer := sent(t, send...); !good || !strings.Contains(answer, "RPN-Origine: amc") || !strings.Contains(answer, "<CodeCR>00</CodeCR>") {
		t.Error(answer)
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
	if b, err := exec.Command(built(t), append([]string{"top"}, command(t, text, rpn()+" top")...)...).CombinedOutput(); err != nil || !strings.Contains(string(b), "AU REPOS") || !strings.Contains(string(b), "Hôpital du Peuplier") {
		t.Errorf("rpn top: %v\n%s", err, b)
	}
	wantPages(t, text)
	end()

	around, aroundDone, endAround := began(t, command(t, text, self())...)
	around.until(t, "in another terminal", aroundDone)
	serve, serveDone, endServe := served(t, command(t, text, rpn()+" serve")...)
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
	if good, answer := sent(t, later...); !good {
		t.Errorf("later: %s", answer)
	}
	endServe()
	endAround()
}

// wantPages reads the console without a certificate, and the portal with each of
// those that are printed, as a browser that imported them.
func wantPages(t *testing.T, text string) {
	t.Helper()
	read := func(args ...string) string {
		b, err := exec.Command("curl", append([]string{"-skL", "-o", os.DevNull, "-w", "%{http_code} %{url_effective}"}, args...)...).CombinedOutput()
		if err != nil {
			return err.Error() + " " + string(b)
		}
		return string(b)
	}
	address := func(name string) string {
		_, after, _ := strings.Cut(text[strings.Index(text, "Look at it in a browser"):], "  "+name)
		line, _, _ := strings.Cut(after, "\n")
		return strings.TrimSpace(line)
	}
	for name, want := range map[string]string{"console, no certificate": "200 http://127.0.0.1:", "weather, no certificate": "200 https://localhost:"} {
		if got := read(address(name)); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s", name, got)
		}
	}
	portal := address("portal, with one of these")
	if got := read(portal); !strings.HasPrefix(got, "200 ") || !strings.HasSuffix(got, "/meteo") {
		t.Errorf("the portal without a certificate: %s", got)
	}
	for who, home := range map[string]string{"CHU de Sainte-Fiction": "etablissement/1990000011", "Mutuelle Ambre": "amc/0099000007", "exploitant, lecture": "national"} {
		if got := read("--cert-type", "P12", "--cert", address(who+" ")+":"+nation.BrowserPassword, portal); got != "200 "+portal+home {
			t.Errorf("the portal as %s: %s", who, got)
		}
	}
}

func TestTheCommandLineIsChecked(t *testing.T) {
	t.Parallel()
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "x"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--without-rpn"}, "--dir"},
		{[]string{"--once", "--dir", full}, "not empty"},
		{[]string{"--twice"}, "--twice"},
	} {
		if code, out, errs := demonstrate(t, c.args...); code != exitUsage || !strings.Contains(errs, c.want) {
			t.Errorf("%v: exit %d\n%s%s", c.args, code, out, errs)
		}
	}
}
