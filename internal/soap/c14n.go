package soap

import (
	"bytes"
	"io"
	"slices"
	"strings"

	"github.com/piano-roc/rpn/internal/roc"
)

// C14N says which exclusive canonical form is wanted
// (https://www.w3.org/TR/xml-exc-c14n/).
type C14N struct {
	// Prefixes is the InclusiveNamespaces PrefixList; "" stands for #default.
	Prefixes []string
	// Comments keeps them. A reference by #id never does (XMLDSig 4.4.3.3);
	// the canonicalization of SignedInfo may.
	Comments bool
	// Without is a child element left out of the form (enveloped-signature);
	// zero for none.
	Without Node
}

// Canonical writes the exclusive canonical form of n and of all it holds. It
// allocates nothing that grows with the message and its cost is linear in its
// bytes: between two fixes the message's own bytes are the canonical form.
func (n Node) Canonical(w io.Writer, form C14N) error {
	ix := n.e.ix
	c := &ix.scratch
	c.start(ix, w, form)
	el := &ix.elems[n.i]
	c.tag(n.i, true)
	pos, k := el.open, int(el.fix)
	if !form.Without.IsZero() && n.Contains(form.Without) {
		out := &ix.elems[form.Without.i]
		k = c.run(pos, out.start, k)
		pos = out.end
		for k < len(ix.fixes) && ix.fixes[k].off < out.end {
			k++
		}
	}
	if el.open != el.end { // not <a/>, which tag has written whole
		c.run(pos, el.shut, k)
		c.endTag(el)
	}
	return c.finish()
}

// canon is the state of one canonicalization; its slices are kept for the next.
type canon struct {
	ix       *index
	w        io.Writer
	form     C14N
	err      error
	buf      []byte // small pieces gathered before they are written
	rendered []int32
	restore  []restoration
	pairs    []uint32 // prefixes to declare on the current element
	order    []uint32 // its attributes, sorted
}

// A restoration gives back what was rendered for a prefix once the element
// that rendered it has ended.
type restoration struct {
	prefix uint32
	old    int32
	end    uint32
}

const notRendered = -2 // in rendered; none (-1) is xmlns="" or nothing in scope

const flushAt = 2048

func (c *canon) start(ix *index, w io.Writer, form C14N) {
	c.ix, c.w, c.form, c.err = ix, w, form, nil
	c.buf, c.restore = c.buf[:0], c.restore[:0]
	c.rendered = slices.Grow(c.rendered[:0], len(ix.prefixes))[:len(ix.prefixes)]
	for i := range c.rendered {
		c.rendered[i] = notRendered
	}
}

func (c *canon) finish() error {
	c.flush()
	c.ix, c.w, c.form = nil, nil, C14N{}
	return c.err
}

func (c *canon) flush() {
	c.write(c.buf)
	c.buf = c.buf[:0]
}

// canonFactor and canonLeast bound the canonical bytes written of one message:
// a namespace declared once is written again on each sibling that uses it, so
// the form of a small message may be huge.
const (
	canonFactor = 4
	canonLeast  = 1 << 20
)

func (c *canon) write(b []byte) {
	if len(b) == 0 || c.err != nil {
		return
	}
	if c.ix.canon -= len(b); c.ix.canon < 0 {
		c.err = roc.Refuse(roc.TooLarge, "canonical form too large").Because(roc.MessageTooLarge).
			Saying("La forme canonique du message est trop grande : les mêmes espaces de noms y sont répétés sur trop d'éléments.")
		return
	}
	_, c.err = c.w.Write(b)
}

func (c *canon) raw(from, to uint32) {
	if to <= from {
		return
	}
	b := c.ix.raw[from:to]
	if len(c.buf)+len(b) <= flushAt {
		c.buf = append(c.buf, b...)
		return
	}
	c.flush()
	if len(b) < flushAt/4 {
		c.buf = append(c.buf, b...)
	} else {
		c.write(b)
	}
}

func (c *canon) text(s string) {
	if len(c.buf)+len(s) > flushAt {
		c.flush()
	}
	c.buf = append(c.buf, s...)
}

