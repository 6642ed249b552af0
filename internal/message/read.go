package message

import (
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/internal/xmlsig"
	"github.com/piano-roc/rpn/internal/xsd"
)

// A FieldError says which field of a body is missing or malformed. It holds no
// value of the message. Problem is in French: the caller reads it.
type FieldError struct {
	Field   string // "adressage/numero_amc"
	Problem string // "manque"
}

// Error is a sentence in French.
func (e *FieldError) Error() string { return "champ " + e.Field + " : " + e.Problem }

// A reader reads the unqualified elements of a body and keeps the first
// problem; what it returns afterwards means nothing. It is strict where two
// readers of one message could differ: an element that may occur once and
// occurs twice is an error.
type reader struct{ err *FieldError }

func (r *reader) fail(field, problem string) {
	if r.err == nil {
		r.err = &FieldError{field, problem}
	}
}

// done returns the first problem as an error.
func (r *reader) done() error {
	if r.err == nil {
		return nil
	}
	return r.err
}

// A located is an element and its path, for errors.
type located struct {
	node soap.Node
	path string
}

func (p located) absent() bool { return p.node.IsZero() }

func (p located) join(name string) string {
	if p.path == "" {
		return name
	}
	return p.path + "/" + name
}

// one returns the only child of that name, or an absent element.
func (r *reader) one(p located, name string) located {
	found := located{path: p.join(name)}
	for n := p.node.First(); !n.IsZero(); n = n.Next() {
		if !n.Is("", name) {
			continue
		}
		if !found.absent() {
			r.fail(found.path, "figure deux fois")
			return found
		}
		found.node = n
	}
	return found
}

// need is one, and the child must be there.
func (r *reader) need(p located, name string) located {
	c := r.one(p, name)
	if c.absent() {
		r.fail(c.path, "manque")
	}
	return c
}

// all calls each for every child of that name.
func (r *reader) all(p located, name string, each func(located)) {
	for n := p.node.First(); !n.IsZero(); n = n.Next() {
		if n.Is("", name) {
			each(located{n, p.join(name)})
		}
	}
}

// text returns the text of an optional child, "" when it is absent.
func (r *reader) text(p located, name string) string {
	c := r.one(p, name)
	if c.absent() {
		return ""
	}
	return r.textOf(c)
}

// must returns the text of a child that may be neither absent nor empty.
func (r *reader) must(p located, name string) string {
	c := r.need(p, name)
	if c.absent() {
		return ""
	}
	s := r.textOf(c)
	if s == "" {
		r.fail(c.path, "est vide")
	}
	return s
}

func (r *reader) textOf(p located) string {
	s, ok := p.node.Text()
	if !ok {
		r.fail(p.path, "n'est pas un simple texte")
	}
	return xsd.Collapse(s) // as every type of the schemas says
}

// number reads a child that is a number of at least 0, 0 when it is absent.
func (r *reader) number(p located, name string) int {
	s := r.text(p, name)
	if s == "" {
		return 0
	}
	v, err := xsd.Int(s, maxNumber)
	if err != nil {
		r.fail(p.join(name), "n'est pas un nombre entier")
		return 0
	}
	return v
}

// maxNumber is above the largest number of the schemas.
const maxNumber = 999_999_999

func (r *reader) montant(p located, name string) Montant {
	return parsed(r, p, name, r.must(p, name), ParseMontant)
}

// parsed reads s, the text of a child, when there is one.
func parsed[T any](r *reader, p located, name, s string, parse func(string) (T, error)) T {
	var none T
	if s == "" {
		return none
	}
	v, err := parse(s)
	if err != nil {
		r.fail(p.join(name), "est mal formé")
		return none
	}
	return v
}

// CheckFields reads every field of a signed request, as its insurer will, or the
// annuaire: the error is a *FieldError or a refusal. The RPN itself reads the
// routing key and the sites alone.
func CheckFields(c *xmlsig.Checked, env *soap.Envelope, op Operation) (err error) {
	switch op.Service {
	case roc.Annuaire:
		_, err = ReadSearch(env)
	case roc.SIM:
		_, err = ReadSIM(c)

	case roc.CLC:
		_, err = ReadCLC(c)

	case roc.ANL:
		_, err = ReadANL(c)
	default:
		_, err = ReadIDB(c)
	}
	return err
}
