package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/piano-roc/rpn/indicators/reconcile"
	"github.com/piano-roc/rpn/internal/durable"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/journal"
	"github.com/piano-roc/rpn/register"
)

// A reconcileQuestion is what `rpn indicators reconcile` is asked.
type reconcileQuestion struct {
	dirs                                   []string
	file, structure, amc, from, to, proofs string
	etablissements, amcs                   string
	asJSON                                 bool
}

func indicatorsReconcileCommand() *cobra.Command {
	var q reconcileQuestion
	cmd := &cobra.Command{
		Use:   "reconcile --file FICHIER --dir DIR (--structure ID | --amc NUMERO) --from JOUR --to JOUR",
		Short: "Rapproche le compte d'un établissement ou d'un organisme du journal scellé",
		Long: `Reconcile compare ce qu'un établissement ou un organisme a compté lui-même avec le
journal scellé, par jour et par service : ce que l'un a et que l'autre n'a pas.

Le fichier est un CSV (« ; » ou « , »), dont la première ligne nomme les colonnes : un
compte a jour, service et echanges ; une liste a echange (RPN-Echange) ou message_id, et
peut avoir jour et service. D'un établissement comptent tous ses échanges, refusés
compris ; d'un organisme, ceux qui lui ont été transmis. Dans un compte, un service vide
ou « - » est celui des échanges refusés avant que leur service soit connu. Une ligne a
64 Kio au plus.

--proofs écrit la preuve scellée de chaque échange que le RPN a et que le fichier n'a pas
(d'un compte : ceux des jours et services qui diffèrent) ; rpn receipt verify les vérifie
hors ligne. Code de sortie : 0 tout concorde, 1 il y a des écarts, 2 le fichier ou la
question est à corriger.`,
		Example: `  rpn indicators reconcile --file compte.csv --dir /var/lib/rpn/journal --structure 010003812 --from 2026-11-23 --to 2026-11-30
  rpn indicators reconcile --file liste.csv --dir a --dir b --amc 0099000003 --from 2026-11-23 --to 2026-11-24 --proofs preuves --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return q.run(cmd) },
	}
	dirFlag(cmd, &q.dirs)
	f := cmd.Flags()
	f.StringVar(&q.file, "file", "", "le compte ou la liste, en CSV (obligatoire)")
	f.StringVar(&q.structure, "structure", "", "l'établissement : identifiant de structure, ou FINESS")
	f.StringVar(&q.amc, "amc", "", "numéro de l'organisme")
	f.StringVar(&q.from, "from", "", "à partir de ce jour (obligatoire)")
	f.StringVar(&q.to, "to", "", "avant ce jour (obligatoire)")
	f.StringVar(&q.proofs, "proofs", "", "dossier où écrire les preuves")
	f.StringVar(&q.etablissements, "etablissements", "", "liste des établissements, avec --amcs : pour tous les identifiants de --structure")
	f.StringVar(&q.amcs, "amcs", "", "liste des organismes : pour tous les numéros de --amc")
	f.BoolVar(&q.asJSON, "json", false, "un objet JSON")
	for _, name := range []string{"file", "from", "to"} {
		cmd.MarkFlagRequired(name)
	}
	return cmd
}

func (q *reconcileQuestion) run(cmd *cobra.Command) error {
	filter, err := parseQuery("", "", q.from, q.to, q.structure, q.amc, "", "", "", 0)
	if err != nil {
		return refused(err)
	}
	if !filter.From.Before(filter.To) || filter.To.Sub(filter.From) > 400*24*time.Hour {
		return refused(errors.New("--from et --to : donnez deux jours, le premier avant le second, d'une période d'un an au plus"))
	}
	side, err := q.side(filter)
	if err != nil {
		return refused(err)
	}
	claim, err := readClaim(q.file)
	if err != nil {
		return refused(fmt.Errorf("--file %s : %w", q.file, err))
	}
	logs, done, err := openLogs(q.dirs)
	if err != nil {
		return err
	}
	defer done()
	bar := newProgress(cmd.ErrOrStderr(), "lecture du journal")
	res, err := reconcile.Compare(logs, side, filter.From, filter.To, claim, bar.show)
	bar.end()
	if err != nil {
		return failed(err)
	}
	if q.proofs != "" {
		if err := writeProofs(q.proofs, logs, res.Ours); err != nil {
			return failed(err)
		}
	}
	if q.asJSON {
		err = printReconciledJSON(cmd.OutOrStdout(), q, res)
	} else {
		err = printReconciled(cmd.OutOrStdout(), q, res, claim.Counts != nil)
	}
	if err != nil {
		return failed(err)
	}
	if !res.Equal() {
		return failed(nil)
	}
	return nil
}

// side is whose exchanges are compared, with all that the register knows of it.
func (q *reconcileQuestion) side(filter journal.Query) (s reconcile.Side, err error) {
	switch {
	case (filter.Structure == "") == (filter.AMC == ""):
		return s, errors.New("donnez --structure ou --amc, l'un des deux")
	case filter.Structure != "":
		list, err := readRegister(q.etablissements, q.amcs)
		if err != nil {
			return s, err
		}
		s.Structures, err = structuresOf(filter.Structure, list)
		return s, err
	case q.amcs == "":
		s.AMCs = []roc.NumeroAMC{filter.AMC}
		return s, nil
	}
	list, err := register.LoadAMCs(q.amcs, time.Now())
	if err != nil {
		return s, fmt.Errorf("--amcs : %w", err)
	}
	a, known := list.AMC(filter.AMC)
	if !known {
		return s, fmt.Errorf("--amc : l'organisme %s n'est pas au registre", filter.AMC)
	}
	s.AMCs = a.Numeros
	return s, nil
}

func readClaim(file string) (*reconcile.Claim, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return reconcile.Read(f)
}

// writeProofs writes the proof of each exchange, as rpn journal prove does.
func writeProofs(dir string, logs []*journal.Log, list []reconcile.Ours) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for i := range list {
		proof, err := logs[list[i].Log].Prove(list[i].Index)
		if err != nil {
			return fmt.Errorf("la preuve de %s : %w", list[i].ID, err)
		}
		if err := durable.WriteFile(filepath.Join(dir, string(list[i].ID)+".tlog-proof"), proof, 0o644); err != nil {
			return err
		}
	}
	return nil
}

type reconciledJSON struct {
	From       string         `json:"de"`
	To         string         `json:"a"`
	Equal      bool           `json:"concorde"`
	Rows       []reconcileRow `json:"jours"`
	Theirs     []theirsJSON   `json:"vous_seul"`
	Ours       []oursJSON     `json:"rpn"`
	Twice      int            `json:"en_double"`
	Unrecorded uint64         `json:"sans_trace"`
	Damaged    int            `json:"illisibles"`
	Pruned     bool           `json:"journal_trop_court"`
}

type reconcileRow struct {
	Day        string `json:"jour"`
	Service    string `json:"service"`
	Theirs     int64  `json:"vous"`
	Ours       int64  `json:"rpn"`
	Both       int64  `json:"communs"`
	TheirsOnly int64  `json:"vous_seul"`
	OursOnly   int64  `json:"rpn_seul"`
}

type theirsJSON struct {
	Line      int            `json:"ligne,omitzero"`
	ID        roc.ExchangeID `json:"echange,omitzero"`
	MessageID string         `json:"message_id,omitzero"`
	Day       string         `json:"jour,omitzero"`
	Service   string         `json:"service,omitzero"`
	Why       string         `json:"raison"`
}

type oursJSON struct {
	ID        roc.ExchangeID `json:"echange"`
	MessageID string         `json:"message_id,omitzero"`
	At        string         `json:"instant"`
	Service   string         `json:"service"`
	Outcome   string         `json:"issue"`
	Dir       string         `json:"journal"`
	Index     uint64         `json:"enregistrement"`
}

func printReconciledJSON(w io.Writer, q *reconcileQuestion, r *reconcile.Result) error {
	out := reconciledJSON{From: q.from, To: q.to, Equal: r.Equal(), Rows: []reconcileRow{}, Theirs: []theirsJSON{}, Ours: []oursJSON{},
		Twice: r.Twice, Unrecorded: r.Unrecorded, Damaged: r.Damaged, Pruned: r.Pruned}
	for _, x := range r.Rows {
		out.Rows = append(out.Rows, reconcileRow{x.Day, x.Service.String(), x.Theirs, x.Ours, x.Both, x.TheirsOnly, x.OursOnly})
	}
	for _, x := range r.Theirs {
		out.Theirs = append(out.Theirs, theirsJSON{x.Number, x.ID, x.MessageID, x.Day, x.Service.String(), x.Why})
	}
	for _, x := range r.Ours {
		out.Ours = append(out.Ours, oursJSON{x.ID, x.MessageID, x.At.UTC().Format(time.RFC3339Nano), x.Service.String(), x.Outcome, q.dirs[x.Log], x.Index})
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(out)
}

// mostReconciled is how many exchanges are written for people; --json has all.
const mostReconciled = 50

func printReconciled(w io.Writer, q *reconcileQuestion, r *reconcile.Result, count bool) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "JOUR\tSERVICE\tVOUS\tRPN\tCOMMUNS\tVOUS SEUL\tRPN SEUL")
	for _, x := range r.Rows {
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%d\t%d\n", dash(x.Day), dash(x.Service.String()), x.Theirs, x.Ours, x.Both, x.TheirsOnly, x.OursOnly)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if n := len(r.Theirs); n > 0 {
		fmt.Fprintf(w, "\nChez vous et pas au RPN : %d\n", n)
		for _, x := range r.Theirs[:min(n, mostReconciled)] {
			id := string(x.ID)
			if id == "" {
				id = x.MessageID
			}
			fmt.Fprintf(w, "  ligne %d  %s  %s %s  %s\n", x.Number, dash(id), dash(x.Day), dash(x.Service.String()), x.Why)
		}
	}
	if n := len(r.Ours); n > 0 {
		title := "Au RPN et pas chez vous"
		if count {
			title = "Au RPN, les jours et services qui diffèrent"
		}
		fmt.Fprintf(w, "\n%s : %d\n", title, n)
		for _, x := range r.Ours[:min(n, mostReconciled)] {
			fmt.Fprintf(w, "  %s  %s  MessageID %s  %s  %s  enregistrement %d de %s\n", frenchInstant(x.At), x.ID, dash(x.MessageID), dash(x.Service.String()), x.Outcome, x.Index, q.dirs[x.Log])
		}
	}
	if max(len(r.Theirs), len(r.Ours)) > mostReconciled {
		fmt.Fprintf(w, "\n%d au plus sont montrés de chaque ; --json les donne tous\n", mostReconciled)
	}
	printDoubts(w, r)
	if r.Equal() {
		fmt.Fprintln(w, "\ntout concorde")
	}
	return nil
}

// printDoubts says what the journal does not show.
func printDoubts(w io.Writer, r *reconcile.Result) {
	if r.Twice > 0 {
		fmt.Fprintf(w, "\nlignes qui en répètent une autre : %d\n", r.Twice)
	}
	if r.Unrecorded > 0 {
		fmt.Fprintf(w, "\nle journal dit lui-même : %d échanges sans trace dans la période, tous établissements ensemble\n", r.Unrecorded)
	}
	if r.Damaged > 0 {
		fmt.Fprintf(w, "\nenregistrements illisibles autour de la période : %d au moins ; `rpn journal verify` les donne\n", r.Damaged)
	}
	if r.Pruned {
		fmt.Fprintln(w, "\nle journal ne remonte pas au début de la période : ses premiers enregistrements ont été supprimés")
	}
}
