// Package fictif is the fictitious annuaire: an http.Handler that answers
// search from rows in a file, signed, as the real one would. It serves the
// demonstration and the tests, and can be told to misbehave in every way the
// RPN must survive.
//
// Its rows are YAML or CSV, and entirely invented. Never point a production
// RPN at it.
package fictif
