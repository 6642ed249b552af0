package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/igc"
)

// What docs/operating/certificates.md has an operator do, word for word.
func TestDenySignsChecksAndCounts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	for _, args := range [][]string{
		{"genpkey", "-algorithm", "ed25519", "-out", in("deny.key")},
		{"pkey", "-in", in("deny.key"), "-pubout", "-out", in("signer.pem")},
	} {
		if out, err := exec.Command("openssl", args...).CombinedOutput(); err != nil {
			t.Fatalf("openssl %v: %v\n%s", args, err, out)
		}
	}
	rpn := func(stdin string, args ...string) (string, int) {
		var out bytes.Buffer
		code := run(t.Context(), args, streams{strings.NewReader(stdin), &out, &out})
		return out.String(), code
	}
	pair := igc.New(igc.Options{ECDSA: true}).Auth("1010000008", "CH FICTIF")
	cert, _, err := pair.Write(dir, "ch")
	if err != nil {
		t.Fatal(err)
	}
	line, code := rpn("", "deny", "line", cert)
	if code != 0 || !strings.HasPrefix(line, "certificate ") {
		t.Fatalf("%d %s", code, line)
	}
	for sequence, lines := range []string{"structure 1010000008 # incident\n" + line, "serial 3A4F"} {
		out, code := rpn(lines, "deny", "sign", "--key", in("deny.key"), "--out", in("deny.list"), "-")
		if want := []string{"sequence 1", "sequence 2"}[sequence]; code != 0 || !strings.Contains(out, want) {
			t.Fatalf("%d %s, want %s", code, out, want)
		}
		out, code = rpn("", "deny", "check", "--signer", in("signer.pem"), in("deny.list"))
		if want := []string{"2 entries\nstructure 1010000008\ncertificate ", "1 entries\nserial 3a4f\n"}[sequence]; code != 0 || !strings.Contains(out, want) {
			t.Errorf("%d %s", code, out)
		}
	}
	text, err := os.ReadFile(in("deny.list"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(in("deny.list"), bytes.Replace(text, []byte("3A4F"), []byte("3A5F"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, code := rpn("", "deny", "check", "--signer", in("signer.pem"), in("deny.list")); code != exitFailed || !strings.Contains(out, "signature is not of a configured signer") {
		t.Errorf("a changed list: %d %s", code, out)
	}
	for name, c := range map[string]struct {
		stdin string
		args  []string
		want  string
	}{
		"a line that is not one":   {"hopital", []string{"--out", in("new.list"), "-"}, "line 4: is not understood"},
		"over something else":      {"serial 1", []string{"--out", cert, "-"}, "is not a deny list"},
		"lines that are not there": {"", []string{"--out", in("new.list"), in("absent")}, "no such file"},
	} {
		if out, code := rpn(c.stdin, append([]string{"deny", "sign", "--key", in("deny.key")}, c.args...)...); code != exitUsage || !strings.Contains(out, c.want) {
			t.Errorf("%s: %d %s", name, code, out)
		}
	}
}
