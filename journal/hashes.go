package journal

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/mod/sumdb/tlog"
)

// readHashes gives tlog the hashes of the tree, by tlog's own numbering.
func (l *Log) readHashes(indexes []int64) ([]tlog.Hash, error) {
	list := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		level, n := tlog.SplitStoredHashIndex(x)
		h, err := l.subtree(level, uint64(n))
		if err != nil {
			return nil, err
		}
		list[i] = tlog.Hash(h)
	}
	return list, nil
}

// subtree is the root of the nth perfect subtree of 2^level leaves.
func (l *Log) subtree(level int, n uint64) (Hash, error) {
	up, width := level/8, uint64(1)<<(level%8)
	tile, err := l.tile(up, n*width/tileWidth, int(n*width%tileWidth+width))
	if err != nil {
		return Hash{}, err
	}
	return rootOf(tile[n*width%tileWidth:][:width]), nil
}

// tile returns at least want hashes of a tile: from disk if they were written,
// otherwise computed from the records or from the tiles below.
func (l *Log) tile(level int, n uint64, want int) ([]Hash, error) {
	key := tilePath(level, n, 0)
	if t := l.tiles[key]; len(t) >= want {
		return t, nil
	}
	t, err := l.storedTile(level, n)
	if err != nil {
		return nil, err
	}
	for i := n*tileWidth + uint64(len(t)); len(t) < want; i = n*tileWidth + uint64(len(t)) {
		if level > 0 {
			below, err := l.tile(level-1, i, tileWidth)
			if err != nil {
				return nil, err
			}
			t = append(t, rootOf(below))
			continue
		}
		list, err := l.around(i)
		if err != nil {
			return nil, err
		}
		for _, e := range list[i-list[0].Index:] {
			t = append(t, e.Leaf)
		}
	}
	if len(l.tiles) > 256 {
		clear(l.tiles)
	}
	l.tiles[key] = t
	return t, nil
}

// storedTile returns the tile on disk: the full one, or the widest partial one,
// or nothing. A tile of a wrong size counts as nothing and is computed again.
func (l *Log) storedTile(level int, n uint64) ([]Hash, error) {
	dir := filepath.Join(l.dir, "tiles")
	t, err := readTile(dir, level, n, 0)
	if errors.Is(err, os.ErrNotExist) {
		widths, partialErr := partialTiles(dir, level, n)
		if partialErr != nil || len(widths) == 0 {
			return nil, partialErr
		}
		widest := slices.Max(widths)
		if t, err = readTile(dir, level, n, widest); errors.Is(err, os.ErrNotExist) {
			return nil, nil // a wider one has replaced it
		}
	}
	if errors.Is(err, errTile) {
		return nil, nil
	}
	return t, err
}

// partialTiles are the widths of the partial tiles on disk of one tile.
func partialTiles(dir string, level int, n uint64) (widths []int, err error) {
	all, err := os.ReadDir(filepath.Join(dir, tilePath(level, n, 0)+".p"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	for _, e := range all {
		if w, err := strconv.Atoi(e.Name()); err == nil && w > 0 && w < tileWidth {
			widths = append(widths, w)
		}
	}
	return widths, nil
}
