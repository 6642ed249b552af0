package access

import (
	"slices"
	"strings"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/portal/proposal"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/tlsconf/expiry"
)

// Certificates are those of the subject, the nearest end first: of an
// establishment those that it was seen with, of the nation all. An insurer's are
// of its servers, which the register knows by their domains.
func (s *Subject) Certificates() (list []expiry.Expiry) {
	for _, e := range s.r.d.o.Certificates() {
		if s.holds(&e) {
			list = append(list, e)
		}
	}
	return list
}

func (s *Subject) holds(e *expiry.Expiry) bool {
	switch {
	case s.es != nil:
		return (e.Kind == expiry.CallerTLS || e.Kind == expiry.CallerSignature) && slices.Contains(s.structures, roc.StructureID(e.Owner))
	case s.numero != "":
		return e.Kind == expiry.PeerTLS && s.amc != nil && s.amc.Covers(register.DNSName(e.Owner))
	}
	return s.r.v.kind == Operator
}

// Waiting is what waits for an operator; of an insurer, what of it waits.
func (s *Subject) Waiting() (w Waiting) {
	if s.es != nil || s.numero == "" && s.r.v.kind != Operator {
		return w
	}
	all := s.r.d.o.Waiting()
	for _, m := range all.Moves {
		if s.numero == "" || m.AMC == s.numero {
			w.Moves = append(w.Moves, m)
		}
	}
	for _, q := range all.Domains {
		if s.numero == "" || q.AMC == s.numero {
			w.Domains = append(w.Domains, q)
		}
	}
	return w
}

// Proposals are the acts that wait for a second operator, or did, the latest first:
// for an operator who asks about the nation.
func (s *Subject) Proposals() []proposal.Proposal {
	if s.es != nil || s.numero != "" || s.r.v.kind != Operator || s.r.d.o.Proposals == nil {
		return nil
	}
	return s.r.d.o.Proposals()
}

// A RegisterSearch is for rows of the register. Zero fields ask for all.
type RegisterSearch struct {
	Text   string // in the name, the identifiers, the software; in any case
	Etat   string
	Region string
}

// Etablissements are the establishments of the register that match, for an
// operator.
func (s *Subject) Etablissements(q RegisterSearch) (list []*register.Etablissement) {
	if s.es != nil || s.numero != "" || s.r.v.kind != Operator {
		return nil
	}
	text := strings.ToLower(strings.TrimSpace(q.Text))
	for e := range s.r.d.o.Register().Etablissements() {
		if (q.Etat == "" || string(e.Etat) == q.Etat) && (q.Region == "" || e.Region == q.Region) && (text == "" || named(e, text)) {
			list = append(list, e)
		}
	}
	return list
}

func named(e *register.Etablissement, text string) bool {
	in := func(s string) bool { return strings.Contains(strings.ToLower(s), text) }
	return in(e.Nom) || in(e.Departement) || in(e.GAP) || slices.ContainsFunc(e.IDs(), func(id roc.StructureID) bool { return in(string(id)) })
}

// AMCs are the insurers of the register that match, for an operator.
func (s *Subject) AMCs(text string) (list []*register.AMC) {
	if s.es != nil || s.numero != "" || s.r.v.kind != Operator {
		return nil
	}
	text = strings.ToLower(strings.TrimSpace(text))
	for a := range s.r.d.o.Register().AMCs() {
		if text == "" || strings.Contains(strings.ToLower(a.Nom), text) || slices.ContainsFunc(a.Numeros, func(n roc.NumeroAMC) bool { return strings.Contains(string(n), text) }) {
			list = append(list, a)
		}
	}
	return list
}
