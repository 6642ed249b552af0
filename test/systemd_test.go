package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The units are what systemd understands, every word of them. The programs of a
// package that is not installed are replaced by one that is there.
func TestTheUnitsAreWhatSystemdUnderstands(t *testing.T) {
	t.Parallel()
	units, err := filepath.Glob("../deploy/systemd/rpn.*")
	if err != nil || len(units) < 2 {
		t.Fatalf("%v, %v", units, err)
	}
	dir := t.TempDir()
	args := []string{"verify", "--man=no"}
	for _, unit := range units {
		b, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		copied := filepath.Join(dir, filepath.Base(unit))
		if err := os.WriteFile(copied, []byte(strings.ReplaceAll(string(b), "/usr/bin/rpn", "/bin/true")), 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, copied)
	}
	out, err := exec.Command("systemd-analyze", args...).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze (test/deps.sh installs it): %v\n%s", err, out)
	}
}
