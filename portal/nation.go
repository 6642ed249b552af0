package portal

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/piano-roc/rpn/indicators/report"
	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/portal/access"
	"github.com/piano-roc/rpn/register"
)

// nationPage is the national situation.
func nationPage(q *question) (any, error) {
	stats, err := q.today("echanges", "part_reponses", "p50_rpn", "p99_rpn", "p95_amc", "part_non_abouti_rpn")
	if err != nil {
		return nil, err
	}
	today := periods(q.now())[0]
	causes, err := q.about.Figures(q.Context(), access.Question{Grain: store.Day, From: today.from, To: today.to, By: []store.Dimension{store.ByCode, store.ByOwner}, NoDurations: true})
	if err != nil {
		return nil, err
	}
	noisy, err := q.noisiest(today)
	if err != nil {
		return nil, err
	}
	movers, err := q.movers()
	if err != nil {
		return nil, err
	}
	charts, err := q.charts(q.about)
	if err != nil {
		return nil, err
	}
	sky, err := q.reader.Sky(q.Context())
	if err != nil {
		return nil, err
	}
	p := &page{Title: "Situation nationale", Lead: "Ce qui vous attend, ce qui ne va pas, puis les chiffres."}
	p.Sections = append(p.Sections, q.waitingSection())
	ill := *sky
	ill.AMCs = slices.DeleteFunc(slices.Clone(sky.AMCs), func(w access.Weather) bool {
		return w.State != access.Out && w.State != access.Disturbed
	})
	t := q.weatherTable(&ill, "Organismes en panne ou perturbés")
	t.Empty = "Aucun organisme n'est en panne ni perturbé."
	p.Sections = append(p.Sections, section{ID: "meteo", Heading: "Organismes", Table: t, Links: []link{{Text: "Tous les organismes, et la règle", Href: q.link("/meteo")}}})
	p.Sections = append(p.Sections,
		section{ID: "jour", Heading: "Aujourd'hui", Stats: stats},
		charts[0],
		section{ID: "causes", Heading: "Ce qui n'aboutit pas, par effet", Table: q.causesTable("Causes des échanges qui n'ont pas abouti, aujourd'hui", causes, false)},
		section{ID: "bruyants", Heading: "Les plus bruyants", Note: "Les établissements dont le plus d'échanges n'aboutissent pas, de leur fait, aujourd'hui.", Table: noisy},
		section{ID: "mouvements", Heading: "Ce qui a le plus changé", Note: "Part des échanges qui n'aboutissent pas : les 7 derniers jours finis et les 7 d'avant. L'ordre est celui des échanges perdus de plus, ou de moins, qu'à la part d'avant.", Table: movers},
		section{ID: "couples", Heading: "Couples qui ont le plus changé", Note: fmt.Sprintf("La même chose entre un établissement et un organisme, s'ils ont au moins %d échanges chaque semaine.", report.FewestShifted), Table: q.couples()},
	)
	p.Sections = append(p.Sections, charts[1:]...)
	return p, nil
}

// waitingSection is what waits for the operator, in figures.
func (q *question) waitingSection() section {
	w := q.about.Waiting()
	moves, domains := 0, 0
	for _, m := range w.Moves {
		if !m.Rejected {
			moves++
		}
	}
	for _, d := range w.Domains {
		if !d.Rejected {
			domains++
		}
	}
	near := 0
	for _, c := range q.about.Certificates() {
		if !c.Renewed && c.Days < 30 {
			near++
		}
	}
	state := func(n int) string {
		if n > 0 {
			return "warn"
		}
		return ""
	}
	s := section{ID: "attend", Heading: "Ce qui vous attend", Stats: []stat{
		{Name: "Déplacements à décider", Value: count(int64(moves)), State: state(moves)},
		{Name: "Domaines et organismes nouveaux", Value: count(int64(domains)), State: state(domains)},
		{Name: "Certificats qui finissent dans 30 jours", Value: count(int64(near)), State: state(near)},
	}, Links: []link{{Text: "Décider", Href: q.link("/decisions")}, {Text: "Certificats", Href: q.link("/national/certificats?jours=30")}}}
	if q.p.o.Proposals != nil {
		n := q.toConfirm()
		s.Stats = slices.Insert(s.Stats, 0, stat{Name: "Propositions à confirmer", Value: count(int64(n)), State: state(n)})
	}
	return s
}