// run writes the message from pos to end, applying the fixes from k on that
// stand there. It returns the first fix that it did not reach.
func (c *canon) run(pos, end uint32, k int) int {
	fixes := c.ix.fixes
	for ; k < len(fixes) && fixes[k].off < end && c.err == nil; k++ {
		f := &fixes[k]
		c.raw(pos, f.off)
		pos = f.end
		switch f.kind {
		case fixTag:
			c.tag(f.elem, false)
		case fixEnd:
			c.endTag(&c.ix.elems[f.elem])
		default:
			c.characters(f.off, f.end)
		}
	}
	c.raw(pos, end)
	return k
}

func (c *canon) endTag(el *element) {
	c.text("</")
	c.raw(el.start+1, el.start+1+uint32(el.nlen))
	c.text(">")
}

// tag writes a start tag, and the end tag of an empty element.
func (c *canon) tag(i int32, apex bool) {
	ix := c.ix
	el := &ix.elems[i]
	for len(c.restore) > 0 && c.restore[len(c.restore)-1].end <= el.start {
		last := c.restore[len(c.restore)-1]
		c.restore = c.restore[:len(c.restore)-1]
		c.rendered[last.prefix] = last.old
	}
	c.text("<")
	c.raw(el.start+1, el.start+1+uint32(el.nlen))
	c.pairs = c.pairs[:0]
	if el.prefix != prefixXML { // never declared (C14N 1.0, 2.3)
		c.use(el, el.prefix, el.bind)
	}
	attrs := ix.attrs[el.attr : el.attr+uint32(el.nattr)]
	for k := range attrs {
		if b := attrs[k].bind; b > declXML {
			c.use(el, ix.decls[b].prefix, b)
		}
	}
	if len(c.form.Prefixes) > 0 {
		c.inclusive(i, el, apex)
	}
	c.namespaces()
	c.attributes(el, attrs)
	c.text(">")
	if el.open == el.end {
		c.endTag(el)
	}
}

// use declares a prefix on the element, unless the nearest element of the
// output that declares it gives it the same URI.
func (c *canon) use(el *element, prefix uint32, bind int32) {
	old := c.rendered[prefix]
	if old == bind && old != notRendered {
		return
	}
	if old == notRendered {
		if bind == none { // no namespace, and nothing to undo
			return
		}
	} else if c.ix.uri(old) == c.ix.uri(bind) {
		return
	}
	c.rendered[prefix] = bind
	c.restore = append(c.restore, restoration{prefix, old, el.end})
	c.pairs = append(c.pairs, prefix)
}

// inclusive applies the PrefixList: those prefixes are declared wherever their
// binding changes, used or not. Below the apex it can only change on an
// element that declares.
func (c *canon) inclusive(i int32, el *element, apex bool) {
	ix := c.ix
	if apex {
		for _, p := range c.form.Prefixes {
			if pid, bind, ok := ix.inScope(i, p); ok {
				c.use(el, pid, bind)
			}
		}
		return
	}
	for d := el.decl; d < el.decl+uint32(el.ndecl); d++ {
		decl := &ix.decls[d]
		if decl.prefix == prefixXML || !slices.Contains(c.form.Prefixes, ix.prefixText(decl.prefix)) {
			continue
		}
		bind := int32(d)
		if ix.uri(bind) == "" {
			bind = none
		}
		c.use(el, decl.prefix, bind)
	}
}

// inScope finds the binding of a prefix at an element.
func (ix *index) inScope(i int32, prefix string) (pid uint32, bind int32, ok bool) {
	if prefix == "xml" {
		return 0, 0, false
	}
	for ; i >= 0; i = ix.elems[i].parent {
		el := &ix.elems[i]
		for d := el.decl; d < el.decl+uint32(el.ndecl); d++ {
			if pid = ix.decls[d].prefix; ix.prefixText(pid) == prefix {
				if ix.uri(int32(d)) == "" {
					return pid, none, true
				}
				return pid, int32(d), true
			}
		}
	}
	return 0, 0, false
}

