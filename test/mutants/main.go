// Command mutants breaks one line at a time, and runs the tests that must
// notice: a mutant that lives is a test that is missing. The tree is not
// touched: go test reads the broken file by -overlay. `make mutants` plays all
// of them, by name with `make mutants MUTANTS=annuaire`.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// A mutant is one line that says something else.
type mutant struct {
	file     string
	old, new string // old stands once in the file
	run      string // the tests that must fail, of the package of the file
}

// patience bounds the tests of one mutant: one that hangs is noticed too.
const patience = 5 * time.Minute

func main() {
	only := ""
	if len(os.Args) > 1 {
		only = os.Args[1]
	}
	dir, err := os.MkdirTemp("", "mutants")
	if err == nil {
		defer os.RemoveAll(dir)
		err = playAll(only, dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.RemoveAll(dir)
		os.Exit(1)
	}
}

// playAll plays the mutants of the files that begin with only. The error says
// what could not be played, or that some live.
func playAll(only, dir string) error {
	lived, played := 0, 0
	for _, m := range list {
		if !strings.HasPrefix(m.file, only) {
			continue
		}
		played++
		if err := m.healthy(dir); err != nil {
			return fmt.Errorf("%s: %w", m.file, err)
		}
		lives, err := m.play(dir)
		if err != nil {
			return fmt.Errorf("%s: %w", m.file, err)
		}
		how := "killed"
		if lives {
			how = "LIVES"
			lived++
		}
		fmt.Printf("%-6s  %s: %s -> %s\n", how, m.file, flat(m.old), flat(m.new))
	}
	if played == 0 {
		return fmt.Errorf("no file of the list begins with %q", only)
	}
	fmt.Printf("%d mutants, %d live\n", played, lived)
	if lived > 0 {
		return errors.New("a test is missing for each that lives")
	}
	return nil
}

func flat(s string) string { return strings.Join(strings.Fields(s), " ") }

// binaries are the tests of each package as it is, compiled; sound are those that
// were run there, and passed.
var (
	binaries = map[string]string{}
	sound    = map[[2]string]bool{}
)

// compile makes the tests of a package, with the files of the overlay.
func (m mutant) compile(dir string, args ...string) (string, error) {
	binary := filepath.Join(dir, "tests")
	args = append([]string{"test", "-c", "-vet=off", "-gcflags=-N -l", "-ldflags=-s -w", "-o", binary}, args...) // compiled fast, and run once
	if out, err := exec.Command("go", append(args, m.pkg())...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s -> %s does not compile: %s", flat(m.old), flat(m.new), out)
	}
	return binary, nil
}

func (m mutant) pkg() string { return "./" + filepath.Dir(m.file) }

// test runs the tests of a mutant, where go test would run them.
func (m mutant) test(binary string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	args := []string{"-test.run", m.run, "-test.failfast"}
	// rapid would keep what failed in testdata; its flag is there where it is.
	if exec.CommandContext(ctx, binary, "-rapid.nofailfile", "-test.list", "^$").Run() == nil {
		args = append(args, "-rapid.nofailfile")
	}
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Dir = filepath.Dir(m.file)
	return cmd.CombinedOutput()
}

// healthy runs the tests of a mutant on the tree as it is: one that fails there,
// or that is not there, would pass for one that noticed.
func (m mutant) healthy(dir string) error {
	if sound[[2]string{m.pkg(), m.run}] {
		return nil
	}
	if binaries[m.pkg()] == "" {
		own, err := os.MkdirTemp(dir, "sound")
		if err != nil {
			return err
		}
		if binaries[m.pkg()], err = m.compile(own); err != nil {
			return err
		}
	}
	out, err := m.test(binaries[m.pkg()])
	if err == nil && bytes.Contains(out, []byte("no tests to run")) {
		err = errors.New("there are none")
	}
	if err != nil {
		return fmt.Errorf("the tests %q of %s fail without a mutant: %w\n%s", m.run, m.pkg(), err, out)
	}
	sound[[2]string{m.pkg(), m.run}] = true
	return nil
}

// play runs the tests of one mutant, and reports whether none noticed.
func (m mutant) play(dir string) (lives bool, err error) {
	b, err := os.ReadFile(m.file)
	if err != nil {
		return false, err
	}
	if n := bytes.Count(b, []byte(m.old)); n != 1 {
		return false, fmt.Errorf("%q stands there %d times, want once", m.old, n)
	}
	broken, overlay := filepath.Join(dir, "broken.go"), filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(broken, bytes.Replace(b, []byte(m.old), []byte(m.new), 1), 0o600); err != nil {
		return false, err
	}
	real, err := filepath.Abs(m.file)
	if err != nil {
		return false, err
	}
	text, err := json.Marshal(map[string]map[string]string{"Replace": {real: broken}})
	if err != nil {
		return false, err
	}
	if err := os.WriteFile(overlay, text, 0o600); err != nil {
		return false, err
	}
	// One that does not compile would pass for one that was noticed.
	binary, err := m.compile(dir, "-overlay", overlay)
	if err != nil {
		return false, err
	}
	_, err = m.test(binary)
	return err == nil, nil
}
