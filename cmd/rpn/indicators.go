package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/piano-roc/rpn/indicators/report"
	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/durable"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/journal"
	"github.com/piano-roc/rpn/register"
)

func indicatorsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "indicators",
		Short: "Les indicateurs, calculés du journal scellé",
		Long: `Les indicateurs sont calculés du journal scellé et de rien d'autre. docs/indicators.md
donne la fiche de chacun ; docs/operating/indicators.md dit comment les tenir.`,
	}
	cmd.AddCommand(indicatorsUpdateCommand(), indicatorsRebuildCommand(), indicatorsShowCommand(), indicatorsExportCommand(), indicatorsCardsCommand())
	return cmd
}

// storeFlag is where the figures are.
func storeFlag(cmd *cobra.Command, address *string) {
	cmd.Flags().StringVar(address, "store", "", "fichier SQLite, ou adresse postgres:// (son mot de passe dans PGPASSWORD ou ~/.pgpass) (obligatoire)")
	cmd.MarkFlagRequired("store")
}

// openStore opens the store; one that only reads makes no file, and nothing anew.
func openStore(cmd *cobra.Command, address string, mayMake bool) (*store.Store, error) {
	if !mayMake && !store.IsPostgres(address) {
		if _, err := os.Stat(address); errors.Is(err, fs.ErrNotExist) {
			return nil, refused(fmt.Errorf("--store %s : ce fichier n'existe pas ; `rpn indicators update` le fait à partir du journal", address))
		}
	}
	s, err := store.Open(cmd.Context(), address, store.Options{Reads: !mayMake})
	if err != nil {
		if errors.Is(err, store.ErrSchema) {
			err = errors.New("ces chiffres sont d'une autre version de rpn ; `rpn indicators update` les recompte depuis le journal")
		}
		return nil, refused(fmt.Errorf("--store : %w", err))
	}
	return s, nil
}

func indicatorsUpdateCommand() *cobra.Command {
	var dirs []string
	var address string
	var months int
	cmd := &cobra.Command{
		Use:   "update --store STORE --dir DIR",
		Short: "Met les indicateurs à jour, depuis le dossier du journal de chaque instance",
		Long: `Update lit la suite du journal de chaque dossier, jusqu'à son dernier sceau, et met les
indicateurs à jour. Chaque enregistrement compte une fois et une seule, quoi qu'il
arrive pendant la lecture. Un RPN en service le fait de lui-même (indicators.store) :
cette commande est pour le journal d'une instance qui ne sert plus, ou pour une autre
base.`,
		Example: `  rpn indicators update --store indicateurs.db --dir /var/lib/rpn/journal`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return project(cmd, address, dirs, func(s *store.Store) error {
				if months > 0 {
					return s.Prune(cmd.Context(), time.Now().AddDate(0, -months, 0))
				}
				return nil
			}, nil)
		},
	}
	storeFlag(cmd, &address)
	dirFlag(cmd, &dirs)
	cmd.Flags().IntVar(&months, "keep", 0, "supprimer les chiffres de plus de tant de mois ; 0 : garder tout")
	return cmd
}

func indicatorsRebuildCommand() *cobra.Command {
	var dirs []string
	var address string
	var lose bool
	cmd := &cobra.Command{
		Use:   "rebuild --store STORE --dir DIR",
		Short: "Oublie les indicateurs qui viennent d'un journal, et les recalcule tous",
		Long: `Rebuild oublie ce qui vient du journal de chaque dossier, puis recalcule tout : les
chiffres sont les mêmes, tant que le journal garde tout. Quand il a déjà supprimé ses
premiers enregistrements, la commande refuse ; --lose accepte de perdre leurs chiffres.
Le RPN peut être en service : jusqu'à la fin, les chiffres sont partiels.`,
		Example: `  rpn indicators rebuild --store indicateurs.db --dir /var/lib/rpn/journal`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return project(cmd, address, dirs, nil, func(s *store.Store, l *journal.Log, dir, origin string) error {
				if first, _ := l.Bounds(); first > 0 && !lose {
					return refused(fmt.Errorf("--dir %s : les chiffres des %d premiers enregistrements, que le journal a supprimés, seraient perdus ; --lose l'accepte", dir, first))
				}
				if err := s.Forget(cmd.Context(), origin); err != nil {
					return failed(err)
				}
				return nil
			})
		},
	}
	storeFlag(cmd, &address)
	dirFlag(cmd, &dirs)
	cmd.Flags().BoolVar(&lose, "lose", false, "perdre les chiffres de ce que le journal a supprimé")
	return cmd
}

