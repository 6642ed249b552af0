package soap

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"unsafe"
)

// A Node is an element of an envelope. The zero Node is no element; every
// method may be called on it. Like the message it belongs to, it cannot be
// printed.
type Node struct {
	e *Envelope
	i int32
}

// IsZero reports whether there is no such element.
func (n Node) IsZero() bool { return n.e == nil }

// Name returns the expanded name of the element.
func (n Node) Name() Name {
	if n.e == nil {
		return Name{}
	}
	el := &n.e.ix.elems[n.i]
	return Name{strings.Clone(n.e.ix.uri(el.bind)), strings.Clone(n.e.ix.localOf(el))}
}

// Is reports whether the element has that expanded name.
func (n Node) Is(space, local string) bool {
	if n.e == nil {
		return false
	}
	el := &n.e.ix.elems[n.i]
	return n.e.ix.localOf(el) == local && n.e.ix.uri(el.bind) == space
}

// IsAlike reports whether the element's local name is that one, in any case
// and namespace.
func (n Node) IsAlike(local string) bool {
	return n.e != nil && strings.EqualFold(n.e.ix.localOf(&n.e.ix.elems[n.i]), local)
}

// In reports whether the element is in that namespace.
func (n Node) In(space string) bool {
	return n.e != nil && n.e.ix.uri(n.e.ix.elems[n.i].bind) == space
}

func (ix *index) localOf(el *element) string {
	from := el.start + 1
	if el.plen > 0 {
		from += uint32(el.plen) + 1
	}
	return ix.text(from, el.start+1+uint32(el.nlen))
}

// First returns the first child element.
func (n Node) First() Node {
	if n.e == nil {
		return Node{}
	}
	if next := n.i + 1; n.e.ix.elems[n.i].next > next {
		return Node{n.e, next}
	}
	return Node{}
}

// Next returns the next element with the same parent.
func (n Node) Next() Node {
	if n.e == nil {
		return Node{}
	}
	el := &n.e.ix.elems[n.i]
	if el.parent < 0 || el.next >= n.e.ix.elems[el.parent].next {
		return Node{}
	}
	return Node{n.e, el.next}
}

// Parent returns the element that holds n; zero for the root.
func (n Node) Parent() Node {
	if n.e == nil {
		return Node{}
	}
	return n.e.node(n.e.ix.elems[n.i].parent)
}

// Same reports whether both are the same element of the same envelope.
func (n Node) Same(m Node) bool { return n == m }

// Contains reports whether m is n or stands inside it.
func (n Node) Contains(m Node) bool {
	return n.e != nil && n.e == m.e && m.i >= n.i && m.i < n.e.ix.elems[n.i].next
}

// Child returns the first child of that expanded name.
func (n Node) Child(space, local string) Node {
	for c := n.First(); !c.IsZero(); c = c.Next() {
		if c.Is(space, local) {
			return c
		}
	}
	return Node{}
}

// Path follows children without a namespace: Path("adressage", "numero_amc").
func (n Node) Path(locals ...string) Node {
	for _, l := range locals {
		n = n.Child("", l)
	}
	return n
}

// Text returns the text of an element that holds nothing but text: references
// and CDATA decoded, line ends normalized. It is false when there is a child
// element or a comment.
func (n Node) Text() (string, bool) {
	b, ok := n.AppendText(nil)
	return string(b), ok
}

// AppendText appends what Text returns to dst.
func (n Node) AppendText(dst []byte) ([]byte, bool) {
	if n.e == nil || !n.First().IsZero() {
		return dst, false
	}
	el := &n.e.ix.elems[n.i]
	raw := n.e.ix.raw[el.open:el.shut]
	if int(el.fix) < len(n.e.ix.fixes) {
		if f := n.e.ix.fixes[el.fix]; f.off < el.shut {
			if f.kind == fixComment {
				return dst, false
			}
			return appendText(slices.Grow(dst, len(raw)), raw), true
		}
	}
	return append(dst, raw...), true
}

// RawText returns a view of the text in the message, if that is its value: no
// child element, comment, reference, CDATA or carriage return. The view is
// valid until the envelope is released, and must not be changed.
func (n Node) RawText() ([]byte, bool) {
	if n.e == nil || !n.First().IsZero() {
		return nil, false
	}
	el := &n.e.ix.elems[n.i]
	if int(el.fix) < len(n.e.ix.fixes) && n.e.ix.fixes[el.fix].off < el.shut {
		return nil, false
	}
	return n.e.ix.raw[el.open:el.shut], true
}

// HasCDATA reports whether a CDATA section stands in the text of an element
// without child elements and comments.
func (n Node) HasCDATA() bool {
	from, to := n.Inner()
	return bytes.IndexByte(n.e.ix.raw[from:to], '<') >= 0
}

