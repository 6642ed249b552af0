package portal

import (
	"cmp"
	"slices"
	"time"

	"github.com/piano-roc/rpn/indicators/report"
	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/portal/access"
)

// amcPage is what an insurer sees first: what reaches it, how fast, and its own
// errors apart from those of others.
func amcPage(q *question) (any, error) {
	stats, err := q.today("echanges", "part_reponses", "disponibilite", "p95_amc", "part_non_abouti_amc", "part_hors_debit")
	if err != nil {
		return nil, err
	}
	all := periods(q.now())
	rows, err := q.about.Figures(q.Context(), access.Question{Grain: store.Day, From: all[1].from, To: all[1].to, By: []store.Dimension{store.ByCode, store.ByOwner}, NoDurations: true})
	if err != nil {
		return nil, err
	}
	services, err := q.about.Availability(q.Context(), all[2].from, all[1].to)
	if err != nil {
		return nil, err
	}
	charts, err := q.charts(q.about)
	if err != nil {
		return nil, err
	}
	p := &page{Title: q.subjectName(), Lead: "AMC " + string(q.about.Numero()) + ". Ce qui vous atteint, à quelle vitesse, et vos erreurs à part de celles des autres."}
	w, at, err := q.weatherOf()
	if err != nil {
		return nil, err
	}
	if w != nil {
		state := []fact{{"État", string(w.State)}}
		if text := since(w, at); text != "-" {
			state = append(state, fact{"Depuis", text})
		}
		p.Sections = append(p.Sections, section{ID: "etat", Heading: "État mesuré", Facts: state, Links: []link{{Text: "La règle", Href: q.link("/meteo")}}})
	}
	p.Sections = append(p.Sections,
		section{ID: "jour", Heading: "Aujourd'hui", Stats: stats},
		section{ID: "parts", Heading: "À qui d'agir", Note: "Les 7 derniers jours. Ce qui dépasse le débit que vous accordez n'est pas transmis et ne compte pas contre vous.", Table: ownersTable(rows)},
		section{ID: "corriger", Heading: "Vos erreurs, par effet", Table: q.causesTable("Causes qui reviennent à l'organisme, 7 jours", only(rows, roc.ByAMC), false)},
		section{ID: "autres", Heading: "Celles des autres", Table: q.causesTable("Causes qui reviennent aux établissements, à l'annuaire ou au RPN, 7 jours", except(rows, roc.ByAMC), false)},
		section{ID: "pannes", Heading: "Pannes mesurées", Table: outagesTable("Pannes des 28 derniers jours", services)},
	)
	p.Sections = append(p.Sections, charts...)
	if a := q.about.AMC(); a != nil {
		p.Sections = append(p.Sections, q.amcRegister())
	}
	p.Sections = append(p.Sections, q.subPages())
	return p, nil
}

// amcRegister is the row of the register, and what of it waits.
func (q *question) amcRegister() section {
	a := q.about.AMC()
	s := section{ID: "registre", Heading: "Au registre et à l'annuaire", Facts: []fact{{"État", or(string(a.Etat), "attendu")}}}
	add := func(name, value string) { s.Facts = append(s.Facts, fact{name, value}) }
	if !a.Depuis.IsZero() {
		add("Depuis", day(a.Depuis.Time))
	}
	if !a.Fin.IsZero() {
		add("Réouverture prévue", instant(a.Fin))
	}
	if next, ok := a.Next(q.now()); ok {
		add("Prochain état", string(next.Etat)+" le "+instant(next.Depuis.Time))
	}
	for _, d := range a.Connus {
		add("Domaine connu", string(d.Nom))
	}
	if a.Limite.ParSeconde > 0 {
		add("Débit accordé", count(int64(a.Limite.ParSeconde))+" messages par seconde")
	}
	w := q.about.Waiting()
	for _, m := range w.Moves {
		add("Déplacement en attente", m.Service+" "+m.Version+" de "+m.From+" vers "+or(m.To, "rien")+", depuis le "+instant(m.Since))
	}
	for _, d := range w.Domains {
		add("Domaine en attente", or(d.Host, "organisme nouveau")+", depuis le "+instant(d.Since)+", "+plural(int64(d.Refused), "message refusé", "messages refusés"))
	}
	return s
}

