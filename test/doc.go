// Package test holds the tests that see the whole tree: the import map, and
// the pages of docs/ against the code they describe. Nothing imports it.
package test
