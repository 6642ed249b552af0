package xmlsig

import (
	"hash/maphash"
	"strings"

	"github.com/piano-roc/rpn/internal/roc"
)

var idSeed = maphash.MakeSeed()

// uniqueIDs refuses an Id given twice anywhere in the message, over all the
// forms that may name an element, and an element with two Ids.
//
// It keeps no copy of an Id: the table holds the places of those seen, so that
// a message of 50 000 Ids costs little memory. The seed of its hash is not
// known to who makes them.
func (k *checking) uniqueIDs() error {
	named := 0
	for id := range k.env.IDs {
		if !id.Loose {
			named++
		}
	}
	mask := k.emptyTable(named)
	for i := range k.env.IDCount() {
		id := k.env.IDAt(i)
		if id.Loose {
			continue
		}
		// Readers of xml:id drop the spaces around it.
		if !id.Plain || id.Value == "" || strings.TrimSpace(id.Value) != id.Value {
			return bad(roc.BadIDs, "Id with references or blanks, or empty", "Un Id du message est vide ou contient une référence ou un blanc.")
		}
		for slot := uint32(maphash.String(idSeed, id.Value)) & mask; ; slot = (slot + 1) & mask {
			if k.ids[slot] == 0 {
				k.ids[slot] = uint32(i + 1)
				break
			}
			if k.env.IDAt(int(k.ids[slot]-1)).Value == id.Value {
				return bad(roc.BadIDs, "Id given twice", "L'Id « %s » figure deux fois dans le message : chaque Id doit être unique.", quote(id.Value))
			}
		}
		if i > 0 { // two Ids of one element stand side by side, but for loose ones
			for j := i - 1; j >= 0 && k.env.IDAt(j).Node.Same(id.Node); j-- {
				if !k.env.IDAt(j).Loose {
					return bad(roc.BadIDs, "two Ids on one element", "Un élément porte deux Ids (« %s » est l'un d'eux).", quote(id.Value))
				}
			}
		}
	}
	return nil
}

// emptyTable makes k.ids a table for n Ids, half empty at least, and returns
// the mask of its slots.
func (k *checking) emptyTable(n int) uint32 {
	size := 64
	for size < 2*n {
		size *= 2
	}
	if cap(k.ids) < size {
		k.ids = make([]uint32, size)
	}
	k.ids = k.ids[:size]
	clear(k.ids)
	return uint32(size - 1)
}
