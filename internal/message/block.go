package message

import (
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/internal/xsd"
)

const nsXSI = "http://www.w3.org/2001/XMLSchema-instance"

// A field is a child of a block that decides (adressage, etablissement).
type field struct {
	name, path string
	optional   bool // it may be absent, empty, or nil (xsi:nil)
}

// onlyBlock returns the block of that name. No sibling may have the same name,
// in another namespace or in other case: an insurer's software might read that
// one.
func onlyBlock(body soap.Node, name string) (soap.Node, error) {
	var found soap.Node
	alike := false
	for n := body.First(); !n.IsZero(); n = n.Next() {
		switch {
		case !n.Is("", name):
			alike = alike || n.IsAlike(name)
		case !found.IsZero():
			return found, twice(name)
		default:
			found = n
		}
	}
	switch {
	case found.IsZero():
		return found, missing(name)
	case alike:
		return found, unexpected(name)
	}
	return found, nil
}

// readBlock reads a block that decides, so strictly (profile section 4): its
// fields, unqualified, in their order, each once, and nothing else: no foreign
// element, no text, no attribute. Something ignored here might be the field for
// another reader. The white space of values is collapsed, as their schema types
// say.
func readBlock(block soap.Node, name string, fields []field, each func(f *field, value string) error) error {
	if hasAttributes(block) {
		return attributed(name)
	}
	if !block.OnlyElements() {
		return unexpected(name)
	}
	next := 0
	for n := block.First(); !n.IsZero(); n = n.Next() {
		i := 0
		for i < len(fields) && !n.Is("", fields[i].name) {
			i++
		}
		switch {
		case i == len(fields):
			return unexpected(name)
		case i == next-1:
			return twice(fields[i].path)
		case i < next:
			return misplaced(fields[i].path)
		}
		for ; next < i; next++ {
			if !fields[next].optional {
				if n := block.Child("", fields[next].name); !n.IsZero() {
					return misplaced(fields[next].path)
				}
				return missing(fields[next].path)
			}
		}
		next++
		value, err := valueOf(n, &fields[i])
		if err != nil {
			return err
		}
		if err := each(&fields[i], value); err != nil {
			return err
		}
	}
	for ; next < len(fields); next++ {
		if !fields[next].optional {
			return missing(fields[next].path)
		}
	}
	return nil
}

func hasAttributes(n soap.Node) bool {
	for range n.Attrs {
		return true
	}
	return false
}

// valueOf returns the value of a field. xsi:nil means that there is none: only
// if there may be none, and never together with a value.
func valueOf(n soap.Node, f *field) (string, error) {
	nils := false
	for a, v := range n.Attrs {
		if _, err := xsd.Boolean(v); a.Space != nsXSI || a.Local != "nil" || err != nil || !f.optional {
			return "", attributed(f.path)
		}
		nils = true
	}
	s, ok := textOf(n)
	if !ok {
		return "", notText(f.path)
	}
	if s = xsd.Collapse(s); nils && s != "" {
		return "", attributed(f.path)
	}
	return s, nil
}

// textOf is n.Text with one allocation when the text is in the message as it
// is, which is nearly always the case.
func textOf(n soap.Node) (string, bool) {
	if b, ok := n.RawText(); ok {
		return string(b), true
	}
	return n.Text()
}
