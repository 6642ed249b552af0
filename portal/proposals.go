package portal

import (
	"errors"
	"strings"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/portal/access"
	"github.com/piano-roc/rpn/portal/proposal"
)

// approve is the word of the button that lets something pass.
func (q *question) approve() string {
	if q.p.o.Proposals != nil {
		return "proposer d'approuver"
	}
	return "approuver"
}

// waits reports whether something waits for an operator at that host.
func (q *question) waits(amc roc.NumeroAMC, host string) bool {
	w := q.about.Waiting()
	for _, m := range w.Moves {
		if m.AMC == amc && strings.EqualFold(m.Host, host) {
			return true
		}
	}
	for _, d := range w.Domains {
		if d.AMC == amc && strings.EqualFold(d.Host, host) {
			return true
		}
	}
	return false
}

// proposalSections are what waits for a second operator, and what became of the rest.
func (q *question) proposalSections() []section {
	waiting := &table{Caption: "Propositions à confirmer", Quiet: true, Wide: true, Head: columns("Acte", "Proposé par", "Le", "Motif", "Jusqu'au", "Décision"), Empty: "Aucune proposition n'attend une seconde personne."}
	done := &table{Caption: "Dernières propositions", Quiet: true, Head: columns("Acte", "Proposé par", "Le", "Motif", "Suite", "Par", "Motif de la suite"), Empty: "Aucune proposition n'a encore eu de suite."}
	for _, p := range q.about.Proposals() {
		row := []cell{q.subjectCell(&p.Subject), text(p.By.Name), text(instant(p.Made)), text(p.Why)}
		at := p.StateAt(q.now())
		switch {
		case at == proposal.Waiting:
			waiting.Rows = append(waiting.Rows, append(row, text(instant(p.Ends)), q.proposalForm(&p)))
		case len(done.Rows) < listed:
			state := proposalStates[at]
			if !p.Decided.IsZero() {
				state.Text += " le " + instant(p.Decided)
			}
			done.Rows = append(done.Rows, append(row, state, text(or(p.Second.Name, "-")), text(or(p.SecondWhy, "-"))))
		}
	}
	sections := []section{{ID: "propositions", Heading: "À confirmer par une seconde personne", Table: waiting}}
	if len(done.Rows) > 0 {
		sections = append(sections, section{ID: "suites", Heading: "Dernières propositions", Table: done})
	}
	return sections
}

// proposalStates are the states of a proposal in French.
var proposalStates = map[proposal.State]cell{
	proposal.Confirmed: {Text: "confirmée", State: "good"}, proposal.Failed: {Text: "confirmée, sans effet : rien n'attendait plus", State: "bad"},
	proposal.Withdrawn: {Text: "écartée"}, proposal.Lapsed: {Text: "caduque : personne ne l'a confirmée à temps"},
}

func (q *question) subjectCell(s *proposal.Subject) cell {
	c := q.amcCell(s.AMC)
	c.Text = "Approuver " + s.Host + " pour " + c.Text
	return c
}

// proposalForm confirms a proposal, or sets it aside, for who may.
func (q *question) proposalForm(p *proposal.Proposal) cell {
	v := q.reader.Viewer()
	if !v.May(access.Exploitation) || q.p.o.Decide == nil {
		return text("à confirmer")
	}
	state, options := "", []option{{Value: "", Text: "choisir"}}
	if p.By.Same(v.Operator()) {
		state = "à confirmer par une autre personne que vous"
	} else {
		options = append(options, option{Value: "confirmer", Text: "confirmer"})
	}
	return cell{Text: state, Form: &form{Action: q.link("/decisions/proposition"), Post: true, Token: q.p.token(v, q.now()), Label: "Proposition de " + p.By.Name + " du " + instant(p.Made), Button: "Décider",
		Hidden: []fact{{"proposition", p.ID}},
		Fields: []field{{Name: "acte", Label: "Décision", Kind: "select", Options: append(options, option{Value: "ecarter", Text: "écarter"})}, {Name: "motif", Label: "Motif", Required: true}}}}
}

// decideProposal confirms a proposal, or sets it aside. It is a POST, with its token;
// the role was looked at.
func decideProposal(q *question) (any, error) {
	book, f, v := q.p.o.Proposals, q.PostForm, q.reader.Viewer()
	if book == nil || q.p.o.Decide == nil {
		return nil, errForbidden
	}
	id, why := f.Get("proposition"), f.Get("motif")
	var err error
	switch f.Get("acte") {
	case "confirmer":
		_, err = book.Confirm(id, v.Operator(), why, q.p.doProposal)
	case "ecarter":
		_, err = book.Withdraw(id, v.Operator(), why)
	default:
		return nil, badRequest("Choisissez confirmer ou écarter.")
	}
	if err != nil {
		return nil, proposalError(err)
	}
	return moved("/decisions#propositions"), nil
}

// doProposal does what two operators decided, by both names and for both reasons.
func (p *Portal) doProposal(x proposal.Proposal) error {
	who, why := x.By.Name+" ; confirmé par "+x.Second.Name, x.Why+" ; "+x.SecondWhy
	if _, err := p.o.Decide(true, x.Subject.AMC, x.Subject.Host, who, why); err != nil {
		return err
	}
	p.o.Log.Info("two operators act at the portal", "event", "portal_act", "act", "approuver", "amc", string(x.Subject.AMC), "host", x.Subject.Host, "who", who, "why", why)
	return nil
}

// proposalError is an error of the proposals, for who reads the page.
func proposalError(err error) error {
	switch {
	case errors.Is(err, proposal.ErrSame):
		return badRequest("La seconde personne n'est pas la première : vous ne pouvez pas confirmer votre propre proposition, ni avec un autre certificat, ni par une autre connexion.")
	case errors.Is(err, proposal.ErrUnknown):
		return badRequest("Cette proposition n'attend plus : elle est confirmée, écartée, ou trop ancienne.")
	case errors.Is(err, proposal.ErrProposed):
		return badRequest("C'est déjà proposé : une seconde personne peut le confirmer.")
	case errors.Is(err, proposal.ErrGone):
		return badRequest("Qui l'a proposé n'est plus un exploitant qui le peut : écartez cette proposition, et refaites-la.")
	case errors.Is(err, proposal.ErrTooMany):
		return badRequest("Trop de propositions attendent : confirmez-en, ou écartez-en.")
	case errors.Is(err, proposal.ErrWhy):
		return badRequest("Une décision a un motif, d'une ligne et de 200 caractères au plus.")
	case errors.Is(err, proposal.ErrClosed):
		return &unavailable{"Les propositions ne peuvent être ni lues ni écrites pour le moment. Recommencez plus tard, puis prévenez l'exploitant de cette machine.", err}
	}
	return badRequest("La proposition est confirmée, mais sans effet : rien n'attendait plus à cette adresse, ou la décision n'a pas pu être écrite.")
}

// toConfirm is how many proposals wait for the viewer: those of others.
func (q *question) toConfirm() (n int) {
	for _, p := range q.about.Proposals() {
		if p.StateAt(q.now()) == proposal.Waiting && !p.By.Same(q.reader.Viewer().Operator()) {
			n++
		}
	}
	return n
}
