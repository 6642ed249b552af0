package store

import (
	"cmp"
	"slices"
)

// A holder hands rows on so that those of an establishment and an insurer come one
// after the other, whatever their days: what adds up comes together.
type holder struct {
	most int // bytes that are put into an order at once
	scan func(packKey, []byte) error

	held []heldRow
	size int
}

type heldRow struct {
	packKey
	data []byte
}

// mostHeld is four times what the largest establishment has in a week.
const mostHeld = 32 << 20

func (h *holder) add(k packKey, data []byte) error {
	h.held = append(h.held, heldRow{k, data})
	if h.size += len(data); h.size < h.most {
		return nil
	}
	return h.end()
}

// end hands on what is held.
func (h *holder) end() error {
	slices.SortStableFunc(h.held, func(x, y heldRow) int {
		return cmp.Or(cmp.Compare(x.structure, y.structure), cmp.Compare(x.amc, y.amc))
	})
	for _, r := range h.held {
		if err := h.scan(r.packKey, r.data); err != nil {
			return err
		}
	}
	clear(h.held)
	h.held, h.size = h.held[:0], 0
	return nil
}