// Attr returns the value of an attribute; space is "" for one without prefix.
func (n Node) Attr(space, local string) (string, bool) {
	v, ok := n.AttrView(space, local)
	return strings.Clone(v), ok
}

// AttrView is Attr without a copy: the string is a view of the message, valid
// until the envelope is released. Compare it, do not keep it.
func (n Node) AttrView(space, local string) (string, bool) {
	if n.e == nil {
		return "", false
	}
	ix := n.e.ix
	el := &ix.elems[n.i]
	for k := el.attr; k < el.attr+uint32(el.nattr); k++ {
		a := &ix.attrs[k]
		if ix.local(a) == local && ix.uri(a.bind) == space {
			return ix.valueOf(a), true
		}
	}
	return "", false
}

// Attrs calls yield for each attribute of the element, declarations apart. The
// strings are views, as those of AttrView.
func (n Node) Attrs(yield func(name Name, value string) bool) {
	if n.e == nil {
		return
	}
	ix := n.e.ix
	el := &ix.elems[n.i]
	for k := el.attr; k < el.attr+uint32(el.nattr); k++ {
		a := &ix.attrs[k]
		if !yield(Name{ix.uri(a.bind), ix.local(a)}, ix.valueOf(a)) {
			return
		}
	}
}

// valueOf returns the value of an attribute: a view when it stands in the
// message as it is.
func (ix *index) valueOf(a *attribute) string {
	if !a.odd {
		return ix.text(a.value, a.end)
	}
	b := appendValue(make([]byte, 0, a.end-a.value), ix.raw[a.value:a.end])
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// Span returns where the element stands in the message: from its '<' to the
// byte after its end.
func (n Node) Span() (from, to int) {
	el := &n.e.ix.elems[n.i]
	return int(el.start), int(el.end)
}

// Inner returns where the content of the element stands in the message.
func (n Node) Inner() (from, to int) {
	el := &n.e.ix.elems[n.i]
	return int(el.open), int(el.shut)
}

// Prefix returns the prefix the element is written with, "" for none.
func (n Node) Prefix() string {
	el := &n.e.ix.elems[n.i]
	return strings.Clone(n.e.ix.text(el.start+1, el.start+1+uint32(el.plen)))
}

// OnlyElements reports whether nothing but white space and comments stands
// between the children of n.
func (n Node) OnlyElements() bool {
	_, ok := n.onlyElements()
	return ok
}

func (n Node) onlyElements() (off int, ok bool) {
	el := &n.e.ix.elems[n.i]
	from := el.open
	for c := n.First(); !c.IsZero(); c = c.Next() {
		ce := &n.e.ix.elems[c.i]
		if !n.e.blank(from, ce.start) {
			return int(from), false
		}
		from = ce.end
	}
	if !n.e.blank(from, el.shut) {
		return int(from), false
	}
	return 0, true
}

// blank says whether the character data between two tags is white space and
// comments only. A reference or CDATA is text, whatever its value.
func (e *Envelope) blank(from, to uint32) bool {
	raw := e.ix.raw[from:to]
	for i := 0; i < len(raw); i++ {
		if class[raw[i]]&space != 0 {
			continue
		}
		if raw[i] != '<' || raw[i+2] != '-' {
			return false
		}
		for i += 6; string(raw[i-2:i+1]) != "-->"; i++ {
		}
	}
	return true
}

// Format never writes the element.
func (n Node) Format(s fmt.State, _ rune) { io.WriteString(s, "[element]") }

// MarshalText never writes the element.
func (n Node) MarshalText() ([]byte, error) { return []byte("[element]"), nil }

// An ID is the name of an element for references.
type ID struct {
	Value string // valid until the next one; when Plain, until the message is released
	Node  Node
	Plain bool // the value stands in the message as it is, without references
	Loose bool // not one of the forms of profile section 3: it names nothing here
}

// IDs calls yield for each Id of the message, in its order.
func (e *Envelope) IDs(yield func(ID) bool) {
	for i := range e.ix.ids {
		if !yield(e.IDAt(i)) {
			return
		}
	}
}

// IDAt returns one of the Ids, in the order of the message.
func (e *Envelope) IDAt(i int) ID {
	id := e.ix.ids[i]
	a := &e.ix.attrs[id.attr]
	value := e.ix.text(a.value, a.end)
	if a.odd {
		e.ix.id = appendValue(e.ix.id[:0], e.ix.raw[a.value:a.end])
		value = unsafe.String(unsafe.SliceData(e.ix.id), len(e.ix.id))
	}
	return ID{value, Node{e, id.elem}, !a.odd, id.loose}
}

// IDCount returns how many Ids the message has.
func (e *Envelope) IDCount() int { return len(e.ix.ids) }
