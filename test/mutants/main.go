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
	lived, played := 0, 0
	for _, m := range list {
		if !strings.HasPrefix(m.file, only) {
			continue
		}
		played++
		if err := m.healthy(); err != nil {
			fmt.Fprintf(os.Stderr, "mutants: %s: %v\n", m.file, err)
			os.Exit(2)
		}
		how, err := m.play()
		if err != nil {
			fmt.Fprintf(os.Stderr, "mutants: %s: %v\n", m.file, err)
			os.Exit(2)
		}
		if how == "LIVES" {
			lived++
		}
		fmt.Printf("%-6s  %s: %s -> %s\n", how, m.file, flat(m.old), flat(m.new))
	}
	if played == 0 {
		fmt.Fprintf(os.Stderr, "mutants: no file of the list begins with %q\n", only)
		os.Exit(2)
	}
	fmt.Printf("%d mutants, %d live\n", played, lived)
	if lived > 0 {
		os.Exit(1)
	}
}

func flat(s string) string { return strings.Join(strings.Fields(s), " ") }

// sound are the tests that were run on the tree as it is, and passed.
var sound = map[[2]string]bool{}

// healthy runs the tests of a mutant on the tree as it is: one that fails there,
// or that is not there, would pass for one that noticed.
func (m mutant) healthy() error {
	pkg := "./" + filepath.Dir(m.file)
	if sound[[2]string{pkg, m.run}] {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, "go", "test", "-run", m.run, pkg).CombinedOutput()
	if err == nil && bytes.Contains(out, []byte("[no tests to run]")) {
		err = errors.New("there are none")
	}
	if err != nil {
		return fmt.Errorf("the tests %q of %s fail without a mutant: %w\n%s", m.run, pkg, err, out)
	}
	sound[[2]string{pkg, m.run}] = true
	return nil
}

// play runs the tests of one mutant: "killed" or "LIVES".
func (m mutant) play() (string, error) {
	b, err := os.ReadFile(m.file)
	if err != nil {
		return "", err
	}
	if n := bytes.Count(b, []byte(m.old)); n != 1 {
		return "", fmt.Errorf("%q stands there %d times, want once", m.old, n)
	}
	dir, err := os.MkdirTemp("", "mutant")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	broken, overlay := filepath.Join(dir, filepath.Base(m.file)), filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(broken, bytes.Replace(b, []byte(m.old), []byte(m.new), 1), 0o600); err != nil {
		return "", err
	}
	real, err := filepath.Abs(m.file)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(map[string]map[string]string{"Replace": {real: broken}})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(overlay, text, 0o600); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	pkg := "./" + filepath.Dir(m.file)
	// One that does not compile would pass for one that was noticed.
	if out, err := exec.CommandContext(ctx, "go", "test", "-overlay", overlay, "-run", "^$", pkg).CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s -> %s does not compile: %s", flat(m.old), flat(m.new), out)
	}
	if exec.CommandContext(ctx, "go", "test", "-overlay", overlay, "-run", m.run, pkg).Run() != nil {
		return "killed", nil
	}
	return "LIVES", nil
}
