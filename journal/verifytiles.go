package journal

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
)

// tileOfLeaves compares the tile being filled, when all of it is known.
func (v *verification) tileOfLeaves() {
	if !v.hole {
		v.tile(0, v.tile0+uint64(len(v.roots)), v.leaves)
	}
}

// tile compares a computed tile with those on disk: the full one, and each
// partial one. For a closed segment it must exist.
func (v *verification) tile(level int, n uint64, hashes []Hash) {
	dir := filepath.Join(v.log.dir, "tiles")
	check := func(w int) {
		path := tilePath(level, n, w%tileWidth)
		b, err := os.ReadFile(filepath.Join(dir, path))
		switch {
		case errors.Is(err, os.ErrNotExist) && w < tileWidth:
		case errors.Is(err, os.ErrNotExist):
			if end := (n + 1) << (8 * (level + 1)); end <= v.log.closed() {
				v.report.wrong("tuile %s : elle manque ; les preuves la refont à partir des enregistrements", path)
			}
		case err != nil:
			v.report.cannotRead("tuile "+path, err)
		case w > len(hashes) || !bytes.Equal(b, concat(hashes[:w])):
			v.report.wrong("tuile %s : elle n'est pas celle de l'arbre", path)
		}
	}
	if len(hashes) == tileWidth {
		check(tileWidth)
	}
	widths, err := partialTiles(dir, level, n)
	if err != nil {
		v.report.cannotRead("tuile "+tilePath(level, n, 0)+".p", err)
		return
	}
	for _, w := range widths {
		check(w)
	}
	closed := v.log.closed()
	if w := int(closed >> (8 * level) % tileWidth); w > 0 && closed>>(8*(level+1)) == n && !slices.Contains(widths, w) {
		v.report.wrong("tuile %s : elle manque ; les preuves la refont à partir des enregistrements", tilePath(level, n, w))
	}
}

func concat(hashes []Hash) []byte {
	b := make([]byte, 0, len(hashes)*len(Hash{}))
	for i := range hashes {
		b = append(b, hashes[i][:]...)
	}
	return b
}

// tilesAbove compares the tiles above the leaves. Nodes before the first kept
// record are not recomputed: the checkpoints vouch for them.
func (v *verification) tilesAbove() {
	first, hashes := v.tile0, v.roots
	if v.blind {
		return // said once
	}
	for level := 1; len(hashes) > 0; level++ {
		if skip := int(first % tileWidth); skip > 0 {
			before, err := v.log.tile(level, first/tileWidth, skip)
			if err != nil {
				v.report.cannotRead("tuile "+tilePath(level, first/tileWidth, 0), err)
				return
			}
			hashes, first = append(before[:skip:skip], hashes...), first-uint64(skip)
		}
		var up []Hash
		for n := first / tileWidth; len(hashes) > 0; n++ {
			w := min(tileWidth, len(hashes))
			v.tile(level, n, hashes[:w])
			if w == tileWidth {
				up = append(up, rootOf(hashes[:w]))
			}
			hashes = hashes[w:]
		}
		first, hashes = first/tileWidth, up
	}
}