// namespaces writes the declarations gathered in pairs, sorted by prefix.
func (c *canon) namespaces() {
	ix := c.ix
	if len(c.pairs) > 1 {
		slices.SortFunc(c.pairs, func(a, b uint32) int {
			return strings.Compare(ix.prefixText(a), ix.prefixText(b))
		})
	}
	for _, p := range c.pairs {
		if p == prefixNone {
			c.text(` xmlns="`)
		} else {
			c.text(" xmlns:")
			c.text(ix.prefixText(p))
			c.text(`="`)
		}
		c.value(ix.uri(c.rendered[p]))
		c.text(`"`)
	}
}

// attributes writes attributes sorted by namespace URI, then local name.
func (c *canon) attributes(el *element, attrs []attribute) {
	ix := c.ix
	c.order = c.order[:0]
	for k := range attrs {
		c.order = append(c.order, el.attr+uint32(k))
	}
	if len(attrs) > 1 {
		slices.SortFunc(c.order, func(i, j uint32) int {
			a, b := &ix.attrs[i], &ix.attrs[j]
			if a.bind != b.bind {
				if d := strings.Compare(ix.uri(a.bind), ix.uri(b.bind)); d != 0 {
					return d
				}
			}
			return strings.Compare(ix.local(a), ix.local(b))
		})
	}
	for _, k := range c.order {
		a := &ix.attrs[k]
		c.text(" ")
		c.raw(a.name, a.name+uint32(a.nlen))
		c.text(`="`)
		c.value(ix.valueOf(a))
		c.text(`"`)
	}
}

// value writes the value of an attribute, escaped (C14N 1.0, 2.3).
func (c *canon) value(s string) {
	for {
		k := strings.IndexAny(s, "&<\"\t\n\r")
		if k < 0 {
			c.text(s)
			return
		}
		c.text(s[:k])
		c.text(escapes[s[k]])
		s = s[k+1:]
	}
}

var escapes = [256]string{'&': "&amp;", '<': "&lt;", '>': "&gt;", '"': "&quot;", '\t': "&#x9;", '\n': "&#xA;", '\r': "&#xD;"}

// characters writes character data that holds something to rewrite:
// references, CDATA, carriage returns, '>' and comments.
func (c *canon) characters(from, to uint32) {
	b := c.ix.raw[:to]
	for i := int(from); i < len(b); {
		j := skipPlain(b, i)
		c.raw(uint32(i), uint32(j))
		if i = j; i >= len(b) {
			return
		}
		switch b[i] {
		case '>':
			c.text("&gt;")
			i++
		case '&':
			r, n := decodeReference(b[i:])
			c.character(r)
			i += n
		case '\r':
			if i++; i >= len(b) || b[i] != '\n' {
				c.text("\n")
			}
		case '<':
			if b[i+2] == '-' {
				n := 4 + bytes.Index(b[i+4:], []byte("-->")) + 3
				if c.form.Comments {
					c.comment(uint32(i), uint32(i+n))
				}
				i += n
			} else {
				n := bytes.Index(b[i+9:], []byte("]]>"))
				c.cdata(uint32(i+9), uint32(i+9+n))
				i += 9 + n + 3
			}
		default:
			c.raw(uint32(i), uint32(i+1))
			i++
		}
	}
}

// character writes a character that a reference named, escaped as text.
func (c *canon) character(r rune) {
	switch r {
	case '&', '<', '>', '\r':
		c.text(escapes[r])
	default:
		c.text(string(r))
	}
}

// cdata writes the content of a CDATA section, escaped as text.
func (c *canon) cdata(from, to uint32) {
	raw := c.ix.raw
	for at := from; at < to; at++ {
		switch ch := raw[at]; ch {
		case '&', '<', '>':
			c.raw(from, at)
			c.text(escapes[ch])
			from = at + 1
		case '\r':
			c.raw(from, at)
			if at+1 >= to || raw[at+1] != '\n' {
				c.text("\n")
			}
			from = at + 1
		}
	}
	c.raw(from, to)
}

// comment writes a comment with its line ends normalized.
func (c *canon) comment(from, to uint32) {
	raw := c.ix.raw
	for at := from; at < to; at++ {
		if raw[at] == '\r' {
			c.raw(from, at)
			if raw[at+1] != '\n' {
				c.text("\n")
			}
			from = at + 1
		}
	}
	c.raw(from, to)
}
