package access

import (
	"errors"
	"fmt"
	"slices"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/portal/invitation"
	"github.com/piano-roc/rpn/register"
)

// An Identity is what somebody who came by OpenID Connect may read as: a party, or
// an operator of the configuration. What gave it (claims, an invitation) was
// verified by who made it.
type Identity struct {
	Party    invitation.Party
	Operator Listed // its Role is "" for a party
	Claim    string // of an operator: by which claim and value it is one

	Person string // its pseudonym; "": nobody yet
}

// Person says what an identity reads, by the register as it is now. It is asked at
// each request, and fails closed by a *Refusal. It is stricter than Admit: of a
// party that is suspended nobody reads but the holder of its certificate, who is
// the one to answer for it.
func (d *Door) Person(i Identity, key string) (Viewer, error) {
	v, err := d.person(i)
	v.key, v.person = key, true
	if err != nil {
		return Viewer{}, err
	}
	return v, nil
}

func (d *Door) person(i Identity) (Viewer, error) {
	list := d.Register()
	var none roc.CertificateID
	switch {
	case i.Operator.Role != "":
		if !i.Operator.Role.May(Lecture) || !d.Operates(i) {
			return Viewer{}, &Refusal{"Vous n'êtes plus un exploitant inscrit dans la configuration du RPN.", errors.New("an operator by a claim that the configuration no longer has")}
		}
		var marks []string
		if i.Person != "" {
			marks = []string{"person " + i.Person}
		}
		return ofOperator(i.Operator, "", marks...), nil
	case i.Party.AMC != "":
		if a, known := list.AMC(i.Party.AMC); known && reads(a) {
			return ofAMCs([]*register.AMC{a}, none), nil
		}
	case i.Party.Structure != "":
		if e, known := list.ByStructure(i.Party.Structure); known {
			if e.Etat == register.Attendu || e.Etat == register.Suspendu || e.Etat == register.Clos {
				break
			}
			return ofEtablissement(e, none), nil
		}
		var open []*register.AMC
		for _, a := range list.AMCsOf(i.Party.Structure) {
			if reads(a) {
				open = append(open, a)
			}
		}
		if len(open) > 0 {
			return ofAMCs(open, none), nil
		}
	}
	return Viewer{}, notAdmitted(i.Party)
}

func reads(a *register.AMC) bool {
	return a.Etat != "" && a.Etat != register.AMCSuspendu && a.Etat != register.AMCClos
}

func notAdmitted(p invitation.Party) *Refusal {
	return &Refusal{"L'établissement ou l'organisme dont vous lisiez les pages n'a pas, ou n'a plus, accès au RPN ROC. Adressez-vous à lui, ou à l'ANS.", fmt.Errorf("%s: not in the register, suspended or closed", p)}
}

// ByCertificate reports whether the viewer came with a certificate of its own.
func (v Viewer) ByCertificate() bool { return v.kind != Public && !v.person && v.key != consoleKey }

// ErrNotYours is of an act that the viewer may see and may not do.
var ErrNotYours = errors.New("only the holder of the certificate, or an operator of administration, may do that")

// Inviter is the party that the subject is, where its viewer may let persons in to
// its pages: the holder of its certificate, or an operator of administration. A
// person who was let in lets nobody in.
func (s *Subject) Inviter() (invitation.Party, error) {
	if _, err := s.Invitations(); err != nil {
		return invitation.Party{}, err
	}
	may := s.r.v.ByCertificate()
	if s.r.v.kind == Operator {
		may = s.r.v.May(Administration)
	}
	party, known := s.party()
	if !known || !may {
		return invitation.Party{}, ErrNotYours
	}
	return party, nil
}

// Revokes reports whether the viewer may revoke the invitations that it sees: those of
// its own party or, for an operator of administration, any.
func (s *Subject) Revokes() bool { return s.r.v.kind != Operator || s.r.v.May(Administration) }

// Revocable reports, by no error, whether the viewer may revoke that invitation.
func (s *Subject) Revocable(id string) error {
	list, err := s.Invitations()
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(list, func(i invitation.Invitation) bool { return i.ID == id }) {
		return ErrHidden
	}
	if !s.Revokes() {
		return ErrNotYours
	}
	return nil
}

func (s *Subject) party() (p invitation.Party, known bool) {
	switch {
	case s.es != nil:
		return invitation.Party{Structure: s.es.Structure}, true
	case s.amc != nil:
		return invitation.Party{AMC: s.numero}, true
	}
	return p, false
}

// Invitations are those to the subject's pages, the latest first; to an operator
// who asks about the nation, all. A person who was let in does not see them.
func (s *Subject) Invitations() (list []invitation.Invitation, err error) {
	if s.r.d.o.Invitations == nil || s.r.v.kind != Operator && !s.r.v.ByCertificate() {
		return nil, ErrHidden
	}
	party, one := s.party()
	for _, i := range s.r.d.o.Invitations() {
		if !one && s.numero == "" && s.r.v.kind == Operator || one && s.concerns(i.Party, party) {
			list = append(list, i)
		}
	}
	return list, nil
}

// concerns reports whether an invitation is to the pages of the subject: by any of
// its identifiers.
func (s *Subject) concerns(of, party invitation.Party) bool {
	switch {
	case of == party:
		return true
	case s.es != nil && of.Structure != "":
		e, known := s.r.d.o.Register().ByStructure(of.Structure)
		return known && e.Structure == s.es.Structure
	case s.amc != nil && of.AMC != "":
		return s.amc.Has(of.AMC)
	case s.amc != nil && of.Structure != "":
		return slices.ContainsFunc(s.r.d.o.Register().AMCsOf(of.Structure), func(a *register.AMC) bool { return a.Has(s.numero) })
	}
	return false
}
