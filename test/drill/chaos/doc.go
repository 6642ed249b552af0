// Package chaos breaks everything that the RPN depends on in every way that makes
// sense, against the real binary: who reads what, who is to act, what /readyz
// says, what goes on meanwhile, and how it ends. It prints its figures last and
// fails when short:
//
//	make drill-chaos
//
// Without -full it plays the same cells with fewer exchanges beside them.
// docs/operating/outages.md has a row for each cell, which a test holds.
package chaos