// project brings the figures up to the last seal of the journals of those
// folders. before, which may be nil, is called for each of them; after, which
// may be nil, at the end.
func project(cmd *cobra.Command, address string, dirs []string, after func(*store.Store) error, before func(s *store.Store, l *journal.Log, dir, origin string) error) error {
	logs, done, err := openLogs(dirs)
	if err != nil {
		return err
	}
	defer done()
	s, err := openStore(cmd, address, true)
	if err != nil {
		return err
	}
	defer s.Close()
	for i, l := range logs {
		sealed, err := l.Checkpoint()
		if errors.Is(err, journal.ErrNotSealed) {
			fmt.Fprintf(cmd.OutOrStdout(), "%s : rien n'est encore scellé\n", dirs[i])
			continue
		}
		if err != nil {
			return failed(fmt.Errorf("--dir %s : %w", dirs[i], err))
		}
		if before != nil {
			if err := before(s, l, dirs[i], sealed.Origin); err != nil {
				return err
			}
		}
		p := newProgress(cmd.ErrOrStderr(), sealed.Origin)
		for {
			err = s.Project(cmd.Context(), l, p.show)
			if !errors.Is(err, store.ErrBusy) { // the RPN that serves does the same: what it did is done
				break
			}
		}
		p.end()
		if errors.Is(err, store.ErrOtherJournal) {
			return failed(fmt.Errorf("--dir %s : ce n'est pas le journal qui a été compté sous le nom %s ; `rpn indicators rebuild` oublie le précédent", dirs[i], sealed.Origin))
		}
		if err != nil {
			return failed(err)
		}
		if err := printPosition(cmd, s, sealed.Origin); err != nil {
			return failed(err)
		}
	}
	if after != nil {
		return after(s)
	}
	return nil
}

// printPosition prints how far a journal is counted, and what is in no figure.
func printPosition(cmd *cobra.Command, s *store.Store, origin string) error {
	at, err := s.Position(cmd.Context(), origin)
	if err != nil {
		return err
	}
	gap, err := s.Gaps(cmd.Context(), origin)
	if err != nil {
		return err
	}
	w := cmd.OutOrStdout()
	fmt.Fprintf(w, "%s : %d enregistrements", origin, at.Next)
	if !at.Newest.IsZero() {
		fmt.Fprintf(w, ", jusqu'au %s", frenchInstant(at.Newest))
	}
	if n := at.Pruned + at.Unreadable; n > 0 {
		fmt.Fprintf(w, " ; %d dans aucun chiffre (%d supprimés avant d'être comptés, %d illisibles)", n, at.Pruned, at.Unreadable)
	}
	if gap != (store.Gap{}) {
		fmt.Fprintf(w, " ; échanges sans enregistrement, dans aucun chiffre : %d portés, %d refusés", gap.NotRecorded, gap.TurnedAway)
	}
	fmt.Fprintln(w)
	return nil
}

