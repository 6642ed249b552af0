package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/note"
)

// Verify reads every kept record, computes the whole tree again and compares it
// with each signed checkpoint and each tile. progress, which may be nil, is
// called with the number of records done. others are checkpoints that were kept
// elsewhere or time-stamped: they must be of this tree too.
func (l *Log) Verify(keys []note.Verifier, progress func(done, total uint64), others ...*Checkpoint) (*Report, error) {
	r := &Report{}
	if err := l.Refresh(); err != nil {
		return nil, err
	}
	closed := l.closed() // its records were sealed before the checkpoint that is read now
	signed, err := os.ReadFile(filepath.Join(l.dir, CheckpointFile))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	last := &Checkpoint{}
	if err == nil {
		if last, err = OpenCheckpoint(signed, keys); err != nil {
			return nil, err
		}
	}
	if err := l.Refresh(); err != nil {
		return nil, err
	}
	r.First, r.End = l.Bounds()
	r.Origin, r.Sealed = last.Origin, last.Size
	if closed > last.Size {
		r.wrong("le point de contrôle couvre %d enregistrements et les segments clos en ont %d : il a été retiré ou remplacé par un plus ancien", last.Size, closed)
	}
	if r.End < r.Sealed {
		r.wrong("le sceau couvre %d enregistrements et le journal s'arrête à %d : des enregistrements scellés manquent", r.Sealed, r.End)
	}
	for _, s := range l.unplaced {
		r.cannotRead(filepath.Base(s.base), s.lost)
	}
	v := verification{log: l, report: r, keys: keys, last: last}
	if err := v.begin(); err != nil {
		return nil, err
	}
	v.expect(others)
	segments := l.segments // a Refresh replaces it
	for i := range segments {
		v.segment(&segments[i], progress)
	}
	v.compare(r.End)
	v.tileOfLeaves()
	v.tilesAbove()
	return r, nil
}

// A verification is one run of Verify.
type verification struct {
	log    *Log
	report *Report
	keys   []note.Verifier
	last   *Checkpoint
	tree   frontier
	leaves []Hash // of the tile being filled, from the first record kept
	roots  []Hash // of each full tile of leaves, by its number from the first one
	tile0  uint64 // number of that first one

	others map[uint64][]*Checkpoint // by their size

	hole  bool // the tile being filled lacks a leaf that nothing tells
	blind bool // and so does the tree: no root can be compared any more

	stored  []Hash // the last tile of leaves as it is on disk; nil: none was read
	storedN uint64
}

// begin takes from the tiles the edge of the tree before the first kept record:
// if they were changed, no later checkpoint matches.
func (v *verification) begin() error {
	first := v.report.First
	var hashes []Hash
	for k := 63; k >= 0; k-- {
		if first>>k&1 == 1 {
			h, err := v.log.subtree(k, (first>>k)-1)
			if err != nil {
				return fmt.Errorf("the tiles before record %d: %w", first, err)
			}
			hashes = append(hashes, h)
		}
	}
	v.tree, _ = frontierOf(first, hashes)
	v.tile0 = first / tileWidth
	if n := int(first % tileWidth); n > 0 {
		t, err := v.log.tile(0, v.tile0, n)
		if err != nil {
			return err
		}
		v.leaves = append(v.leaves, t[:n]...)
	}
	return nil
}

func (v *verification) segment(s *logSegment, progress func(done, total uint64)) {
	for i := s.first; i < s.end; {
		list, err := v.log.around(i)
		if err != nil {
			hi := min(s.end, (i/tileWidth+1)*tileWidth)
			v.lost(s, i, hi, err)
			i = hi
			continue
		}
		for n := range list[i-list[0].Index:] {
			v.record(s, &list[i-list[0].Index:][n])
		}
		i = list[len(list)-1].Index + 1
		if progress != nil {
			progress(i-v.report.First, v.report.End-v.report.First)
		}
	}
	if s.footer == nil {
		return
	}
	c, err := OpenCheckpoint(s.footer.Checkpoint, v.keys)
	switch {
	case err == nil && v.blind: // said once
	case err != nil:
		v.report.wrong("%s : son point de contrôle n'est pas valable : %v", filepath.Base(s.base), err)
	case c.Size != s.end || c.Root != v.tree.root():
		v.report.wrong("%s : les enregistrements %d à %d ne sont pas ceux qui ont été scellés", filepath.Base(s.base), s.first, s.end-1)
	}
}

