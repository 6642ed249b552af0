package durable

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Lines are appended, a line that a crash has cut stays as it is, and what is
// too old goes by whole files, the oldest first.
func TestLinesAreAppendedAndTurnedOver(t *testing.T) {
	t.Parallel()
	l := Lines{File: filepath.Join(t.TempDir(), "acts"), Bytes: 30, Keep: 2, Mode: 0o640}
	if err := os.WriteFile(l.File, []byte("one\ncut shor"), 0o600); err != nil {
		t.Fatal(err)
	}
	all := func() string {
		var s strings.Builder
		for _, name := range l.Files() {
			b, err := os.ReadFile(name)
			if err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			s.Write(b)
		}
		return s.String()
	}
	if err := l.Append([]byte("two")); err != nil {
		t.Fatal(err)
	}
	if got := all(); got != "one\ncut shor\ntwo\n" {
		t.Fatalf("%q", got)
	}
	for i := range 20 {
		if err := l.Append(fmt.Appendf(nil, "line %04d", i)); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(filepath.Dir(l.File))
	if err != nil || len(entries) > 3 {
		t.Errorf("%d files, %v", len(entries), err)
	}
	got := all()
	if !strings.HasSuffix(got, "line 0018\nline 0019\n") || len(got) < 60 || len(got) > 3*40 || strings.Contains(got, "one") {
		t.Errorf("kept: %q", got)
	}
	if info, err := os.Stat(l.name(1)); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("a new file: %v, %v", info, err)
	}
	if err := (Lines{File: filepath.Join(t.TempDir(), "no", "acts"), Bytes: 1, Keep: 1}).Append(nil); err == nil {
		t.Error("a folder that is not there: no error")
	}
}
