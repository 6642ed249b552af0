// Package tessera holds the tree of a journal against another implementation of
// it: Tessera computes the root of the same records, and makes and checks proofs
// from the tiles of the journal. It is a module of its own: nothing of Tessera is
// in rpn. `make oracle-tessera` runs it.
package tessera
