package journal

import (
	"math/rand/v2"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// The oracle of the tree is golang.org/x/mod/sumdb/tlog, which keeps Go's
// checksum database.
func TestTheEdgeOfTheTreeAgreesWithTlog(t *testing.T) {
	t.Parallel()
	var f frontier
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		list := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			list[i] = stored[x]
		}
		return list, nil
	})
	for n := range int64(1200) {
		want, err := tlog.TreeHash(n, reader)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.root(); got != Hash(want) {
			t.Fatalf("the root of %d leaves is %x, want %x", n, got, want)
		}
		again, ok := frontierOf(f.size, f.hashes())
		if !ok || again.root() != f.root() {
			t.Fatalf("the edge of %d leaves does not come back", n)
		}
		leaf := make([]byte, rand.IntN(300))
		for i := range leaf {
			leaf[i] = byte(rand.Uint32())
		}
		if tlog.RecordHash(leaf) != tlog.Hash(LeafHash(leaf)) {
			t.Fatal("the hash of a leaf differs")
		}
		hashes, err := tlog.StoredHashes(n, leaf, reader)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, hashes...)
		f.push(LeafHash(leaf))
	}
}
