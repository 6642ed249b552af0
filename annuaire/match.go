package annuaire

import (
	"errors"
	"fmt"

	"github.com/piano-roc/rpn/internal/roc"
)

// A Pattern is which messages a row of the annuaire is about. An empty field
// stands for any value, also for none; a field that is stated wants exactly
// that value, so a message without a convention is answered only by rows
// without one (profile section 4).
type Pattern struct {
	AMC        roc.NumeroAMC
	Convention roc.Convention
	CSR        CSRPattern
	Domaine    roc.Domaine
}

// A CSRPattern is a CSR in which '?' stands for exactly one character:
// "94???????". The empty pattern stands for every CSR.
type CSRPattern string

// ParseCSRPattern reads the CSR of a row: 0 to 15 digits, capital letters and
// '?'.
func ParseCSRPattern(s string) (CSRPattern, error) {
	if len(s) > 15 {
		return "", errors.New("a CSR has at most 15 characters")
	}
	for i := range len(s) {
		c := s[i]
		if c != '?' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') {
			return "", fmt.Errorf("a CSR is made of digits, capital letters and '?'; character %d is not", i+1)
		}
	}
	return CSRPattern(s), nil
}

// Matches reports whether the pattern stands for that CSR.
func (p CSRPattern) Matches(csr roc.CSR) bool {
	if p == "" {
		return true
	}
	if len(p) != len(csr) {
		return false
	}
	for i := range len(p) {
		if p[i] != '?' && p[i] != csr[i] {
			return false
		}
	}
	return true
}

// Matches reports whether a row of that pattern may answer the key.
func (p Pattern) Matches(k roc.Key) bool {
	return p.AMC == k.AMC &&
		(p.Convention == "" || p.Convention == k.Convention) &&
		(p.Domaine == "" || p.Domaine == k.Domaine) &&
		p.CSR.Matches(k.CSR)
}

// MoreSpecific reports whether p wins over q, where both match the same key:
// the one that states the convention; then the one that states a CSR; then the
// CSR with fewer wildcards; then the one with a character where the other, at
// the first difference, has a '?'; then the one that states the domaine. Of two different patterns that
// match the same key, exactly one wins.
func (p Pattern) MoreSpecific(q Pattern) bool {
	if a, b := p.Convention != "", q.Convention != ""; a != b {
		return a
	}
	if c := compareCSR(p.CSR, q.CSR); c != 0 {
		return c > 0
	}
	return p.Domaine != "" && q.Domaine == ""
}

// compareCSR is positive when p is the more specific of two CSR patterns that
// match the same CSR.
func compareCSR(p, q CSRPattern) int {
	if p == "" || q == "" {
		return len(p) - len(q)
	}
	if d := q.wildcards() - p.wildcards(); d != 0 {
		return d
	}
	for i := range min(len(p), len(q)) {
		if a, b := p[i] != '?', q[i] != '?'; a != b {
			if a {
				return 1
			}
			return -1
		}
	}
	return 0
}

func (p CSRPattern) wildcards() int {
	n := 0
	for i := range len(p) {
		if p[i] == '?' {
			n++
		}
	}
	return n
}

// Best returns the index of the row that answers the key, the most specific
// of those that match, the first of equals; or -1 when none does.
func Best[R any](rows []R, pattern func(*R) Pattern, k roc.Key) int {
	best := -1
	var of Pattern
	for i := range rows {
		p := pattern(&rows[i])
		if p.Matches(k) && (best < 0 || p.MoreSpecific(of)) {
			best, of = i, p
		}
	}
	return best
}
