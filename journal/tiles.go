package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// tileWidth is how many hashes a full tile has (C2SP tlog-tiles).
const tileWidth = 256

// tilePath is the path of a tile in the tiles folder: level 0, index 1234067 is
// tile/0/x001/x234/067. width 0: the full tile.
func tilePath(level int, n uint64, width int) string {
	p := fmt.Sprintf("%03d", n%1000)
	for n /= 1000; n > 0; n /= 1000 {
		p = fmt.Sprintf("x%03d/%s", n%1000, p)
	}
	if width > 0 {
		p += fmt.Sprintf(".p/%d", width)
	}
	return filepath.Join("tile", fmt.Sprint(level), filepath.FromSlash(p))
}

var errTile = errors.New("a tile has the wrong size")

// readTile returns at least width hashes of a tile: from the partial one of that
// width if it exists, otherwise from the full one. While both are there, the full
// one belongs to a segment that is being closed: a crash may have cut it.
func readTile(dir string, level int, n uint64, width int) ([]Hash, error) {
	for _, w := range [2]int{width % tileWidth, 0} {
		b, err := os.ReadFile(filepath.Join(dir, tilePath(level, n, w)))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		want := w
		if w == 0 {
			want = tileWidth
		}
		if len(b) != want*len(Hash{}) {
			return nil, fmt.Errorf("%s: %w", tilePath(level, n, w), errTile)
		}
		list := make([]Hash, want)
		for i := range list {
			list[i] = Hash(b[i*len(Hash{}):])
		}
		return list, nil
	}
	return nil, fmt.Errorf("%s: %w", tilePath(level, n, width%tileWidth), os.ErrNotExist)
}

func writeTile(dir string, level int, n uint64, hashes []Hash) error {
	width := len(hashes) % tileWidth
	p := filepath.Join(dir, tilePath(level, n, width))
	if err := os.MkdirAll(filepath.Dir(p), 0o750); err != nil {
		return err
	}
	return os.WriteFile(p, concat(hashes), 0o640)
}

// writeTiles adds the leaves of [from, from+len(leaves)) to the tiles of a tree
// of size from. It overwrites what an earlier try wrote, with the same bytes.
// Afterwards the partial tiles of the new size exist. Those of tiles that are now
// full are returned: they are removed once the full ones are certain, as until then
// another try reads them.
func writeTiles(dir string, from uint64, leaves []Hash) (outgrown []string, err error) {
	for level := 0; len(leaves) > 0; level++ {
		n, skip := from/tileWidth, int(from%tileWidth)
		if skip > 0 {
			before, err := readTile(dir, level, n, skip)
			if err != nil {
				return nil, err
			}
			leaves = append(before[:skip:skip], leaves...)
		}
		var roots []Hash
		for len(leaves) > 0 {
			w := min(tileWidth, len(leaves))
			if err := writeTile(dir, level, n, leaves[:w]); err != nil {
				return nil, err
			}
			if w == tileWidth {
				roots = append(roots, rootOf(leaves[:w]))
				outgrown = append(outgrown, filepath.Join(dir, tilePath(level, n, 0))+".p")
			}
			leaves, n = leaves[w:], n+1
		}
		from, leaves = from/tileWidth, roots
	}
	return outgrown, nil
}

// rootOf is the root of a tree of those leaves.
func rootOf(leaves []Hash) Hash {
	var f frontier
	for _, h := range leaves {
		f.push(h)
	}
	return f.root()
}

// edgeOf is the edge of the tree of that size, from the tiles.
func edgeOf(dir string, size uint64) (f frontier, err error) {
	f.size = size
	for level := 0; size>>(8*level) > 0; level++ {
		width := int(size >> (8 * level) & (tileWidth - 1))
		if width == 0 {
			continue
		}
		tile, err := readTile(dir, level, size>>(8*(level+1)), width)
		if err != nil {
			return f, err
		}
		for b := 7; b >= 0; b-- {
			if n := 1 << b; width&n != 0 {
				f.peaks[8*level+b], tile = rootOf(tile[:n]), tile[n:]
			}
		}
	}
	return f, nil
}
