// Package test holds the tests that see the whole tree: the import map and the
// table of rooms, the pages of docs/ and the log against the code, the one door
// of certificates, of connections that leave and of files that are replaced, what
// may be printed of a message, that every refusal names its cause, and that no
// test polls by itself. Nothing imports it.
//
// Below it: nation is a country around rpn, that scenarios, drill, clients and
// interop play in; binary builds the programs; properties holds what is true of
// every exchange; bench and benchcheck measure; mutants breaks the code on
// purpose, to see a test fail.
package test
