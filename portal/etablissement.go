package portal

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/piano-roc/rpn/indicators/report"
	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/portal/access"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/tlsconf/expiry"
)

// etablissementPage is what an establishment sees first: what to correct.
func etablissementPage(q *question) (any, error) {
	e := q.about.Etablissement()
	stats, err := q.today("echanges", "part_reponses", "p95_total", "part_non_abouti_etablissement", "part_joint")
	if err != nil {
		return nil, err
	}
	week := periods(q.now())[1]
	rows, err := q.about.Figures(q.Context(), access.Question{Grain: store.Day, From: week.from, To: week.to, By: []store.Dimension{store.ByAMC, store.ByCode, store.ByOwner}, NoDurations: true})
	if err != nil {
		return nil, err
	}
	charts, err := q.charts(q.about)
	if err != nil {
		return nil, err
	}
	p := &page{Title: e.Nom, Lead: "FINESS " + string(e.EJ) + ". Ce qui n'aboutit pas, à qui d'agir et comment ; puis les chiffres."}
	p.Sections = append(p.Sections,
		section{ID: "corriger", Heading: "À corriger, par effet", Note: "Les 7 derniers jours, l'effet le plus grand d'abord.", Table: q.causesTable("Causes des échanges qui n'ont pas abouti, 7 jours", rows, true)},
		section{ID: "jour", Heading: "Aujourd'hui", Stats: stats},
	)
	p.Sections = append(p.Sections, charts[0])
	if near := q.nearEnds(); near != nil {
		p.Sections = append(p.Sections, *near)
	}
	p.Sections = append(p.Sections, charts[1:]...)
	p.Sections = append(p.Sections, section{ID: "registre", Heading: "Au registre", Facts: q.registerFacts(e)}, q.subPages())
	return p, nil
}

// subPages are the other pages of the subject: an operator's menu has none of
// them.
func (q *question) subPages() section {
	s := section{ID: "pages", Heading: "Voir aussi"}
	add := func(text, path string) {
		s.Links = append(s.Links, link{Text: text, Href: q.link(q.path + path)})
	}
	add("Indicateurs", "/indicateurs")
	if q.about.Etablissement() != nil {
		add("Organismes appelés", "/organismes")
		add("Fichiers hebdomadaires", "/fichiers")
	} else if q.about.Numero() != "" {
		add("Établissements appelants", "/appelants")
	}
	add("Recherche d'échanges", "/echanges")
	add("Certificats", "/certificats")
	return s
}

func (q *question) registerFacts(e *register.Etablissement) (list []fact) {
	now := q.now()
	add := func(name, value string) {
		if value != "" {
			list = append(list, fact{name, value})
		}
	}
	c, _ := e.EtatAt(now)
	add("État", etatName(e.Etat))
	if !c.Depuis.IsZero() {
		add("Depuis", day(c.Depuis.Time))
	}
	add("Motif", e.Motif)
	if next, ok := e.Next(now); ok {
		add("Prochain état", etatName(next.Etat)+" le "+day(next.Depuis.Time))
	}
	if e.Etat == register.Surveillance {
		add("AMC miroir", or(q.reader.NameOfAMC(e.Miroir), string(e.Miroir)))
	}
	add("Logiciel (GAP)", e.GAP)
	for _, eg := range e.EGs {
		add("Site (EG)", string(eg))
	}
	for _, m := range e.Delegations {
		state := "en vigueur"
		if !m.Covers(now) {
			state = "pas en vigueur"
		}
		add("Mandat de signature", string(m.Structure)+", "+state)
	}
	for _, c := range e.Contacts {
		add("Contact", c.Nom+" "+c.Courriel)
	}
	return list
}

// soon is from when on the end of a certificate stands on the first page.
const soon = 60

// nearEnds is a section of the certificates that end soon; nil: none does.
func (q *question) nearEnds() *section {
	var near []expiry.Expiry
	for _, e := range q.about.Certificates() {
		if !e.Renewed && e.Days < soon {
			near = append(near, e)
		}
	}
	if len(near) == 0 {
		return nil
	}
	return &section{ID: "fins", Heading: "Certificats qui prennent fin", Table: certificatesTable("Certificats qui prennent fin dans les 60 jours", near, false, q)}
}

