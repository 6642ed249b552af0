// Package resting measures what a refusal takes while an insurer rests, against
// the real binary: it is refused before anything is tried. It prints its figures
// last, and fails when short:
//
//	make bench-limits
//
// Without -full it plays some refusals, whose times mean nothing.
package resting
