package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/piano-roc/rpn/app/config"
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
	cmd.AddCommand(indicatorsUpdateCommand(), indicatorsRebuildCommand(), indicatorsShowCommand(), indicatorsExportCommand(), indicatorsMailCommand(), indicatorsOutagesCommand(), indicatorsReconcileCommand(), indicatorsWebhookSecretCommand(), indicatorsCardsCommand())
	return cmd
}

// storeFlag is where the figures are.
func storeFlag(cmd *cobra.Command, address *string) {
	cmd.Flags().StringVar(address, "store", "", "fichier SQLite, ou adresse postgres:// (son mot de passe dans PGPASSWORD ou ~/.pgpass) (obligatoire)")
	cmd.MarkFlagRequired("store")
}

// openStore opens the store; one that only reads makes neither the file nor its tables.
func openStore(cmd *cobra.Command, address string, mayMake bool) (*store.Store, error) {
	if !mayMake && !store.IsPostgres(address) {
		if _, err := os.Stat(address); errors.Is(err, fs.ErrNotExist) {
			return nil, refused(fmt.Errorf("--store %s : ce fichier n'existe pas ; `rpn indicators update` le fait à partir du journal", address))
		}
	}
	s, err := store.Open(cmd.Context(), address, store.Options{Reads: !mayMake, MinFree: uint64(config.Standard().Indicators.MinFree)})
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

// readRegister reads the lists of establishments and of AMCs; nil: that of
// establishments is not given.
func readRegister(etablissements, amcs string) (*register.List, error) {
	switch {
	case etablissements == "":
		return nil, nil
	case amcs == "":
		return nil, errors.New("--etablissements va avec --amcs")
	}
	return register.Load(etablissements, amcs, time.Now())
}

// structuresOf are the structure ids of the establishment with that one: a record
// has the one of its caller's certificate. Without the register (nil) it has that
// one alone.
func structuresOf(id roc.StructureID, list *register.List) ([]roc.StructureID, error) {
	switch {
	case id == "":
		return nil, nil
	case list == nil:
		return []roc.StructureID{id}, nil
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
		Short: "Écrit les fichiers CSV d'une semaine d'un établissement",
		Long: `Export écrit les fichiers activite, anomalies, temps et dossiers d'un établissement pour une
semaine (ISO 8601, heure de Paris), pour un tableur français : « ; », virgule décimale,
UTF-8 avec sa marque. Les colonnes officielles ne sont pas publiques : celles-ci sont
les nôtres, et leurs noms sont ceux de docs/indicators.md. Une semaine sans activité
donne des fichiers avec leurs seuls titres.`,
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
			list, err := readRegister(etablissements, amcs)
			if err != nil {
				return refused(err)
			}
			structures, err := structuresOf(filter.Structure, list)
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
