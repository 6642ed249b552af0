package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

var programs = regexp.MustCompile(`/usr/bin/(rpn|mutuelle)\b`)

// The units are what systemd understands, every word of them. The programs of a
// package that is not installed are replaced by one that is there.
func TestTheUnitsAreWhatSystemdUnderstands(t *testing.T) {
	t.Parallel()
	units, err := filepath.Glob("../deploy/systemd/*.*")
	if err != nil || len(units) < 3 {
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
		if err := os.WriteFile(copied, []byte(programs.ReplaceAllString(string(b), "/bin/true")), 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, copied)
	}
	out, err := exec.Command("systemd-analyze", args...).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze (test/deps.sh installs it): %v\n%s", err, out)
	}
}

// The services are confined: what systemd still counts as exposed is the network,
// which is what they are for.
func TestTheServicesAreConfined(t *testing.T) {
	t.Parallel()
	units, err := filepath.Glob("../deploy/systemd/*.service")
	if err != nil || len(units) == 0 {
		t.Fatalf("%v, %v", units, err)
	}
	for _, unit := range units {
		out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--threshold=20", unit).CombinedOutput()
		if err != nil {
			t.Errorf("%s is exposed by more than 2.0: %v\n%s", unit, err, out)
		}
	}
}