// record adds one record to the tree. If the record was changed and the tile
// has another hash, the tile's hash is used, so that the fault stays local.
func (v *verification) record(s *logSegment, e *Entry) {
	r := v.report
	leaf := LeafHash(e.Raw)
	sealed := e.Leaf // an open segment stores the hash next to the record
	if s.footer != nil {
		if t := v.storedLeaf(e.Index); t != (Hash{}) {
			sealed = t
		}
	}
	if _, err := Decode(e.Index, e.Raw); leaf != sealed {
		r.wrong("l'enregistrement %d a été modifié : son empreinte n'est pas celle qui a été scellée", e.Index)
	} else if err != nil {
		r.wrong("l'enregistrement %d est illisible : %v", e.Index, err)
	}
	v.push(sealed)
	v.compare(e.Index + 1)
	r.see(e)
}

// lost takes the hashes of an unreadable bundle from its tile. Where there is no
// tile, the tree cannot be computed any further.
func (v *verification) lost(s *logSegment, lo, hi uint64, err error) {
	v.report.cannotRead(fmt.Sprintf("%s : les enregistrements %d à %d", filepath.Base(s.base), lo, hi-1), err)
	for i := lo; i < hi; i++ {
		h := v.storedLeaf(i)
		if h == (Hash{}) {
			v.hole = true
			if !v.blind {
				v.blind = true
				v.report.unread("les racines signées ne peuvent être comparées au-delà de l'enregistrement %d : l'empreinte de ce qui n'a pas pu être lu n'est nulle part ailleurs", i)
			}
		}
		v.push(h)
		v.compare(i + 1)
	}
}

// storedLeaf is the leaf hash of a record according to its tile on disk; zero:
// there is no tile.
func (v *verification) storedLeaf(i uint64) Hash {
	if n := i / tileWidth; v.stored == nil || v.storedN != n {
		t, err := v.log.storedTile(0, n)
		if err != nil {
			v.report.cannotRead("tuile "+tilePath(0, n, 0), err)
			t = nil
		}
		v.stored, v.storedN = append([]Hash{}, t...), n
	}
	if k := i % tileWidth; k < uint64(len(v.stored)) {
		return v.stored[k]
	}
	return Hash{}
}

func (v *verification) push(leaf Hash) {
	v.tree.push(leaf)
	if v.leaves = append(v.leaves, leaf); len(v.leaves) == tileWidth {
		v.tileOfLeaves()
		v.roots = append(v.roots, rootOf(v.leaves))
		v.leaves, v.hole = v.leaves[:0], false
	}
}

// expect takes the other checkpoints to compare. One of more than was ever sealed
// is of records that are gone.
func (v *verification) expect(others []*Checkpoint) {
	v.others = map[uint64][]*Checkpoint{}
	for _, c := range others {
		switch {
		case c.Size < v.report.First:
			v.report.Before++
		case c.Size > v.report.End:
			v.report.wrong("un autre point de contrôle signé couvre %d enregistrements, et le journal s'arrête à %d : des enregistrements scellés manquent", c.Size, v.report.End)
		default:
			v.others[c.Size] = append(v.others[c.Size], c)
		}
	}
	v.compare(v.report.First)
}

// compare checks the last checkpoint, and the others, when the tree reaches their
// size.
func (v *verification) compare(size uint64) {
	if list := v.others[size]; len(list) > 0 && !v.blind && size == v.tree.size {
		for _, c := range list {
			if c.Root != v.tree.root() {
				v.report.wrong("le journal de %d enregistrements n'est pas celui d'un autre point de contrôle signé (horodaté, ou gardé ailleurs) : leurs racines diffèrent", size)
			}
		}
		delete(v.others, size)
	}
	if !v.blind && size == v.last.Size && size == v.tree.size && v.last.Size > 0 && v.last.Root != v.tree.root() {
		v.report.wrong("le journal de %d enregistrements n'est pas celui qui a été scellé : sa racine diffère de celle du point de contrôle signé", size)
	}
}
