package strict

import "strings"

// didYouMean names the known word nearest to s, as ` (did you mean "x"?)`, or
// "" when none is near enough to be a slip of the hand.
func didYouMean(s string, known []string) string {
	if w := nearest(s, known); w != "" {
		return " (did you mean " + quote(w) + "?)"
	}
	return ""
}

// Nearest is the known word that s is likely to be a slip of, or "".
func Nearest(s string, known []string) string { return nearest(s, known) }

// nearest returns the known word within a third of its length of s, the
// closest one, or "".
func nearest(s string, known []string) string {
	if len(s) > 3*maxQuoted {
		return ""
	}
	best, bestAt := "", 0
	for _, k := range known {
		at := distance(strings.ToLower(s), strings.ToLower(k))
		if at > max(1, len(k)/3) {
			continue
		}
		if best == "" || at < bestAt {
			best, bestAt = k, at
		}
	}
	return best
}

// distance is how many letters must be added, removed, changed or swapped with
// their neighbour to go from a to b (optimal string alignment).
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	before, last, row := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(x); i++ {
		row[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(y)]
}