// listed is how many rows a list of the first page has.
const listed = 10

// noisiest are the establishments whose own exchanges fail most.
func (q *question) noisiest(p period) (*table, error) {
	rows, err := q.about.Figures(q.Context(), access.Question{Grain: store.Day, From: p.from, To: p.to, By: []store.Dimension{store.ByStructure, store.ByOwner, store.ByCode}, NoDurations: true})
	if err != nil {
		return nil, err
	}
	type noise struct {
		id        roc.StructureID
		all, lost int64
		codes     map[string]int64
	}
	by := map[roc.StructureID]*noise{}
	for i := range rows {
		r := &rows[i]
		n := by[r.Structure]
		if n == nil {
			n = &noise{id: r.Structure, codes: map[string]int64{}}
			by[r.Structure] = n
		}
		n.all += r.Exchanges
		if r.Owner == roc.ByEtablissement && r.Code != store.Answered {
			n.lost += r.Exchanges
			n.codes[r.Code] += r.Exchanges
		}
	}
	var list []*noise
	for _, n := range by {
		if n.lost > 0 {
			list = append(list, n)
		}
	}
	slices.SortFunc(list, func(x, y *noise) int { return cmp.Or(cmp.Compare(y.lost, x.lost), cmp.Compare(x.id, y.id)) })
	t := &table{Caption: "Établissements les plus bruyants, aujourd'hui", Quiet: true, Head: columns("Établissement", "FINESS", "#Échanges", "#De leur fait", "#Part", "Code le plus fréquent"), Empty: "Aucun échange n'a échoué du fait d'un établissement."}
	for _, n := range list[:min(listed, len(list))] {
		worst := ""
		for c, k := range n.codes {
			if worst == "" || k > n.codes[worst] || k == n.codes[worst] && c < worst {
				worst = c
			}
		}
		name := cell{Text: or(q.about.NameOfEtablissement(n.id), "jamais identifiés")}
		if n.id != "-" && q.about.NameOfEtablissement(n.id) != "" {
			name.Href = q.link("/etablissement/" + string(n.id))
		}
		t.Rows = append(t.Rows, []cell{name, text(finess(n.id)), text(count(n.all)), text(count(n.lost)), text(share(n.lost, n.all)), text(outcomeName(roc.Outcome(worst)))})
	}
	return t, nil
}

// movers are the insurers whose share of failures changed most.
func (q *question) movers() (*table, error) {
	weeks := access.ShiftedWeeks(q.now())
	var sides [2][]store.Row
	for i := range sides {
		var err error
		if sides[i], err = q.about.Figures(q.Context(), access.Question{Grain: store.Day, From: weeks[i], To: weeks[i+1], By: []store.Dimension{store.ByAMC, store.ByCode}, NoDurations: true}); err != nil {
			return nil, err
		}
	}
	t := shiftsTable("Organismes dont les échecs ont le plus changé", "Organisme", "Numéro")
	for _, s := range report.Largest(report.Shifts(sides[0], sides[1]), listed) {
		t.Rows = append(t.Rows, append([]cell{q.linkedAMC(s.AMC), text(string(s.AMC))}, shiftCells(&s)...))
	}
	return t, nil
}

// couples are the establishments and insurers whose exchanges with each other
// changed most.
func (q *question) couples() *table {
	t := shiftsTable("Couples dont les échecs ont le plus changé", "Établissement", "Organisme")
	list, ready := q.about.Shifts()
	if !ready {
		t.Empty = "En cours de calcul : revenez dans une minute."
	}
	for _, s := range list[:min(listed, len(list))] {
		who := cell{Text: or(q.about.NameOfEtablissement(s.Etablissement), finess(s.Etablissement)), Href: q.link("/etablissement/" + string(s.Etablissement))}
		t.Rows = append(t.Rows, append([]cell{who, q.linkedAMC(s.AMC)}, shiftCells(&s)...))
	}
	return t
}

