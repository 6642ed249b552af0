package roc

import (
	"regexp"
	"slices"
	"testing"
)

// Each cause is of one reason and has a name that software can act on; each
// reason has causes.
func TestCausesAreWellFormed(t *testing.T) {
	t.Parallel()
	name := regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	seen, of := map[CauseCode]bool{}, map[Reason]int{}
	for _, c := range Causes() {
		if seen[c] || !name.MatchString(string(c)) {
			t.Errorf("%q: twice, or no name", c)
		}
		seen[c] = true
		m := c.Meaning()
		if m.Reason != "" && !slices.Contains(Reasons(), m.Reason) {
			t.Errorf("%s: of %q, which is no reason", c, m.Reason)
		}
		of[m.Reason]++
	}
	for _, r := range Reasons() {
		if of[r] == 0 {
			t.Errorf("%s has no cause", r)
		}
	}
}
