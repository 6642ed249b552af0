package nation

import (
	"slices"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	inner "github.com/piano-roc/rpn/nation"
)

// An Etablissement sends messages.
type Etablissement struct {
	*inner.Etablissement
	n *Nation
}

// A Mutation makes a message different, or wrong on purpose. The package
// nation has more.
type Mutation = inner.Mutation

// V1 sends in V1; V2 is the usual one.
func V1(d *inner.Draft) { d.Version = roc.V1 }

// SOAP11 sends in SOAP 1.1; 1.2 is the usual one.
func SOAP11(d *inner.Draft) { d.SOAP = soap.SOAP11 }

// Send sends one message and returns what came of it.
func (e *Etablissement) Send(s roc.Service, amc string, how ...Mutation) *Reply {
	e.n.t.Helper()
	r := &Reply{t: e.n.t, n: e.n}
	keep := func(d *inner.Draft) {
		r.soap = d.SOAP
		alter := d.Alter
		d.Alter = func(b []byte) []byte {
			if alter != nil {
				b = alter(b)
			}
			r.Sent = b
			return b
		}
	}
	r.Outcome = e.Etablissement.Send(e.n.t.Context(), s, roc.V2, soap.SOAP12, amc, slices.Concat(how, []Mutation{keep})...)
	return r
}

// SendBoth sends the message in V1 and SOAP 1.1, then in V2 and SOAP 1.2.
func (e *Etablissement) SendBoth(s roc.Service, amc string, how ...Mutation) Replies {
	e.n.t.Helper()
	return Replies{e.Send(s, amc, slices.Concat([]Mutation{V1, SOAP11}, how)...), e.Send(s, amc, how...)}
}