func (q *question) linkedAMC(n roc.NumeroAMC) cell {
	return cell{Text: or(q.reader.NameOfAMC(n), "inconnu du registre"), Href: q.link("/amc/" + string(n))}
}

func shiftsTable(caption, first, second string) *table {
	return &table{Caption: caption, Quiet: true, Head: columns(first, second, "#7 jours d'avant", "#7 derniers jours", "#Échanges perdus de plus", "Sens"), Empty: "Pas assez d'échanges pour comparer deux semaines."}
}

func shiftCells(s *report.Shift) []cell {
	way := cell{Text: "mieux", State: "good"}
	if s.More() > 0 {
		way = cell{Text: "moins bien", State: "bad"}
	}
	return []cell{text(share(s.Before.Lost, s.Before.All)), text(share(s.After.Lost, s.After.All)), text(count(int64(math.Round(s.More())))), way}
}

// maxRows is how many rows of the register a page shows.
const maxRows = 200

var firstRows = fmt.Sprintf("Les %d premiers sont montrés : précisez la question.", maxRows)

// registerPage searches the register.
func registerPage(q *question) (any, error) {
	values := q.URL.Query()
	search := access.RegisterSearch{Text: values.Get("q"), Etat: values.Get("etat"), Region: values.Get("region")}
	states := field{Name: "etat", Label: "État", Kind: "select", Options: []option{{Text: "tous"}}}
	for _, e := range register.Etats() {
		if e != register.Attendu {
			states.Options = append(states.Options, option{string(e), string(e), search.Etat == string(e)})
		}
	}
	list := q.about.Etablissements(search)
	t := &table{Caption: plural(int64(len(list)), "établissement", "établissements"), Head: columns("Établissement", "FINESS", "État", "Depuis", "Département", "Région", "Logiciel"), Empty: "Aucun établissement ne répond."}
	for _, e := range list[:min(len(list), maxRows)] {
		c, _ := e.EtatAt(q.now())
		t.Rows = append(t.Rows, []cell{{Text: e.Nom, Href: q.link("/etablissement/" + string(e.Structure))}, text(string(e.EJ)), text(etatName(e.Etat)), text(day(c.Depuis.Time)), text(or(e.Departement, "-")), text(or(e.Region, "-")), text(or(e.GAP, "-"))})
	}
	if len(list) > maxRows {
		t.More = firstRows
	}
	p := &page{Title: "Registre", Sections: []section{
		{ID: "recherche", Form: &form{Action: q.link("/registre"), Label: "Recherche dans le registre", Button: "Chercher", Fields: []field{
			{Name: "q", Label: "Nom, FINESS, SIRET, département ou logiciel", Value: search.Text}, states, {Name: "region", Label: "Région", Value: search.Region},
		}}},
		{ID: "etablissements", Heading: "Établissements", Table: t},
	}}
	if search.Etat == "" && search.Region == "" {
		p.Sections = append(p.Sections, section{ID: "organismes", Heading: "Organismes", Table: q.amcsTable(search.Text)})
	}
	return p, nil
}

func (q *question) amcsTable(search string) *table {
	list := q.about.AMCs(search)
	t := &table{Caption: plural(int64(len(list)), "organisme", "organismes"), Head: columns("Organisme", "Numéros", "État", "Depuis", "Domaines"), Empty: "Aucun organisme ne répond."}
	for _, a := range list[:min(len(list), maxRows)] {
		var domains, numeros []string
		for _, d := range a.Domaines {
			domains = append(domains, string(d))
		}
		for _, n := range a.Numeros {
			numeros = append(numeros, string(n))
		}
		t.Rows = append(t.Rows, []cell{{Text: a.Nom, Href: q.link("/amc/" + string(a.Numeros[0]))}, text(strings.Join(numeros, ", ")), text(or(string(a.Etat), "attendu")), text(day(a.Depuis.Time)), text(or(strings.Join(domains, ", "), "aucun"))})
	}
	if len(list) > maxRows {
		t.More = firstRows
	}
	return t
}