// A showQuestion is what `rpn indicators show` is asked.
type showQuestion struct {
	address, structure, amc, from, to string
	etablissements, amcs              string // the lists
	of                                string // "region=Bretagne": a group
	compare                           string // "region": the group that it is compared with
	asJSON                            bool
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
	f.StringVar(&q.etablissements, "etablissements", "", "liste des établissements, pour --of, --compare, et tous les identifiants de --structure")
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
	structures, err := structuresOf(filter.Structure, q.etablissements, q.amcs)
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
		others, err = report.Groups(ctx, s, filter.From, filter.To, func(id roc.StructureID) string {
			ej, _ := group(id)
			return ej
		})
		if err != nil {
			return failed(err)
		}
	}
	if filter.AMC != "" && filter.Structure == "" {
		to := filter.To
		if to.IsZero() {
			to = time.Now()
		}
		if sum.Windows, err = s.Availability(ctx, filter.AMC, filter.From, to); err != nil {
			return failed(err)
		}
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
		p, err := report.Perceived(ctx, s, structures, filter.AMC, filter.From, filter.To)
		if err != nil {
			return failed(err)
		}
		fmt.Fprintln(out, p)
	}
	for _, a := range sum.Windows {
		for _, o := range a.Outages {
			end := "en cours"
			if !o.To.IsZero() {
				end = "jusqu'au " + frenchInstant(o.To)
			}
			fmt.Fprintf(out, "panne de %s depuis le %s, %s : %d échanges\n", a.Service, frenchInstant(o.From), end, o.Failed)
		}
	}
	return nil
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
	if q.etablissements == "" || q.amcs == "" {
		return nil, errors.New("donnez --etablissements et --amcs : le groupe d'un établissement est dans le registre")
	}
	list, err := register.Load(q.etablissements, q.amcs, time.Now())
	if err != nil {
		return nil, err
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

// structuresOf are the structure ids of the establishment with that one: a record
// bears the one of its certificate. Without the register it is that one alone.
func structuresOf(id roc.StructureID, etablissements, amcs string) ([]roc.StructureID, error) {
	switch {
	case id == "":
		return nil, nil
	case etablissements == "":
		return []roc.StructureID{id}, nil
	case amcs == "":
		return nil, errors.New("--etablissements va avec --amcs")
	}
	list, err := register.Load(etablissements, amcs, time.Now())
	if err != nil {
		return nil, err
	}
	es, known := list.ByStructure(id)
	if !known {
		return nil, fmt.Errorf("l'établissement %s n'est pas au registre", id)
	}
	return es.IDs(), nil
}

func indicatorsExportCommand() *cobra.Command {
	var address, structure, week, out, amcs, etablissements string
	cmd := &cobra.Command{
		Use:   "export --store STORE --structure ID --week AAAA-Sxx",
		Short: "Écrit les trois fichiers CSV d'une semaine d'un établissement",
		Long: `Export écrit les fichiers activite, anomalies et temps d'un établissement pour une
semaine (ISO 8601, heure de Paris), pour un tableur français : « ; », virgule décimale,
UTF-8 avec sa marque. Les colonnes officielles ne sont pas publiques : celles-ci sont
les nôtres, et leurs noms sont ceux de docs/indicators.md. Une semaine sans activité
donne trois fichiers avec leurs seuls titres.`,
		Example: `  rpn indicators export --store indicateurs.db --structure 010003812 --week 2026-S47 --out .`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			filter, err := parseQuery("", "", "", "", structure, "", "", "", "", 0)
			if err != nil {
				return refused(err)
			}
			w := report.WeekOf(time.Now().AddDate(0, 0, -7))
			if week != "" {
				if w, err = report.ParseWeek(week); err != nil {
					return refused(fmt.Errorf("--week : %w", err))
				}
			}
			structures, err := structuresOf(filter.Structure, etablissements, amcs)
			if err != nil {
				return refused(err)
			}
			names, err := amcNames(amcs)
			if err != nil {
				return refused(err)
			}
			s, err := openStore(cmd, address, false)
			if err != nil {
				return err
			}
			defer s.Close()
			for _, f := range report.Files() {
				var b bytes.Buffer
				if err := f.Write(cmd.Context(), &b, s, structures, w, names); err != nil {
					return failed(err)
				}
				name := filepath.Join(out, f.Name(structures[0], w))
				if err := durable.WriteFile(name, b.Bytes(), 0o644); err != nil {
					return failed(err)
				}
				fmt.Fprintln(cmd.OutOrStdout(), name)
			}
			return nil
		},
	}
	storeFlag(cmd, &address)
	f := cmd.Flags()
	f.StringVar(&structure, "structure", "", "l'établissement : identifiant de structure, ou FINESS (obligatoire)")
	f.StringVar(&week, "week", "", "la semaine, AAAA-Sxx ; par défaut la dernière qui est finie")
	f.StringVar(&out, "out", ".", "dossier où écrire")
	f.StringVar(&amcs, "amcs", "", "liste des organismes (amc.yaml), pour leurs noms")
	f.StringVar(&etablissements, "etablissements", "", "liste des établissements, avec --amcs : pour tous les identifiants de l'établissement")
	cmd.MarkFlagRequired("structure")
	return cmd
}

// amcNames gives the names of the list of AMCs; without a list none has one.
func amcNames(file string) (func(roc.NumeroAMC) string, error) {
	if file == "" {
		return func(roc.NumeroAMC) string { return "" }, nil
	}
	list, err := register.LoadAMCs(file, time.Now())
	if err != nil {
		return nil, fmt.Errorf("--amcs : %w", err)
	}
	return func(n roc.NumeroAMC) string {
		if amc, ok := list.AMC(n); ok {
			return amc.Nom
		}
		return ""
	}, nil
}

func indicatorsCardsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "cards",
		Short: "Écrit la fiche de chaque indicateur (docs/indicators.md)",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprint(cmd.OutOrStdout(), report.Markdown())
			return err
		},
	}
}
