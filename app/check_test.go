package app_test

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/app"
	"github.com/piano-roc/rpn/app/config"
	"github.com/piano-roc/rpn/nation"
)

var update = flag.Bool("update", false, "write the golden files")

// tree is every file under a folder: its mode, its time and its content.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		what := fmt.Sprint(info.Mode(), " ", info.ModTime().UnixNano())
		if info.Mode().IsRegular() {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			what += fmt.Sprintf(" %x", sha256.Sum256(data))
		}
		files[path] = what
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// A check of a machine where the RPN never ran makes nothing there, nor does one
// of a machine where it ran change anything.
func TestACheckChangesNoFile(t *testing.T) {
	n, _ := start(t, nation.Options{WithoutRPN: true})
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	c, err := config.Read(n.ConfigFile())
	if err != nil {
		t.Fatal(err)
	}
	before := tree(t, n.Dir)
	r := app.Check(t.Context(), app.Options{Config: c}, false)
	if err := r.Err(); err != nil {
		t.Error(err)
	}
	for _, w := range r.Warnings {
		if !strings.HasPrefix(w.Error(), "register: ") { // its numbers are fictitious
			t.Errorf("warning about the demo: %v", w)
		}
	}
	// The revocation lists are fetched from the demo's own server, and not kept.
	if err := app.Check(t.Context(), app.Options{Config: c}, true).Err(); err != nil {
		t.Error(err)
	}
	after := tree(t, n.Dir)
	for f, was := range before {
		if after[f] != was {
			t.Errorf("%s: %q, was %q", f, after[f], was)
		}
		delete(after, f)
	}
	if len(after) > 0 {
		t.Errorf("made: %v", after)
	}
	if rest := tree(t, tmp); len(rest) > 1 {
		t.Errorf("left in the temporary folder: %v", rest)
	}
}

// One run shows every fault: of the configuration, of both lists, of the
// certificates, of the trust stores, of the revocation, of the secrets.
func TestOneCheckShowsEveryFault(t *testing.T) {
	t.Parallel()
	n, _ := start(t, nation.Options{WithoutRPN: true})
	in := func(name string) string { return filepath.Join(n.Dir, name) }
	write := func(name, text string, mode os.FileMode) {
		if err := os.WriteFile(in(name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(in(name), mode); err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) string {
		text, err := os.ReadFile(in(name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	es := read("etablissements.yaml")
	write("etablissements.yaml", strings.Replace(es, "etat: cercle", "etat: cerlce", 1), 0o600)
	amcs := read("amc.yaml")
	write("amc.yaml", strings.Replace(amcs, "numeros:", "numero:", 1), 0o600)
	authority := read(authorityOf(t, read("rpn.yaml"), "etablissements_tls"))
	write("rpn/ca.pem", authority, 0o600)
	write("rpn/partout.key", read("rpn/client.key"), 0o644)
	write("broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", 0o600)
	write("secrets.txt", "court\n", 0o600)
	write("deny-signer.pem", "no key", 0o600)
	write("page.crl", "<html>", 0o600)
	write("tickets", "short", 0o600)
	write("faulty.yaml", `environment: tset
listen: 127.0.0.1:8443
admin: 0.0.0.0:9464
endpoint: http://rpn.example/roc
server: {certificate: rpn/ca.pem, key: rpn/serveur.key}
client: {certificate: rpn/client.pem, key: rpn/partout.key}
trust:
  etablissements_tls: broken.pem
  etablissements_signature: rpn/client.pem
  amc_tls: absent.pem
  amc_signature: `+authorityOf(t, read("rpn.yaml"), "amc_signature")+`
annuaire: {url: "https://annuaire.example/roc", signer: "300000000000018", timeout: 30s}
etablissements: etablissements.yaml
amc: amc.yaml
secrets: secrets.txt
tickets: tickets
timeouts: {exchange: 20s, stop: 5s}
revocation: {deny: deny.list, deny_signers: [deny-signer.pem], lists: [page.crl], follow: false}
polices: {}
`, 0o600)
	c, err := config.Examine(in("faulty.yaml"))
	if err == nil || c == nil {
		t.Fatalf("got %v, %v", c, err)
	}
	r := app.Check(t.Context(), app.Options{Config: c}, false)
	var b strings.Builder
	for _, fault := range append([]error{err}, r.Faults...) {
		fmt.Fprintln(&b, fault)
	}
	for _, w := range r.Warnings {
		fmt.Fprintln(&b, "warning:", w)
	}
	got := strings.ReplaceAll(b.String(), n.Dir, "DIR")
	got = regexp.MustCompile(`20\d\d-\d\d-\d\d \d\d:\d\d UTC`).ReplaceAllString(got, "DATE")
	const golden = "testdata/every-fault.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// authorityOf is the file of a trust store in a configuration.
func authorityOf(t *testing.T, text, store string) string {
	t.Helper()
	m := regexp.MustCompile(store + `: ([^\s,}]+)`).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no %s in\n%s", store, text)
	}
	return m[1]
}
