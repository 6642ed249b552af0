package portal

import (
	"fmt"

	"github.com/piano-roc/rpn/indicators/report"
	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/portal/access"
)

// figuresPage is every card of a subject and a period, as `rpn indicators show`
// has them, with the band of peers where there is one.
func figuresPage(q *question) (any, error) {
	per, err := q.period("28j")
	if err != nil {
		return nil, err
	}
	sum, err := q.about.Sum(q.Context(), per.from, per.to)
	if err != nil {
		return nil, err
	}
	es := q.about.Etablissement()
	from, to := access.BandPeriod(q.now())
	compared := es != nil && per.from.Equal(from) && per.to.Equal(to)
	t := &table{Caption: "Indicateurs du " + day(per.from) + " au " + day(per.to.AddDate(0, 0, -1)), Head: columns("Indicateur", "#Valeur")}
	if compared {
		t.Head = append(t.Head, column{Text: "Les autres : du premier au troisième quartile"})
	}
	for _, c := range report.Cards() {
		row := []cell{{Text: c.Name, Card: &c}, text(typeset(c.Format(sum)))}
		if compared {
			row = append(row, text(q.band(&c)))
		}
		t.Rows = append(t.Rows, row)
	}
	p := &page{Title: "Indicateurs", Lead: q.subjectName(), Sections: []section{
		{ID: "periode", Links: q.choices(q.path+"/indicateurs", per)},
		{ID: "indicateurs", Note: "« ? » donne la définition de chaque indicateur : la même fiche, et le même nombre, que dans les CSV et le JSON.", Table: t},
	}}
	if es != nil {
		p.Sections[1].Note += fmt.Sprintf(" La comparaison porte sur %d jours finis ; il faut au moins %d autres établissements, sinon elle n'est pas montrée.", access.BandDays, report.SmallestBand)
	}
	return p, nil
}

// band is where the others stand, in words.
func (q *question) band(c *report.Card) string {
	b, group, known, ready := q.about.Band(c)
	switch {
	case !ready:
		return "calcul en cours"
	case !known:
		return "trop peu pour comparer"
	}
	return typeset(c.FormatBand(b)) + ", " + plural(int64(b.Others), "établissement", "établissements") + ", " + group
}

func (q *question) subjectName() string {
	switch e := q.about.Etablissement(); {
	case e != nil:
		return e.Nom
	case q.about.AMC() != nil:
		return q.about.AMC().Nom
	case q.about.Numero() != "":
		return "AMC " + string(q.about.Numero())
	}
	return "Tous les établissements et tous les organismes"
}

// cardsPage is every definition.
func cardsPage(*question) (any, error) {
	t := &table{Caption: "Fiches des indicateurs", Quiet: true, Head: columns("Indicateur", "Champ", "Unité", "Numérateur", "Dénominateur", "Vient de", "#Version")}
	for _, c := range report.Cards() {
		t.Rows = append(t.Rows, []cell{text(c.Name), text(c.ID), text(string(c.Unit)), text(c.Numerator), text(or(c.Denominator, "-")), text(c.Fields), text(fmt.Sprint(c.Version))})
	}
	return &page{Title: "Définitions", Lead: "Même fiche, même nombre, dans les pages, les CSV et le JSON.", Sections: []section{
		{ID: "commun", Note: report.Common}, {ID: "panne", Heading: "Panne d'un organisme", Note: report.Outages}, {ID: "meteo", Heading: "Météo", Note: access.Rule}, {ID: "fiches", Heading: "Fiches", Table: t},
	}}, nil
}

// outagesTable lists the outages of an insurer, the last one first.
func outagesTable(caption string, services []store.Availability) *table {
	t := &table{Caption: caption, Quiet: true, Head: columns("Service", "Depuis", "Jusqu'à", "Durée", "#Échanges échoués"), Empty: "Aucune panne dans cette période."}
	for _, a := range services {
		for i := len(a.Outages) - 1; i >= 0; i-- {
			o := a.Outages[i]
			end, how := cell{Text: "en cours", State: "bad"}, "-"
			if !o.To.IsZero() {
				end, how = text(instant(o.To)), lasted(o.To.Sub(o.From))
			}
			t.Rows = append(t.Rows, []cell{text(a.Service.String()), text(instant(o.From)), end, text(how), text(count(o.Failed))})
		}
	}
	return t
}
