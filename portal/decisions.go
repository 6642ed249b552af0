package portal

import (
	"strings"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/portal/access"
	"github.com/piano-roc/rpn/portal/proposal"
)

// decisionsPage is what waits for an operator: with the buttons, for who may
// decide, else with the command to type.
func decisionsPage(q *question) (any, error) {
	w := q.about.Waiting()
	moves := &table{Caption: "Déplacements retenus", Quiet: true, Head: columns("Organisme", "Service", "De", "Vers", "Depuis", "Décision"), Empty: "Aucun déplacement n'est retenu."}
	for _, m := range w.Moves {
		moves.Rows = append(moves.Rows, []cell{q.amcCell(m.AMC), text(m.Service + " " + m.Version), text(m.From), text(or(m.To, "retiré")), text(instant(m.Since)), q.decision(m.AMC, m.Host, m.Rejected, "à décider par commande (--removed)")})
	}
	domains := &table{Caption: "Domaines et organismes inconnus du registre", Quiet: true, Head: columns("Organisme", "Adresse", "Depuis", "Dernier message", "#Messages refusés", "Décision"), Empty: "Aucun domaine n'attend."}
	for _, d := range w.Domains {
		domains.Rows = append(domains.Rows, []cell{q.amcCell(d.AMC), text(or(d.Host, "organisme absent du registre")), text(instant(d.Since)), text(instant(d.Last)), text(count(int64(d.Refused))), q.decision(d.AMC, d.Host, d.Rejected, "à inscrire dans amc.yaml")})
	}
	lead := "Chaque décision est écrite, avec son auteur et son motif."
	if q.p.o.Proposals != nil {
		lead = "Approuver demande deux personnes : l'une propose, une autre confirme. Rejeter n'en demande qu'une. Chaque décision est écrite, avec ses auteurs et leurs motifs."
	}
	p := &page{Title: "À décider", Lead: "Approuver laisse passer cette adresse et aucune autre ; rejeter la tient à l'écart jusqu'à une approbation. " + lead + " Chaque instance du RPN retient et décide pour elle-même : décidez sur chacune.", Sections: []section{
		{ID: "deplacements", Heading: "Déplacements", Table: moves},
		{ID: "domaines", Heading: "Domaines", Table: domains},
		{ID: "commandes", Heading: "Les mêmes décisions, par commande", Code: "rpn annuaire held --config /etc/rpn/rpn.yaml\nrpn annuaire approve --config /etc/rpn/rpn.yaml --amc NUMERO --host ADRESSE --why MOTIF\nrpn annuaire reject  --config /etc/rpn/rpn.yaml --amc NUMERO --host ADRESSE --why MOTIF\nrpn annuaire approve --config /etc/rpn/rpn.yaml --amc NUMERO --removed --why MOTIF"},
	}}
	if q.p.o.Proposals != nil {
		p.Sections = append(q.proposalSections(), p.Sections...)
	}
	return p, nil
}

func (q *question) amcCell(n roc.NumeroAMC) cell {
	return cell{Text: or(q.reader.NameOfAMC(n), "AMC "+string(n)), Href: q.link("/amc/" + string(n))}
}

// decision is the form of one line, for who may decide; of a line without a host,
// what is to be done elsewhere.
func (q *question) decision(amc roc.NumeroAMC, host string, rejected bool, elsewhere string) cell {
	state := "à décider"
	switch {
	case rejected:
		state = "rejeté"
	case host == "":
		state = elsewhere
	}
	if q.p.o.Decide == nil || host == "" || !q.reader.Viewer().May(access.Exploitation) {
		return text(state)
	}
	return cell{Text: state, Form: &form{Action: q.link("/decisions"), Post: true, Token: q.p.token(q.reader.Viewer(), q.now()), Label: "Décision sur " + host, Button: "Décider",
		Hidden: []fact{{"amc", string(amc)}, {"hote", host}},
		Fields: []field{
			{Name: "acte", Label: "Décision", Kind: "select", Options: []option{{Value: "", Text: "choisir"}, {Value: "approuver", Text: q.approve()}, {Value: "rejeter", Text: "rejeter"}}},
			{Name: "motif", Label: "Motif", Required: true},
		}}}
}

// decide approves or rejects. It is a POST, with its token; the role was looked at.
func decide(q *question) (any, error) {
	if q.p.o.Decide == nil {
		return nil, errForbidden
	}
	f := q.PostForm
	amc, err := roc.ParseNumeroAMC(f.Get("amc"))
	why := strings.TrimSpace(f.Get("motif"))
	act := f.Get("acte")
	switch {
	case err != nil || f.Get("hote") == "":
		return nil, badRequest("La décision ne dit pas de quelle adresse.")
	case why == "" || len(why) > 200:
		return nil, badRequest("Une décision a un motif, de 200 caractères au plus.")
	case act != "approuver" && act != "rejeter":
		return nil, badRequest("Choisissez approuver ou rejeter.")
	}
	v := q.reader.Viewer()
	if act == "approuver" && q.p.o.Proposals != nil {
		if !q.waits(amc, f.Get("hote")) {
			return nil, badRequest("Rien n'attend à cette adresse.")
		}
		if _, err := q.p.o.Proposals.Propose(proposal.Subject{AMC: amc, Host: strings.ToLower(f.Get("hote"))}, v.Operator(), why); err != nil {
			return nil, proposalError(err)
		}
		return moved("/decisions#propositions"), nil
	}
	if _, err := q.p.o.Decide(act == "approuver", amc, f.Get("hote"), v.Name(), why); err != nil {
		return nil, badRequest("Cette décision n'a pas été prise : rien n'attend plus à cette adresse, ou elle n'a pas pu être écrite.")
	}
	q.p.o.Log.Info("an operator acts at the portal", "event", "portal_act", "act", act, "amc", string(amc), "host", f.Get("hote"), "who", v.Name(), "why", why)
	return moved("/decisions"), nil
}
