package journal

import (
	"crypto/sha256"
	"math/bits"
)

// A Hash is a SHA-256 hash of the Merkle tree of RFC 6962, section 2.1.
type Hash [sha256.Size]byte

// leafHash is the hash of a record: SHA-256(0x00 || record). The record starts
// at the second byte of buf; the first byte is overwritten.
func leafHash(buf []byte) Hash {
	buf[0] = 0
	return sha256.Sum256(buf)
}

// LeafHash returns the hash of a record as a leaf of the tree.
func LeafHash(record []byte) Hash {
	return leafHash(append(make([]byte, 1, 1+len(record)), record...))
}

// nodeHash is the hash of an inner node: SHA-256(0x01 || left || right).
func nodeHash(left, right *Hash) Hash {
	var b [1 + 2*sha256.Size]byte
	b[0] = 1
	copy(b[1:], left[:])
	copy(b[1+sha256.Size:], right[:])
	return sha256.Sum256(b[:])
}

// A frontier is the right edge of the tree: all that is needed to add leaves
// and to compute the root. peaks[k] is the root of a perfect subtree of 2^k
// leaves, and counts when bit k of size is set.
type frontier struct {
	size  uint64
	peaks [64]Hash
}

// push adds one leaf: a binary counter whose carries are hashes.
func (f *frontier) push(leaf Hash) {
	k := bits.TrailingZeros64(^f.size) // as many carries as the size has ones at its end
	for i := range k {
		leaf = nodeHash(&f.peaks[i], &leaf)
	}
	f.peaks[k] = leaf
	f.size++
}

// root is the hash of the whole tree; of the empty tree, SHA-256 of nothing.
func (f *frontier) root() Hash {
	if f.size == 0 {
		return sha256.Sum256(nil)
	}
	k := bits.TrailingZeros64(f.size)
	h := f.peaks[k]
	for k++; k < 64; k++ {
		if f.size>>k&1 == 1 {
			h = nodeHash(&f.peaks[k], &h)
		}
	}
	return h
}

// hashes lists the peaks, the largest subtree first.
func (f *frontier) hashes() []Hash {
	var list []Hash
	for k := 63; k >= 0; k-- {
		if f.size>>k&1 == 1 {
			list = append(list, f.peaks[k])
		}
	}
	return list
}

// frontierOf is the inverse of hashes; false when the number of hashes does not
// match the size.
func frontierOf(size uint64, hashes []Hash) (f frontier, ok bool) {
	if bits.OnesCount64(size) != len(hashes) {
		return f, false
	}
	f.size = size
	for k := 63; k >= 0; k-- {
		if size>>k&1 == 1 {
			f.peaks[k], hashes = hashes[0], hashes[1:]
		}
	}
	return f, true
}
