package report

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/roc"
)

// A File is one of the weekly files of an establishment. Its columns are ours:
// those of the official files are not public.
type File string

// The weekly files.
const (
	Activity  File = "activite"
	Anomalies File = "anomalies"
	Times     File = "temps"
	Dossiers  File = "dossiers"
)

// Files lists the weekly files.
func Files() []File { return []File{Activity, Anomalies, Times, Dossiers} }

// Name is the file name of one establishment and week: activite_010003812_2026-S43.csv.
func (f File) Name(structure roc.StructureID, w Week) string {
	return fmt.Sprintf("%s_%s_%s.csv", f, FINESS(structure), w)
}

// FINESS is the FINESS of a structure, or its whole identifier when it has none
// (a SIRET).
func FINESS(s roc.StructureID) string {
	if f, ok := s.FINESS(); ok {
		return string(f)
	}
	return string(s)
}

var (
	activityCards = []string{"echanges", "reponses", "part_reponses", "part_refus", "part_erreurs_amc", "part_abandons", "non_remis", "part_rejoues", "part_joint", "part_quota", "part_hors_debit", "part_horloge"}
	timesCards    = []string{"echanges", "part_2s", "part_5s", "part_20s", "p50_total", "p95_total", "p99_total", "p50_appelant", "p95_appelant", "p99_appelant", "p50_rpn", "p95_rpn", "p99_rpn", "p50_amc", "p95_amc", "p99_amc"}
)

// Write writes one weekly file, of an establishment with all its structure ids:
// the first one is that of its legal entity, whose FINESS the file bears. name gives the name of an insurer, "" when it
// has none. A week without activity is a file with its headings.
func (f File) Write(ctx context.Context, w io.Writer, s *store.Store, structures []roc.StructureID, week Week, name func(roc.NumeroAMC) string) error {
	if f == Dossiers {
		return writeDossiers(ctx, w, s, structures, week, name)
	}
	rows, err := s.Figures(ctx, store.Query{Grain: store.Day, From: week.Begin(), To: week.End(), Structures: structures,
		By: []store.Dimension{store.ByAMC, store.ByService, store.ByVersion, store.ByCode, store.ByOwner}})
	if err != nil {
		return err
	}
	c := newCSV(w)
	scope := func(amc roc.NumeroAMC, v roc.Service, version roc.Version) []string {
		return []string{week.String(), digits(FINESS(structures[0])), digits(string(amc)), text(name(amc)), v.String(), version.String()}
	}
	headings := []string{"semaine", "finess", "amc", "nom_amc", "service", "version"}
	switch f {
	case Activity, Times:
		cards := CardsOf(map[File][]string{Activity: activityCards, Times: timesCards}[f]...)
		for _, card := range cards {
			headings = append(headings, card.ID)
		}
		c.row(headings...)
		for _, g := range grouped(rows) {
			sum := SumOf(g)
			cells := scope(g[0].AMC, g[0].Service, g[0].Version)
			for _, card := range cards {
				v, known := card.Of(sum)
				cells = append(cells, number(card.Unit, v, known))
			}
			c.row(cells...)
		}
	case Anomalies:
		c.row(append(headings, "code", "libelle", "echanges", "a_faire_par", "remede")...)
		slices.SortStableFunc(rows, func(x, y store.Row) int { return cmp.Compare(y.Exchanges, x.Exchanges) })
		for i := range rows {
			r := &rows[i]
			if r.Code == store.Answered {
				continue
			}
			m := MeaningOf(r.Code)
			c.row(append(scope(r.AMC, r.Service, r.Version), r.Code, text(m.Libelle), strconv.FormatInt(r.Exchanges, 10), text(string(r.Owner)), text(m.Remede))...)
		}
	}
	return c.end()
}

// writeDossiers writes the file of dossiers: a dossier is of an insurer, whatever
// the services and versions of its exchanges.
func writeDossiers(ctx context.Context, w io.Writer, s *store.Store, structures []roc.StructureID, week Week, name func(roc.NumeroAMC) string) error {
	rows, err := s.Dossiers(ctx, store.DossierQuery{From: week.Begin(), To: week.End(), Structures: structures, ByAMC: true})
	if err != nil {
		return err
	}
	c, cards := newCSV(w), dossierCards()
	headings := []string{"semaine", "finess", "amc", "nom_amc"}
	for _, card := range cards {
		headings = append(headings, card.ID)
	}
	c.row(headings...)
	for _, r := range rows {
		sum := SumOf(nil)
		sum.Dossiers = r.Dossiers
		cells := []string{week.String(), digits(FINESS(structures[0])), digits(string(r.AMC)), text(name(r.AMC))}
		for _, card := range cards {
			v, known := card.Of(sum)
			cells = append(cells, number(card.Unit, v, known))
		}
		c.row(cells...)
	}
	return c.end()
}

// MeaningOf is what a code of a cell means, in French.
func MeaningOf(code string) roc.Meaning {
	for _, r := range roc.Reasons() {
		if m := r.Meaning(); m.Code == code {
			return m
		}
	}
	switch code {
	case store.FarFault:
		m := roc.FarEndFault.Meaning()
		return roc.Meaning{Libelle: m.Libelle, Remede: m.Remede}
	case store.Abandoned:
		return roc.Meaning{Libelle: "L'appelant est parti avant l'issue.", Remede: "Attendez la réponse plus longtemps que le délai du RPN ROC."}
	}
	return roc.Meaning{}
}

// grouped are the rows of each insurer, service and version, in that order.
func grouped(rows []store.Row) (groups [][]store.Row) {
	slices.SortStableFunc(rows, func(x, y store.Row) int {
		return cmp.Or(cmp.Compare(x.AMC, y.AMC), cmp.Compare(x.Service, y.Service), cmp.Compare(x.Version, y.Version))
	})
	for i, r := range rows {
		if i == 0 || r.AMC != rows[i-1].AMC || r.Service != rows[i-1].Service || r.Version != rows[i-1].Version {
			groups = append(groups, nil)
		}
		groups[len(groups)-1] = append(groups[len(groups)-1], r)
	}
	return groups
}

// CardsOf returns the cards of those ids, in that order.
func CardsOf(ids ...string) (list []Card) {
	all := Cards()
	for _, id := range ids {
		i := slices.IndexFunc(all, func(c Card) bool { return c.ID == id })
		if i < 0 {
			panic("no card " + id) // of our own lists: the tests write every file
		}
		list = append(list, all[i])
	}
	return list
}
