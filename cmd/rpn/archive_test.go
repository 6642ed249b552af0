package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// The commands of docs/operating/journal.md make an archive that verifies; with
// the checkpoint of the open segment, it would look altered.
func TestTheArchiveOfThePageVerifies(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "operating", "journal.md"))
	if err != nil {
		t.Fatal(err)
	}
	var commands []string
	for line := range strings.Lines(string(page)) {
		if line = strings.TrimSpace(line); len(commands) > 0 && strings.HasPrefix(line, "rpn journal verify") {
			break
		} else if len(commands) > 0 || strings.HasPrefix(line, "mkdir /archives/") {
			commands = append(commands, line)
		}
	}
	at := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	var list []*roc.Record
	for i := range 1000 {
		x := &roc.Record{ID: roc.NewExchangeID(at), MessageID: fmt.Sprint(i), Version: roc.V2, From: "1010003812", RequestIn: at, AnswerOut: at.Add(time.Second), Outcome: roc.Refused, Reason: roc.NotSOAP}
		list = append(list, x)
	}
	dir, key := sealedJournal(t, list...)
	if err := os.WriteFile(filepath.Join(dir, "key.pub"), nil, 0o600); err != nil { // its owner keeps it there
		t.Fatal(err)
	}
	archive := filepath.Join(t.TempDir(), "archive")
	script := strings.NewReplacer("/archives/2026-S48", archive, "/var/lib/rpn/journal", dir).Replace(strings.Join(commands, "\n"))
	if out, err := exec.Command("sh", "-euc", script).CombinedOutput(); err != nil || len(commands) < 4 {
		t.Fatalf("%s\n%s, %v", script, out, err)
	}
	if code, out, stderr := runRPN(t, "journal", "verify", "--dir", archive, "--key", key); code != 0 {
		t.Errorf("the archive: exit %d\n%s%s", code, out, stderr)
	}
	checkpoint, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(archive, "checkpoint"), checkpoint, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, _ := runRPN(t, "journal", "verify", "--dir", archive, "--key", key); code != 1 {
		t.Errorf("with the checkpoint of now: exit %d\n%s", code, out)
	}
}
