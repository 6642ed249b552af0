package durable_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/durable"
)

// nobody is the user that owns nothing.
const nobody = 65534

func TestAModeSaysWhoMayRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "server.key")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	mode := func(folder, of os.FileMode) {
		for path, m := range map[string]os.FileMode{filepath.Dir(dir): 0o755, dir: folder, file: of} {
			if err := os.Chmod(path, m); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		folder, file os.FileMode
		reads        bool
		writes       bool // in the folder
	}{
		{0o755, 0o600, false, false},
		{0o755, 0o604, true, false},
		{0o700, 0o604, false, false},
		{0o757, 0o640, false, true},
	} {
		mode(c.folder, c.file)
		if got := durable.MayRead(file, nobody); got != c.reads {
			t.Errorf("%o in %o: reads %t", c.file, c.folder, got)
		}
		if got := durable.MayWrite(dir, nobody); got != c.writes {
			t.Errorf("%o: writes %t", c.folder, got)
		}
	}
	who := durable.UserName(os.Getuid())
	text := durable.Forbidden(file)
	for _, want := range []string{file + " may not be read by " + who, "it is of " + who + ":", "mode 0640", "chown " + who + " " + file, "chmod g+r " + file} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in %q", want, text)
		}
	}
}
