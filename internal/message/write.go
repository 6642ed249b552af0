package message

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
)

// An Addressing holds the WS-Addressing headers of a message; an empty field
// is left out. wsa:Action is not among them: it follows from the operation and
// is written whenever a message has an Addressing.
type Addressing struct {
	MessageID string // "urn:uuid:..."
	RelatesTo string // in an answer: the MessageID of its request
	To        string
}

// AddressingOf returns the WS-Addressing headers of a message, to answer it,
// and false when it has none. They are usually unsigned: nothing is decided by
// them.
func AddressingOf(env *soap.Envelope) (Addressing, bool) {
	var a Addressing
	found := false
	for n := env.Header().First(); !n.IsZero(); n = n.Next() {
		name := n.Name()
		if name.Space != soap.NSWSA {
			continue
		}
		found = true
		text, _ := n.Text()
		switch name.Local {
		case "MessageID":
			a.MessageID = text
		case "RelatesTo":
			a.RelatesTo = text
		case "To":
			a.To = text
		}
	}
	return a, found
}

// RelatesTo are the messages that an answer claims to answer, by the RelatesTo
// of every addressing namespace; those that name none (empty, or the
// "unspecified" of WS-Addressing) are left out. It is not always signed: it may
// only lead to a refusal.
func RelatesTo(env *soap.Envelope) []string { return addressed(env, "RelatesTo") }

// MessageIDs are the ids that a message has by the MessageID of every
// addressing namespace: one, usually.
func MessageIDs(env *soap.Envelope) []string { return addressed(env, "MessageID") }

func addressed(env *soap.Envelope, local string) (texts []string) {
	for n := env.Header().First(); !n.IsZero(); n = n.Next() {
		name := n.Name()
		if name.Local != local || !slices.Contains(addressing[:], name.Space) {
			continue
		}
		text, _ := n.Text()
		if text = strings.TrimSpace(text); text != "" && text != soap.NSWSA+"/unspecified" {
			texts = append(texts, text)
		}
	}
	return texts
}

// A writer writes one XML document. It escapes every text it is given; names
// and namespaces are constants of this package.
type writer struct{ b []byte }

func (w *writer) raw(s string)   { w.b = append(w.b, s...) }
func (w *writer) open(n string)  { w.raw("<" + n + ">") }
func (w *writer) close(n string) { w.raw("</" + n + ">") }

func (w *writer) element(n, text string) {
	w.open(n)
	w.text(text)
	w.close(n)
}

// optional writes the element unless its text is empty.
func (w *writer) optional(n, text string) {
	if text != "" {
		w.element(n, text)
	}
}

func (w *writer) number(n string, v int) { w.element(n, strconv.Itoa(v)) }

// text writes character data. What XML 1.0 section 2.2 cannot hold becomes
// U+FFFD; a carriage return is written as a reference, or it would be read
// back as a newline.
func (w *writer) text(s string) {
	for _, r := range s {
		switch {
		case r == '&':
			w.raw("&amp;")
		case r == '<':
			w.raw("&lt;")
		case r == '>':
			w.raw("&gt;")
		case r == '"':
			w.raw("&quot;")
		case r == '\r':
			w.raw("&#xD;")
		case r < 0x20 && r != '\t' && r != '\n', r == 0xFFFE, r == 0xFFFF:
			w.raw("\uFFFD")
		default:
			w.b = utf8.AppendRune(w.b, r)
		}
	}
}

// A kind says which end of an operation a message is.
type kind uint8

const (
	request kind = iota
	answer
)

// envelope writes a whole unsigned message: the envelope, its Header, and a
// Body whose only child is the request or answer of the operation, filled by
// inside.
func envelope(v soap.Version, op Operation, k kind, a *Addressing, inside func(w *writer)) roc.Content {
	p := "soap"
	if v == soap.SOAP11 {
		p = "soapenv"
	}
	name, action := op.Request, op.Action
	if k == answer {
		name, action = op.Answer, op.AnswerAction
	}
	// The public annuaire request is a bare Body (docs/profile.md, section 5).
	bare := op.Service == roc.Annuaire && k == request && a == nil
	w := &writer{b: make([]byte, 0, 4096)}
	w.raw(`<?xml version="1.0" encoding="UTF-8"?>` + "\n")
	w.raw("<" + p + `:Envelope xmlns:` + p + `="` + v.Namespace() + `"`)
	if bare {
		w.raw("><" + p + ":Body>")
	} else {
		w.head(p, a, action)
	}
	root := op.prefix + ":" + name.Local
	w.raw("<" + root + " xmlns:" + op.prefix + `="` + name.Space + `">`)
	inside(w)
	w.close(root)
	w.close(p + ":Body")
	w.close(p + ":Envelope")
	return roc.NewContent(w.b)
}

// head writes the rest of the Envelope's tag, the Header and the Body's tag.
func (w *writer) head(p string, a *Addressing, action string) {
	if a != nil {
		w.raw(` xmlns:wsa="` + soap.NSWSA + `"`)
	}
	w.raw(` xmlns:wsu="` + soap.NSWSU + `">`)
	w.header(p, a, action)
	w.raw("<" + p + `:Body wsu:Id="corps">`)
}

func (w *writer) header(p string, a *Addressing, action string) {
	if a == nil {
		w.raw("<" + p + ":Header/>")
		return
	}
	w.open(p + ":Header")
	w.element("wsa:Action", action)
	w.optional("wsa:MessageID", a.MessageID)
	w.optional("wsa:RelatesTo", a.RelatesTo)
	w.optional("wsa:To", a.To)
	w.close(p + ":Header")
}

// operation is the line of the table for a builder; an unknown version is a
// mistake in the program.
func operation(s roc.Service, v roc.Version) Operation {
	op, ok := OperationFor(s, v)
	if !ok {
		panic("message: no operation for " + s.String() + " " + v.String())
	}
	return op
}
