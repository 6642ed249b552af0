package trust_test

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/piano-roc/rpn/tlsconf/trust"
)

// Reasons misses none of the constants: each labels a metric from the start.
func TestReasonsListsThemAll(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("failure.go")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^\t[A-Z]\w+ +Reason = "(.+?)"`).FindAllSubmatch(source, -1)
	if len(found) < 20 || len(found) != len(trust.Reasons()) {
		t.Errorf("%d constants, and %d are listed", len(found), len(trust.Reasons()))
	}
	for _, m := range found {
		if !slices.Contains(trust.Reasons(), trust.Reason(m[1])) {
			t.Errorf("%s is not listed", m[1])
		}
	}
}
