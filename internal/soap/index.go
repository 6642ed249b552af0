package soap

import (
	"hash/maphash"
	"sync"
	"unsafe"
)

// An index is what one scan keeps of a message: offsets, no text. It is pooled;
// Envelope.Release returns it.
type index struct {
	raw   []byte
	elems []element
	attrs []attribute
	decls []declaration
	fixes []fix
	ids   []ident

	prefixes []prefix
	table    []int32 // open addressing over prefixes; 0 is empty, else index+1
	undo     []rebinding
	odd      []string // decoded namespace URIs of the declarations that hold references
	comments int      // inside the root
	id       []byte   // an Id decoded for the caller of IDs
	most     int      // elements that the limits allow
	canon    int      // canonical bytes that may still be written of this message

	scratch canon // of Canonical
}

// An element, by its offsets in the message. For <a/>, open, shut and end are
// the same.
type element struct {
	start, open uint32 // of '<'; after the start tag
	shut, end   uint32 // of the end tag; after it
	parent      int32  // -1 for the root
	next        int32  // the first element after this one and all it holds
	attr, decl  uint32 // its first ones
	fix         uint32 // the first fix after its start tag
	prefix      uint32 // index in prefixes
	bind        int32  // declaration of its namespace; none when -1
	nattr       uint8
	ndecl       uint8
	plen        uint8  // length of the prefix, 0: none
	nlen        uint16 // length of the qualified name
}

type attribute struct {
	name       uint32 // offset of the qualified name
	value, end uint32
	bind       int32 // none when -1, and so without a prefix
	plen       uint8
	odd        bool // the value holds references or white space to normalize
	nlen       uint16
}

// A declaration binds a prefix. known is an index of the table of the same
// name; odd, when not 0, is 1 + the index of the decoded URI.
type declaration struct {
	uri, end uint32
	prefix   uint32
	odd      uint32
	known    uint8
}

// A fix marks a position where the canonical form may differ from the bytes.
// There is at most one per start tag, end tag and text, so their number is
// bounded by the number of elements, whatever the message is made of.
type fix struct {
	off, end uint32
	elem     int32
	kind     fixKind
}

type fixKind uint8

const (
	fixTag     fixKind = iota // start tag to be written again
	fixEnd                    // end tag with white space
	fixText                   // character data with something to rewrite
	fixComment                // character data that holds a comment (and maybe more)
)

// An ident is an attribute that names its element for a reference.
type ident struct {
	elem  int32
	attr  uint32
	loose bool // see isID
}

type prefix struct {
	off, n uint32
	cur    int32 // declaration in force; none when -1
}

type rebinding struct {
	prefix uint32
	old    int32
}

const (
	none       = -1
	declXML    = 0 // decls[0] is the xml prefix, bound by definition
	prefixNone = 0
	prefixXML  = 1
)

var seed = maphash.MakeSeed()

var indexes = sync.Pool{New: func() any { return new(index) }}

// reset makes the index ready for a message.
func (ix *index) reset(raw []byte) {
	ix.raw = raw
	ix.elems, ix.attrs, ix.fixes, ix.ids = ix.elems[:0], ix.attrs[:0], ix.fixes[:0], ix.ids[:0]
	ix.undo, ix.odd, ix.comments = ix.undo[:0], ix.odd[:0], 0
	ix.canon = canonFactor*len(raw) + canonLeast
	ix.decls = append(ix.decls[:0], declaration{prefix: prefixXML, known: uint8(len(known) - 1)})
	ix.prefixes = append(ix.prefixes[:0], prefix{cur: none}, prefix{cur: declXML})
	if len(ix.table) == 0 {
		ix.table = make([]int32, 64)
	} else {
		clear(ix.table)
	}
}

// room grows a full list. It estimates the length that the list will have if
// the rest of the message is as dense as what was read between the middle of
// the list and at, so that a dense message does not pay for each doubling.
// where gives the offset of an entry in the message.
func room[T any](ix *index, list []T, at uint32, where func(*T) uint32) []T {
	n := len(list)
	if n < cap(list) {
		return list
	}
	const few = 512 // tell little
	if n < few {
		return larger(list, max(64, n))
	}
	half := uint64(n - n/2)
	more := half * (ix.end(uint64(at)) - uint64(at)) / uint64(max(at-where(&list[n/2]), 1))
	return larger(list, int(more+more/8)+max(n/16, 64))
}

