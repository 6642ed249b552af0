package test

import (
	"os/exec"
	"strings"
	"testing"
)

// What an editor or a patch left behind is in no commit.
func TestNothingIsLeftBehind(t *testing.T) {
	t.Parallel()
	list, err := exec.Command("git", "-C", "..", "ls-files", "*.orig", "*.rej", "*~", "*.bak", "*.swp").Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	for _, file := range strings.Fields(string(list)) {
		t.Errorf("%s: git rm it", file)
	}
}
