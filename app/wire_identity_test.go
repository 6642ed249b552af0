package app_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/app"
	"github.com/piano-roc/rpn/app/config"
	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/nation"
)

// A nation whose RPN has a PKCS#12 toward establishments, ECDSA and RSA side
// by side toward insurers, and rules on its stores: messages pass, and both
// are renewed by a reload.
func TestCertificatesOfEveryKindServe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	n, _ := start(t, nation.Options{Dir: dir, WithoutRPN: true})
	text, err := os.ReadFile(n.ConfigFile())
	if err != nil {
		t.Fatal(err)
	}
	put := func(name, text string) string {
		file := filepath.Join(dir, "rpn", name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	secret := put("passphrase", "phrase fictive\n")
	p12 := func(pair igc.Pair) {
		cert, key, err := pair.Write(filepath.Join(dir, "rpn"), "p12")
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("openssl", "pkcs12", "-export", "-legacy", "-in", cert, "-inkey", key, "-out", filepath.Join(dir, "rpn", "serveur.p12"), "-passout", "file:"+secret).CombinedOutput()
		if err != nil {
			t.Fatalf("openssl pkcs12: %v\n%s", err, out)
		}
	}
	server := func(label string) igc.Pair {
		return n.PKI.Server(igc.EtablissementTLS, "localhost", igc.Names("127.0.0.1", "::1"), igc.Key(label), igc.ECDSA())
	}
	p12(server("first"))
	if _, _, err := n.PKI.Auth(igc.RPN, "RPN FICTIF", igc.RSA(2048)).Write(filepath.Join(dir, "rpn"), "second"); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		switch {
		case strings.HasPrefix(line, "listen:"), strings.HasPrefix(line, "admin:"):
			lines[i] = line[:strings.Index(line, ":")] + ": 127.0.0.1:0"
		case strings.HasPrefix(line, "server:"):
			lines[i] = "server: {pkcs12: rpn/serveur.p12, passphrase_file: rpn/passphrase}"
		case strings.HasPrefix(line, "client:"):
			lines[i] = strings.TrimSuffix(line, "}") + ", second: {certificate: rpn/second.pem, key: rpn/second.key}}"
		case strings.HasPrefix(line, "trust:"):
			lines[i] += "\n  rules: {etablissements_tls: {policies: [\"1.2.250.1.213.1.7.2.1.1.1.1\"], depth: 2}, etablissements_signature: {policies: [\"1.2.250.1.213.1.7.2.1.1.1.1\"]}}"
		}
	}
	file := filepath.Join(dir, "kinds.yaml")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	o := app.Options{Config: c, Log: slog.New(slog.DiscardHandler)}
	summary, err := checked(t, o)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(summary, "client certificate") != 2 || !strings.Contains(summary, "ECDSA") || strings.Contains(summary, "phrase fictive") {
		t.Errorf("%s", summary)
	}
	a, err := app.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	n.RunsAt(a.Addr().String(), a.AdminAddr().String())
	t.Cleanup(func() {
		if err := a.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	wantAnswer(t, idb(t, n, "chu"))
	p12(server("renewed"))
	if status, body := reload(t, n, ""); status != http.StatusOK || !strings.Contains(body, "server: now") {
		t.Errorf("%d %s", status, body)
	}
	wantAnswer(t, idb(t, n, "chu"))
}

// With storage: redis, a Redis that is away does not keep the RPN from
// starting: it waits, without a certificate.
func TestACMEInARedisThatIsAwayIsWaitedFor(t *testing.T) {
	t.Parallel()
	n, err := nation.New(nation.Options{Dir: t.TempDir(), WithoutRPN: true, Etablissements: nation.Establishments()[:1]})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	text, err := os.ReadFile(n.ConfigFile())
	if err != nil {
		t.Fatal(err)
	}
	yaml := strings.Replace(string(text), "server: {certificate: rpn/serveur.pem, key: rpn/serveur.key}",
		`server: {acme: {directory: "https://127.0.0.1:1/dir", names: [rpn.example], agree_terms: true, storage: redis, http: "127.0.0.1:1"}}`+
			"\nredis: {urls: [\"redis://127.0.0.1:1\"]}", 1)
	yaml = regexp.MustCompile(`(?m)^(listen|admin): .*`).ReplaceAllString(yaml, "$1: 127.0.0.1:0")
	file := filepath.Join(n.Dir, "acme.yaml")
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	a, err := app.New(app.Options{Config: c, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	if err := a.Stop(context.Background()); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "the storage cannot be read") {
		t.Errorf("it is not told:\n%s", log.String())
	}
	if _, err := os.Stat(filepath.Join(n.Dir, "redis")); err == nil {
		t.Error("redis was taken for a folder")
	}
}
