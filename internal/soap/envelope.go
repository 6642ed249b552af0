package soap

import (
	"fmt"
	"io"

	"github.com/piano-roc/rpn/internal/roc"
)

// An Envelope is a message that passed the scan and has the shape of a SOAP
// envelope. It keeps the bytes it was read from and never changes them. Like
// roc.Content it cannot be printed.
type Envelope struct {
	content roc.Content
	ix      *index
	version Version
	header  int32 // none when the message has no Header
	body    int32
}

// Read reads an envelope within the limits. It is strict and repairs nothing
// (profile section 2): the error is a *roc.Refusal for TooLarge, NotSOAP or
// ForbiddenXML and says where.
func Read(c roc.Content, lim Limits) (*Envelope, error) {
	e, err := ReadDocument(c, lim)
	if err != nil {
		return nil, err
	}
	if p, at := e.shape(); p != nil {
		err := p.at(c.Bytes(), at)
		e.Release()
		return nil, err
	}
	return e, nil
}

// ReadDocument reads any XML document with the strictness of Read, but without
// asking for the shape of an envelope: Header and Body are zero. It serves the
// tools and tests that look at other signed XML.
func ReadDocument(c roc.Content, lim Limits) (*Envelope, error) {
	ix := indexes.Get().(*index)
	if err := ix.scan(c.Bytes(), lim); err != nil {
		ix.release()
		return nil, err
	}
	return &Envelope{content: c, ix: ix, header: none, body: none}, nil
}

// Release returns the index for the next message. The caller promises that
// neither the Envelope nor a Node of it is used afterwards; a Node that is
// still used panics, it never shows another message.
func (e *Envelope) Release() {
	if e.ix != nil {
		e.ix.release()
		e.ix = nil
	}
}

// Content returns the message, byte for byte as it was read.
func (e *Envelope) Content() roc.Content { return e.content }

// Version returns the version of SOAP that the Envelope's namespace names.
func (e *Envelope) Version() Version { return e.version }

// Root returns the root element.
func (e *Envelope) Root() Node { return Node{e, 0} }

// Header returns the Header; zero when there is none.
func (e *Envelope) Header() Node { return e.node(e.header) }

// Body returns the Body. Nothing read from it is proven: only an xmlsig.Checked
// gives what the signature covers.
func (e *Envelope) Body() Node { return e.node(e.body) }

// Operation returns the name of the Body's only child.
func (e *Envelope) Operation() Name { return e.Body().First().Name() }

// HasComments reports whether a comment stands inside n.
func (e *Envelope) HasComments(n Node) bool {
	if e.ix.comments == 0 {
		return false
	}
	el := &e.ix.elems[n.i]
	for _, f := range e.ix.fixes[el.fix:] {
		if f.off >= el.end {
			break
		}
		if f.kind == fixComment {
			return true
		}
	}
	return false
}

// Format never writes the message.
func (e *Envelope) Format(s fmt.State, _ rune) { io.WriteString(s, e.content.String()) }

// MarshalText never writes the message.
func (e *Envelope) MarshalText() ([]byte, error) { return e.content.MarshalText() }

func (e *Envelope) node(i int32) Node {
	if i < 0 {
		return Node{}
	}
	return Node{e, i}
}

// shape finds Header and Body and refuses whatever else stands in the
// Envelope; at is where.
func (e *Envelope) shape() (p *problem, at int) {
	ix := e.ix
	root := e.Root()
	switch {
	case root.Is(NS11, "Envelope"):
		e.version = SOAP11
	case root.Is(NS12, "Envelope"):
		e.version = SOAP12
	default:
		return &notEnvelope, int(ix.elems[0].start)
	}
	ns := e.version.Namespace()
	for n := root.First(); !n.IsZero(); n = n.Next() {
		at = int(ix.elems[n.i].start)
		switch {
		case e.body != none && n.Is(ns, "Body"):
			return &twoBodies, at
		case e.body != none:
			return &afterBody, at
		case n.Is(ns, "Body"):
			e.body = n.i
		case n.Is(ns, "Header") && e.header != none:
			return &twoHeaders, at
		case n.Is(ns, "Header"):
			e.header = n.i
		default:
			return &misplaced, at
		}
	}
	el := &ix.elems[0]
	if e.body == none {
		return &noBody, int(el.start)
	}
	if p, at := e.noText(root); p != nil {
		return p, at
	}
	if e.header != none {
		if p, at := e.noText(e.Header()); p != nil {
			return p, at
		}
	}
	return e.bodyShape()
}

func (e *Envelope) bodyShape() (*problem, int) {
	ix, body := e.ix, e.Body()
	el := &ix.elems[body.i]
	if op := body.First(); op.IsZero() || !op.Next().IsZero() {
		return &bodyChildren, int(el.start)
	}
	if p, at := e.noText(body); p != nil {
		return &bodyChildren, at
	}
	// No element follows the Body (see shape) and no text (see noText of the
	// Envelope): white space and comments are in no signature, and no node of
	// SOAP reads them.
	if ix.comments == 0 {
		return nil, 0
	}
	for _, f := range ix.fixes[el.fix:] {
		if f.off >= el.end {
			break
		}
		if f.kind == fixComment && e.splitsText(f) {
			return &splitText, int(f.off)
		}
	}
	return nil, 0
}

// noText refuses anything but white space and comments between the children
// of n.
func (e *Envelope) noText(n Node) (*problem, int) {
	if off, ok := n.onlyElements(); !ok {
		return &misplacedText, off
	}
	return nil, 0
}

// splitsText says whether the character data around a comment is more than
// white space: two readers may then see two different values.
func (e *Envelope) splitsText(f fix) bool {
	raw := e.ix.raw
	from := f.off
	for raw[from-1] != '>' { // back to the tag, over plain text
		from--
	}
	return !isSpace(appendText(nil, raw[from:f.end]))
}

func isSpace(b []byte) bool {
	for _, c := range b {
		if class[c]&space == 0 {
			return false
		}
	}
	return true
}