// weatherOf is how the insurer does, at an instant; nil: it has no weather.
func (q *question) weatherOf() (w *access.Weather, at time.Time, err error) {
	if q.about.AMC() == nil {
		return nil, at, nil
	}
	sky, err := q.reader.Sky(q.Context())
	if err != nil {
		return nil, at, err
	}
	i := slices.IndexFunc(sky.AMCs, func(w access.Weather) bool { return w.Numero == q.about.AMC().Numeros[0] })
	if i < 0 {
		return nil, at, nil
	}
	return &sky.AMCs[i], sky.At, nil
}

// ownersTable is how many exchanges each one must act on.
func ownersTable(rows []store.Row) *table {
	all, answered, by := lostBy(rows)
	t := &table{Caption: "Échanges par qui doit agir", Quiet: true, Head: columns("À qui d'agir", "#Échanges", "#Part"), Empty: "Aucun échange dans cette période."}
	if all == 0 {
		return t
	}
	t.Rows = append(t.Rows, []cell{text("personne : réponse utilisable"), text(count(answered)), text(share(answered, all))})
	for _, o := range owners {
		t.Rows = append(t.Rows, []cell{text(ownerName(o)), text(count(by[o])), text(share(by[o], all))})
	}
	return t
}

// only and except keep the answered ones: they are what a part is of.
func only(rows []store.Row, o roc.Responsable) []store.Row {
	return slices.DeleteFunc(slices.Clone(rows), func(r store.Row) bool { return r.Code != store.Answered && r.Owner != o })
}

func except(rows []store.Row, o roc.Responsable) []store.Row {
	return slices.DeleteFunc(slices.Clone(rows), func(r store.Row) bool { return r.Code != store.Answered && r.Owner == o })
}

// maxCallers is how many callers a page lists.
const maxCallers = 200

// callersPage is who calls an insurer, and who does not yet.
func callersPage(q *question) (any, error) {
	per, err := q.shortPeriod("jour")
	if err != nil {
		return nil, err
	}
	rows, err := q.about.Figures(q.Context(), access.Question{Grain: store.Day, From: per.from, To: per.to, By: append([]store.Dimension{store.ByStructure}, report.Dimensions...)})
	if err != nil {
		return nil, err
	}
	by := map[roc.StructureID][]store.Row{}
	for _, r := range rows {
		by[r.Structure] = append(by[r.Structure], r)
	}
	var ids []roc.StructureID
	sums := map[roc.StructureID]*report.Sum{}
	for id, rows := range by {
		ids, sums[id] = append(ids, id), report.SumOf(rows)
	}
	slices.SortFunc(ids, func(x, y roc.StructureID) int {
		return cmp.Or(cmp.Compare(sums[y].All.Exchanges, sums[x].All.Exchanges), cmp.Compare(x, y))
	})
	cards := report.CardsOf("echanges", "part_reponses", "part_non_abouti_etablissement", "part_non_abouti_amc", "p95_amc")
	t := &table{Caption: "Établissements qui vous appellent, " + per.name, Head: columns("Établissement", "Structure"), Empty: "Aucun échange dans cette période."}
	for _, c := range cards {
		t.Head = append(t.Head, column{c.Name, true})
	}
	for _, id := range ids[:min(len(ids), maxCallers)] {
		row := []cell{text(or(q.about.NameOfEtablissement(id), "jamais identifié")), text(finess(id))}
		for _, c := range cards {
			row = append(row, text(typeset(c.Format(sums[id]))))
		}
		t.Rows = append(t.Rows, row)
	}
	if more := len(ids) - maxCallers; more > 0 {
		t.More = plural(int64(more), "autre établissement appelle moins.", "autres établissements appellent moins.")
	}
	silent, err := q.about.Silent(q.Context(), store.Day.Begin(q.now()).AddDate(0, 0, -silentFor))
	if err != nil {
		return nil, err
	}
	none := &table{Caption: "Établissements du cercle sans échange avec vous depuis 28 jours", Wide: true, Head: columns("Établissement", "FINESS", "Région"), Empty: "Tous les établissements du cercle vous ont appelé."}
	for _, e := range silent[:min(len(silent), maxCallers)] {
		none.Rows = append(none.Rows, []cell{text(e.Nom), text(string(e.EJ)), text(or(e.Region, "-"))})
	}
	if more := len(silent) - maxCallers; more > 0 {
		none.More = plural(int64(more), "autre n'est pas montré.", "autres ne sont pas montrés.")
	}
	return &page{Title: "Appelants", Lead: q.subjectName(), Sections: []section{
		{ID: "periode", Links: q.shortChoices(q.path+"/appelants", per)},
		{ID: "appelants", Table: t},
		{ID: "silencieux", Heading: "Qui ne vous appelle pas encore", Table: none},
	}}, nil
}

const silentFor = 28
