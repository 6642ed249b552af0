// Package messagetest checks messages against the schemas of the profile, for
// the tests of every package that writes one.
package messagetest

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/roc"
)

//go:embed profile.xsd soap11.xsd soap12.xsd
var envelopes embed.FS

// Problems validates a whole message, envelope, body and fault detail, with
// xmllint, and returns what is wrong with it, "" when nothing is. A missing
// xmllint fails the test. What it returns may quote the message: it is for
// fictitious messages only.
func Problems(t testing.TB, m roc.Content) string {
	t.Helper()
	lint, err := exec.LookPath("xmllint")
	if err != nil {
		t.Fatal("xmllint is missing: apt-get install libxml2-utils")
	}
	dir := t.TempDir()
	copyAll(t, dir, message.Schemas())
	copyAll(t, dir, envelopes)
	cmd := exec.Command(lint, "--nonet", "--noout", "--schema", filepath.Join(dir, "profile.xsd"), "-")
	cmd.Stdin = strings.NewReader(string(m.Bytes()))
	out, err := cmd.CombinedOutput()
	if err == nil {
		return ""
	}
	return strings.TrimSpace(string(out)) + " (" + err.Error() + ")"
}

// Valid fails the test when the message does not follow the profile.
func Valid(t testing.TB, m roc.Content) {
	t.Helper()
	if p := Problems(t, m); p != "" {
		t.Errorf("the message does not follow the schemas of the profile:\n%s", p)
	}
}

// Which says for each message whether it follows the schemas of the profile, in
// one run of xmllint.
func Which(t testing.TB, messages []roc.Content) []bool {
	t.Helper()
	dir := t.TempDir()
	copyAll(t, dir, message.Schemas())
	copyAll(t, dir, envelopes)
	args := []string{"--nonet", "--noout", "--schema", "profile.xsd"}
	for i, m := range messages {
		name := fmt.Sprintf("%d.xml", i)
		if err := os.WriteFile(filepath.Join(dir, name), m.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, name)
	}
	cmd := exec.Command("xmllint", args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatalf("xmllint is missing: apt-get install libxml2-utils (%v)", err)
	}
	valid := make([]bool, len(messages))
	checked := 0
	for line := range strings.Lines(string(out)) {
		name, verdict, _ := strings.Cut(strings.TrimSpace(line), " ")
		if verdict != "validates" && verdict != "fails to validate" {
			continue
		}
		i, err := strconv.Atoi(strings.TrimSuffix(name, ".xml"))
		if err != nil {
			t.Fatalf("xmllint names %q", name)
		}
		valid[i] = verdict == "validates"
		checked++
	}
	if checked != len(messages) {
		t.Fatalf("xmllint checked %d of %d messages: %.500s", checked, len(messages), out)
	}
	return valid
}

func copyAll(t testing.TB, dir string, files fs.FS) {
	t.Helper()
	names, err := fs.Glob(files, "*.xsd")
	if err != nil || len(names) == 0 {
		t.Fatalf("no schema to copy: %v", err)
	}
	for _, name := range names {
		b, err := fs.ReadFile(files, name)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
