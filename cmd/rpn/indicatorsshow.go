package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/piano-roc/rpn/indicators/report"
	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/routing/explain"
)

// A showQuestion is what `rpn indicators show` is asked.
type showQuestion struct {
	address, structure, amc, from, to string
	etablissements, amcs              string // the lists
	of                                string // "region=Bretagne": a group
	compare                           string // "region": the group that it is compared with
	asJSON                            bool

	register *register.List // nil: the lists are not given
}

func indicatorsShowCommand() *cobra.Command {
	var q showQuestion
	cmd := &cobra.Command{
		Use:   "show --store STORE [--structure ID] [--amc NUMERO]",
		Short: "Montre les indicateurs d'un établissement, d'un organisme, d'un groupe ou de tous",
		Long: `Show montre les indicateurs d'un établissement, d'un organisme, des deux, d'un groupe
d'établissements (--of) ou de tous. D'un organisme seul, il montre aussi sa disponibilité
et ses pannes ; d'un établissement et d'un organisme, si les échecs étaient aussi ceux
des autres. --compare donne les quartiles et la médiane des autres établissements du
même groupe, s'ils sont dix au moins.`,
		Example: `  rpn indicators show --store indicateurs.db --structure 010003812 --from 2026-11-23 --to 2026-11-30
  rpn indicators show --store indicateurs.db --amc 0099000003 --json
  rpn indicators show --store indicateurs.db --of region=Bretagne --etablissements etablissements.yaml --amcs amc.yaml
  rpn indicators show --store indicateurs.db --structure 010003812 --compare departement --etablissements etablissements.yaml --amcs amc.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return q.run(cmd) },
	}
	storeFlag(cmd, &q.address)
	f := cmd.Flags()
	f.StringVar(&q.structure, "structure", "", "l'établissement : identifiant de structure, ou FINESS")
	f.StringVar(&q.amc, "amc", "", "numéro de l'organisme")
	f.StringVar(&q.from, "from", "", "à partir de ce jour")
	f.StringVar(&q.to, "to", "", "avant ce jour")
	f.StringVar(&q.of, "of", "", "un groupe d'établissements : region=NOM, departement=NUMERO ou gap=NOM")
	f.StringVar(&q.compare, "compare", "", "comparer l'établissement aux autres : region, departement, gap ou nation")
	f.StringVar(&q.etablissements, "etablissements", "", "liste des établissements, pour --of, --compare, tous les identifiants de --structure, et ce que le registre ajoute à --amc")
	f.StringVar(&q.amcs, "amcs", "", "liste des organismes, avec --etablissements")
	f.BoolVar(&q.asJSON, "json", false, "un objet JSON, dont les champs sont ceux de docs/indicators.md")
	return cmd
}

func (q *showQuestion) run(cmd *cobra.Command) error {
	ctx := cmd.Context()
	filter, err := parseQuery("", "", q.from, q.to, q.structure, q.amc, "", "", "", 0)
	if err != nil {
		return refused(err)
	}
	for name, day := range map[string]time.Time{"from": filter.From, "to": filter.To} {
		if !day.IsZero() && !day.Equal(store.Day.Begin(day)) {
			return refused(fmt.Errorf("--%s : un jour est attendu, 2026-11-23", name))
		}
	}
	if q.of != "" && (q.structure != "" || q.amc != "" || q.compare != "") {
		return refused(errors.New("--of va sans --structure, --amc ni --compare"))
	}
	if q.compare != "" && (q.structure == "" || q.amc != "") {
		return refused(errors.New("--compare va avec --structure, et sans --amc"))
	}
	if q.register, err = readRegister(q.etablissements, q.amcs); err != nil {
		return refused(err)
	}
	structures, err := structuresOf(filter.Structure, q.register)
	if err != nil {
		return refused(err)
	}
	s, err := openStore(cmd, q.address, false)
	if err != nil {
		return err
	}
	defer s.Close()
	var sum *report.Sum
	var others map[string]*report.Sum
	switch {
	case q.of != "":
		group, err := q.groups(q.of, "")
		if err != nil {
			return refused(err)
		}
		sums, err := report.Groups(ctx, s, filter.From, filter.To, func(id roc.StructureID) string {
			if _, in := group(id); in {
				return q.of
			}
			return ""
		})
		if err != nil {
			return failed(err)
		}
		if sum = sums[q.of]; sum == nil {
			sum = report.SumOf(nil)
		}
	default:
		rows, err := s.Figures(ctx, store.Query{Grain: store.Day, From: filter.From, To: filter.To, Structures: structures, AMC: filter.AMC, By: report.Dimensions})
		if err != nil {
			return failed(err)
		}
		sum = report.SumOf(rows)
	}
	if q.compare != "" {
		group, err := q.groups(q.compare, filter.Structure)
		if err != nil {
			return refused(err)
		}
		named := func(id roc.StructureID) string { ej, _ := group(id); return ej }
		if others, err = report.Groups(ctx, s, filter.From, filter.To, named); err == nil {
			err = report.AddDossiers(ctx, s, filter.From, filter.To, others, named)
		}
		if err != nil {
			return failed(err)
		}
	}
	to := filter.To // of the figures: what comes after is not known
	if now := time.Now(); to.IsZero() || to.After(now) {
		to = now
	}
	if filter.AMC != "" && filter.Structure == "" {
		if sum.Windows, err = s.Availability(ctx, filter.AMC, filter.From, to); err != nil {
			return failed(err)
		}
		if sum.Insurer, err = q.insurer(ctx, s, filter.AMC, filter.From, to); err != nil {
			return failed(err)
		}
	}
	if sum.Dossiers, err = q.dossiers(ctx, s, store.DossierQuery{From: filter.From, To: filter.To, Structures: structures, AMC: filter.AMC}); err != nil {
		return failed(err)
	}
	if q.asJSON {
		return q.printJSON(cmd, sum, others, string(filter.Structure))
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	for _, c := range report.Cards() {
		fmt.Fprintf(w, "%s\t%s", c.Name, c.Format(sum))
		if band, known := report.BandOf(&c, others, string(filter.Structure)); known {
			fmt.Fprintf(w, "\tles %d autres : %s", band.Others, c.FormatBand(band))
		}
		fmt.Fprintln(w)
	}
	if err := w.Flush(); err != nil {
		return failed(err)
	}
	out := cmd.OutOrStdout()
	if filter.AMC != "" && filter.Structure != "" {
		p, err := report.PerceivedBy(ctx, s, structures, filter.AMC, filter.From, filter.To, q.establishment)
		if err != nil {
			return failed(err)
		}
		fmt.Fprintln(out, p)
	}
	for _, a := range sum.Windows {
		for _, o := range a.Outages {
			fmt.Fprintln(out, outage(a.Service, o, to))
		}
	}
	return nil
}

// outage is one outage of a service, of figures that end at an instant: one that
// is not over by then may have ended since.
func outage(service roc.Service, o store.Outage, to time.Time) string {
	end := "jusqu'au " + frenchInstant(o.To)
	if o.To.IsZero() {
		end = "pas finie le " + frenchInstant(to)
	}
	return fmt.Sprintf("panne de %s depuis le %s, %s : %d échanges", service, frenchInstant(o.From), end, o.Failed)
}

// dossiers are the figures of dossiers of what is asked for.
func (q *showQuestion) dossiers(ctx context.Context, s *store.Store, ask store.DossierQuery) (*store.Dossiers, error) {
	in := func(roc.StructureID) bool { return true }
	if q.of != "" {
		group, err := q.groups(q.of, "")
		if err != nil {
			return nil, err
		}
		ask.ByStructure, in = true, func(id roc.StructureID) bool { _, is := group(id); return is }
	}
	rows, err := s.Dossiers(ctx, ask)
	rows = slices.DeleteFunc(rows, func(r store.DossierRow) bool { return !in(r.Structure) })
	return store.SumOfDossiers(rows), err
}

// establishment is the one that has a structure id: by the register where it is
// given and knows it, else each id is one.
func (q *showQuestion) establishment(id roc.StructureID) roc.StructureID {
	if q.register != nil {
		if es, known := q.register.ByStructure(id); known {
			return es.Structure
		}
	}
	return id
}

// insurer is what the register adds to the figures of one insurer; nil: it is not
// given, or does not know the insurer.
func (q *showQuestion) insurer(ctx context.Context, s *store.Store, number roc.NumeroAMC, from, to time.Time) (*report.Insurer, error) {
	list := q.register
	if list == nil {
		return nil, nil
	}
	amc, known := list.AMC(number)
	if !known {
		return nil, nil
	}
	may, reached := map[roc.StructureID]bool{}, explain.Reached(list)
	for es := range list.Etablissements() {
		if slices.Contains(reached(es), amc) {
			may[es.Structure] = true
		}
	}
	return report.InsurerOf(ctx, s, number, amc.Limite.ParSeconde, from, to, may, q.establishment)
}

func (q *showQuestion) printJSON(cmd *cobra.Command, sum *report.Sum, others map[string]*report.Sum, mine string) error {
	values := map[string]any{}
	for _, c := range report.Cards() {
		values[c.ID] = nil
		if v, known := c.Of(sum); known {
			values[c.ID] = v
		}
		if band, known := report.BandOf(&c, others, mine); known {
			values["autres_"+c.ID] = map[string]float64{"q1": band.Low, "mediane": band.Median, "q3": band.High}
		}
	}
	return json.NewEncoder(cmd.OutOrStdout()).Encode(values)
}

// groups reads "region=Bretagne", or "region" for the group that an
// establishment is in. What it returns gives the main structure id of an
// establishment of that group; the one that is asked about keeps the id that
// was asked.
func (q *showQuestion) groups(text string, of roc.StructureID) (func(roc.StructureID) (string, bool), error) {
	list := q.register
	if list == nil {
		return nil, errors.New("donnez --etablissements et --amcs : le groupe d'un établissement est dans le registre")
	}
	field, value, given := strings.Cut(text, "=")
	read, known := map[string]func(*register.Etablissement) string{
		"region":      func(e *register.Etablissement) string { return e.Region },
		"departement": func(e *register.Etablissement) string { return e.Departement },
		"gap":         func(e *register.Etablissement) string { return e.GAP },
		"nation":      func(*register.Etablissement) string { return "" },
	}[field]
	if !known || given == (of != "") {
		return nil, fmt.Errorf("%q n'est pas un groupe : region=Bretagne, departement=35 ou gap=NOM pour --of ; region, departement, gap ou nation pour --compare", text)
	}
	mine, known := list.ByStructure(of)
	if of != "" {
		if !known {
			return nil, fmt.Errorf("l'établissement %s n'est pas au registre", of)
		}
		if value = read(mine); value == "" && field != "nation" {
			return nil, fmt.Errorf("le registre ne dit pas %s de l'établissement %s", field, of)
		}
	}
	return func(id roc.StructureID) (string, bool) {
		es, known := list.ByStructure(id)
		switch {
		case !known || read(es) != value:
			return "", false
		case es == mine:
			return string(of), true
		}
		return string(es.Structure), true
	}, nil
}
