package scenarios

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
)

// withoutScenario are the reasons that no scenario can meet today, and why. A
// reason leaves the list with the scenario that plays it.
var withoutScenario = map[roc.Reason]string{
	roc.Internal: "only a mistake of the program raises it: proxy/handler_test.go makes one",
}

// Each refusal of profile section 7 has a scenario that wants it, or is in the
// list above; not both.
func TestEveryReasonHasAScenario(t *testing.T) {
	t.Parallel()
	played := played(t)
	for name, reason := range reasons(t) {
		why, excused := withoutScenario[reason]
		switch {
		case played[name] && excused:
			t.Errorf("%s has a scenario: take it off the list that says %q", reason, why)
		case !played[name] && !excused:
			t.Errorf("%s %s has no scenario", reason.Meaning().Code, reason)
		}
	}
}

// played are the names of the reasons that scenarios want: WantRefused(roc.X).
func played(t *testing.T) map[string]bool {
	t.Helper()
	files, err := filepath.Glob("*_test.go")
	if err != nil || len(files) < 50 {
		t.Fatalf("%d scenarios: %v", len(files), err)
	}
	names := map[string]bool{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\.WantRefused\(roc\.(\w+)\)`).FindAllSubmatch(b, -1) {
			names[string(m[1])] = true
		}
	}
	return names
}

// reasons are the closed list, by the name of the constant.
func reasons(t *testing.T) map[string]roc.Reason {
	t.Helper()
	b, err := os.ReadFile("../../internal/roc/refusal.go")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]roc.Reason{}
	for _, m := range regexp.MustCompile(`(?m)^\t(\w+) +Reason = "([a-z-]+)"`).FindAllSubmatch(b, -1) {
		names[string(m[1])] = roc.Reason(m[2])
	}
	if len(names) != len(roc.Reasons()) {
		t.Fatalf("%d constants for %d reasons", len(names), len(roc.Reasons()))
	}
	return names
}

// The name of the file is the sentence that the test is named after.
func TestEachFileIsNamedAfterItsSentence(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if f == "main_test.go" || f == "kit_test.go" || f == "reasons_test.go" {
			continue
		}
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		sentence := strings.ReplaceAll(strings.TrimSuffix(f, "_test.go"), "_", "")
		test := regexp.MustCompile(`(?m)^func Test(\w+)\(`).FindSubmatch(b)
		if test == nil || strings.ToLower(string(test[1])) != sentence {
			t.Errorf("%s: its first test is not named after it", f)
		}
	}
}