// organismesPage is one line for each insurer that the establishment called:
// was it them, or you?
func organismesPage(q *question) (any, error) {
	per, err := q.shortPeriod("7j")
	if err != nil {
		return nil, err
	}
	rows, err := q.about.Figures(q.Context(), access.Question{Grain: store.Day, From: per.from, To: per.to, By: append([]store.Dimension{store.ByAMC}, report.Dimensions...)})
	if err != nil {
		return nil, err
	}
	by := map[roc.NumeroAMC][]store.Row{}
	for _, r := range rows {
		by[r.AMC] = append(by[r.AMC], r)
	}
	var numeros []roc.NumeroAMC
	sums := map[roc.NumeroAMC]*report.Sum{}
	for n, rows := range by {
		numeros = append(numeros, n)
		sums[n] = report.SumOf(rows)
	}
	slices.SortFunc(numeros, func(x, y roc.NumeroAMC) int {
		return cmp.Or(cmp.Compare(sums[y].All.Exchanges, sums[x].All.Exchanges), cmp.Compare(x, y))
	})
	cards := report.CardsOf("echanges", "part_reponses", "part_joint", "p95_total", "p95_amc")
	t := &table{Caption: "Organismes appelés, " + per.name, Head: columns("Organisme", "Numéro"), Empty: "Aucun échange dans cette période."}
	for _, c := range cards {
		t.Head = append(t.Head, column{c.Name, true})
	}
	t.Head = append(t.Head, column{Text: "Eux, ou vous\u00a0?"})
	worst := slices.SortedFunc(slices.Values(numeros), func(x, y roc.NumeroAMC) int {
		return cmp.Or(cmp.Compare(sums[y].All.Failed, sums[x].All.Failed), cmp.Compare(x, y))
	})
	worst = worst[:min(maxPerceived, len(worst))]
	for _, n := range numeros {
		name := or(q.reader.NameOfAMC(n), "inconnu du registre")
		if n == "-" {
			name = "organisme non lu"
		}
		row := []cell{text(name), text(string(n))}
		for _, c := range cards {
			row = append(row, text(typeset(c.Format(sums[n]))))
		}
		verdict := ""
		if sums[n].All.Failed > 0 && slices.Contains(worst, n) {
			perceived, err := q.about.Perceived(q.Context(), n, per.from, per.to)
			if err != nil {
				return nil, err
			}
			verdict = perceived.String()
		}
		t.Rows = append(t.Rows, append(row, text(verdict)))
	}
	return &page{Title: "Organismes appelés", Lead: q.about.Etablissement().Nom, Sections: []section{
		{ID: "periode", Links: q.shortChoices(q.path+"/organismes", per)},
		{ID: "organismes", Table: t},
	}}, nil
}

// maxPerceived is for how many insurers, those that failed most, the others'
// figures are read.
const maxPerceived = 5

// filesPage lists the weekly files.
func filesPage(q *question) (any, error) {
	t := &table{Caption: "Fichiers CSV hebdomadaires", Wide: true, Head: columns("Semaine", "Du", "Au", "Fichiers")}
	now := q.now()
	for i := range 13 {
		w := report.WeekOf(now.AddDate(0, 0, -7*(i+1)))
		row := []cell{text(w.String()), text(day(w.Begin())), text(day(w.End().AddDate(0, 0, -1))), {}}
		for _, f := range report.Files() {
			row[3].Links = append(row[3].Links, link{Text: string(f), Href: q.link(fmt.Sprintf("%s/fichiers/%s/%s", q.path, w, f))})
		}
		t.Rows = append(t.Rows, row)
	}
	return &page{Title: "Fichiers hebdomadaires", Lead: q.about.Etablissement().Nom + ". Les mêmes fichiers que ceux du courriel du lundi et de « rpn indicators export ».", Sections: []section{
		{ID: "fichiers", Table: t},
		{ID: "autre", Heading: "Une semaine plus ancienne", Note: "L'adresse d'un fichier est « " + q.link(q.path+"/fichiers/2026-S47/activite") + " »."},
	}}, nil
}

// fileCSV is one weekly file.
func fileCSV(q *question) (any, error) {
	w, err := report.ParseWeek(q.PathValue("semaine"))
	if err != nil {
		return nil, badRequest(err.Error())
	}
	f := report.File(q.PathValue("fichier"))
	if !slices.Contains(report.Files(), f) {
		return nil, access.ErrHidden
	}
	var b bytes.Buffer
	name, err := q.about.WriteCSV(q.Context(), &b, f, w)
	if err != nil {
		return nil, err
	}
	return &file{kind: "text/csv; charset=utf-8", name: name, body: b.Bytes()}, nil
}