// end estimates where the scan of the message ends, from what was read up
// to at: at its end, or where a limit will be reached.
func (ix *index) end(at uint64) uint64 {
	end := uint64(len(ix.raw))
	for _, l := range [...]struct{ n, most int }{
		{len(ix.elems), ix.most}, {len(ix.decls), mostDeclarations}, {len(ix.attrs), mostAttributes}, {len(ix.prefixes), mostPrefixes}, {len(ix.ids), mostIDs}, {ix.comments, mostComments},
	} {
		if l.n > 0 {
			end = min(end, max(at, at*uint64(l.most)/uint64(l.n)))
		}
	}
	return end
}

func larger[T any](list []T, by int) []T {
	l := make([]T, len(list), len(list)+by)
	copy(l, list)
	return l
}

func elementAt(e *element) uint32         { return e.start }
func attributeAt(a *attribute) uint32     { return a.name }
func declarationAt(d *declaration) uint32 { return d.uri }
func fixAt(f *fix) uint32                 { return f.off }
func prefixAt(p *prefix) uint32           { return p.off }

// keepBytes bounds what an index may keep between two messages, so that one
// hostile message does not hold memory for ever.
const keepBytes = 1 << 20

func (ix *index) release() {
	ix.raw = nil
	clear(ix.odd)
	size := cap(ix.elems)*int(unsafe.Sizeof(element{})) + cap(ix.attrs)*int(unsafe.Sizeof(attribute{})) +
		cap(ix.decls)*int(unsafe.Sizeof(declaration{})) + cap(ix.fixes)*int(unsafe.Sizeof(fix{})) + cap(ix.table)*4
	if size <= keepBytes {
		indexes.Put(ix)
	}
}

// text is a view of the message, valid as long as the index is.
func (ix *index) text(from, to uint32) string {
	if from == to {
		return ""
	}
	return unsafe.String(&ix.raw[from], int(to-from))
}

// uri returns the namespace of a declaration; "" for none.
func (ix *index) uri(d int32) string {
	if d < 0 {
		return ""
	}
	decl := &ix.decls[d]
	switch {
	case decl.known != 0:
		return known[decl.known]
	case decl.odd != 0:
		return ix.odd[decl.odd-1]
	}
	return ix.text(decl.uri, decl.end)
}

func (ix *index) prefixText(p uint32) string {
	if p == prefixXML {
		return "xml"
	}
	return ix.text(ix.prefixes[p].off, ix.prefixes[p].off+ix.prefixes[p].n)
}

// prefixOf finds the prefix standing at off, and makes it when mayMake is set.
// It returns prefixNone when there is no such prefix.
func (ix *index) prefixOf(off, n uint32, mayMake bool) uint32 {
	b := ix.raw[off : off+n]
	if string(b) == "xml" {
		return prefixXML
	}
	mask := uint32(len(ix.table) - 1)
	for slot := uint32(maphash.Bytes(seed, b)) & mask; ; slot = (slot + 1) & mask {
		p := ix.table[slot] - 1
		if p < 0 {
			if !mayMake {
				return prefixNone
			}
			ix.prefixes = append(room(ix, ix.prefixes, off, prefixAt), prefix{off: off, n: n, cur: none})
			ix.table[slot] = int32(len(ix.prefixes))
			made := uint32(len(ix.prefixes) - 1)
			if len(ix.prefixes)*2 > len(ix.table) {
				ix.grow()
			}
			return made
		}
		if q := &ix.prefixes[p]; q.n == n && string(ix.raw[q.off:q.off+n]) == string(b) {
			return uint32(p)
		}
	}
}

func (ix *index) grow() {
	ix.table = make([]int32, 2*len(ix.table))
	mask := uint32(len(ix.table) - 1)
	for i := prefixXML + 1; i < len(ix.prefixes); i++ {
		q := ix.prefixes[i]
		slot := uint32(maphash.Bytes(seed, ix.raw[q.off:q.off+q.n])) & mask
		for ix.table[slot] != 0 {
			slot = (slot + 1) & mask
		}
		ix.table[slot] = int32(i + 1)
	}
}

// bindPrefix puts a declaration in force until the element that made it ends.
func (ix *index) bindPrefix(p uint32, decl int32) {
	ix.undo = append(ix.undo, rebinding{p, ix.prefixes[p].cur})
	ix.prefixes[p].cur = decl
}

// unbind removes the last n declarations.
func (ix *index) unbind(n int) {
	for range n {
		last := ix.undo[len(ix.undo)-1]
		ix.undo = ix.undo[:len(ix.undo)-1]
		ix.prefixes[last.prefix].cur = last.old
	}
}
