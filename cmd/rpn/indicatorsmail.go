package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/piano-roc/rpn/indicators/store"
)

func indicatorsMailCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "mail",
		Short: "Les envois : ceux qui n'ont pas été remis, et leur remise en attente",
		Long: `Chaque envoi (courriel du lundi, annonce d'une panne ou de sa fin) est dans la base des
indicateurs, et part une fois. Ces commandes listent ceux qui n'ont pas été remis, et les
remettent en attente.`,
	}
	cmd.AddCommand(indicatorsMailListCommand(), indicatorsMailRetryCommand())
	return cmd
}

// letterStates are the French words of the states of a letter.
var letterStates = map[store.LetterState]string{
	store.Due: "en attente", store.Claimed: "en préparation", store.Sending: "en cours d'envoi", store.Sent: "remis",
	store.Partly: "remis en partie", store.Undelivered: "non remis", store.Doubted: "incertain",
}

// A shownLetter is a letter as --json writes it.
type shownLetter struct {
	ID       string           `json:"id"`
	Kind     string           `json:"genre"`
	For      string           `json:"destinataire"`
	About    string           `json:"objet"`
	State    string           `json:"etat"`
	Since    string           `json:"depuis"`
	Attempts int              `json:"essais"`
	Error    string           `json:"erreur,omitzero"`
	Done     []store.Delivery `json:"adresses,omitzero"`
}

func indicatorsMailListCommand() *cobra.Command {
	var address string
	var all, asJSON bool
	cmd := &cobra.Command{
		Use:   "list --store STORE",
		Short: "Liste les envois non remis, remis en partie, incertains ou en attente",
		Long: `List montre les envois qui n'ont pas été remis à toutes leurs adresses, et pourquoi :
non remis (refusé, ou trop tard), remis en partie (des adresses l'ont refusé), incertain
(une instance s'est arrêtée pendant l'envoi, ou le serveur n'a pas répondu à la fin) ; et
ceux qui attendent. Avec --all, aussi ceux qui ont été remis.`,
		Example: `  rpn indicators mail list --store indicateurs.db --json`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := openStore(cmd, address, false)
			if err != nil {
				return err
			}
			defer s.Close()
			states := []store.LetterState{store.Undelivered, store.Partly, store.Doubted, store.Due, store.Claimed, store.Sending}
			if all {
				states = nil
			}
			list, err := s.Letters(cmd.Context(), states...)
			if err != nil {
				return failed(err)
			}
			if asJSON {
				return printLettersJSON(cmd.OutOrStdout(), list)
			}
			return printLetters(cmd.OutOrStdout(), list)
		},
	}
	storeFlag(cmd, &address)
	cmd.Flags().BoolVar(&all, "all", false, "aussi les envois remis")
	cmd.Flags().BoolVar(&asJSON, "json", false, "un objet JSON par envoi et par ligne")
	return cmd
}

func printLettersJSON(w io.Writer, list []store.Letter) error {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	for i := range list {
		l := &list[i]
		to, _, _ := strings.Cut(l.For, " ") // the rest is the address of a webhook: it may hold a secret
		if err := out.Encode(shownLetter{l.ID, l.Kind, to, l.About, letterStates[l.State], l.Next.UTC().Format(time.RFC3339), l.Attempts, l.Error, l.Done}); err != nil {
			return err
		}
	}
	return nil
}

func printLetters(w io.Writer, list []store.Letter) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "aucun envoi")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ENVOI\tÉTAT\tDEPUIS\tESSAIS\tRAISON")
	for i := range list {
		l := &list[i]
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\n", l.ID, letterStates[l.State], frenchInstant(l.Next), l.Attempts, dash(l.Error))
		for _, d := range l.Done {
			if d.Refused != "" {
				fmt.Fprintf(t, "\t\t\t\trefusé pour %s : %s\n", d.Address, d.Refused)
			}
		}
	}
	return t.Flush()
}

// retriedFor is how long a letter that was put back is tried.
const retriedFor = 6 * 24 * time.Hour

func indicatorsMailRetryCommand() *cobra.Command {
	var address string
	var all, doubted bool
	cmd := &cobra.Command{
		Use:   "retry --store STORE [ENVOI...]",
		Short: "Remet en attente des envois non remis, pour six jours",
		Long: `Retry remet en attente les envois donnés, ou avec --all tous ceux qui n'ont pas été remis
ou l'ont été en partie : seules les adresses qui n'ont pas l'envoi le reçoivent. Un envoi
incertain est peut-être déjà parti : --doubted accepte qu'il parte deux fois.`,
		Example: `  rpn indicators mail retry --store indicateurs.db --all
  rpn indicators mail retry --store indicateurs.db semaine/2026-S47/1010003812`,
		RunE: func(cmd *cobra.Command, ids []string) error {
			if all == (len(ids) > 0) {
				return refused(errors.New("donnez les envois à remettre en attente, ou --all"))
			}
			s, err := openStore(cmd, address, false)
			if err != nil {
				return err
			}
			defer s.Close()
			return retryLetters(cmd, s, ids, doubted)
		},
	}
	storeFlag(cmd, &address)
	cmd.Flags().BoolVar(&all, "all", false, "tous les envois non remis ou remis en partie")
	cmd.Flags().BoolVar(&doubted, "doubted", false, "aussi les envois incertains, qui partiront peut-être deux fois")
	return cmd
}

// retryLetters puts back the letters of those ids; none: all of them.
func retryLetters(cmd *cobra.Command, s *store.Store, ids []string, doubted bool) error {
	states := []store.LetterState{store.Undelivered, store.Partly, store.Doubted}
	list, err := s.Letters(cmd.Context(), states...)
	if err != nil {
		return failed(err)
	}
	found := map[string]store.LetterState{}
	all := len(ids) == 0
	for i := range list {
		found[list[i].ID] = list[i].State
		if all && (list[i].State != store.Doubted || doubted) {
			ids = append(ids, list[i].ID)
		}
	}
	for _, id := range ids {
		if st, ok := found[id]; !ok {
			return refused(fmt.Errorf("%s : aucun envoi de ce nom n'est non remis, remis en partie ou incertain ; `rpn indicators mail list` les donne", id))
		} else if st == store.Doubted && !doubted {
			return refused(fmt.Errorf("%s est peut-être déjà parti ; --doubted accepte qu'il parte deux fois", id))
		}
	}
	n, now := 0, time.Now()
	for _, id := range ids {
		was, err := s.RetryLetter(cmd.Context(), id, now, now.Add(retriedFor))
		if err != nil {
			return failed(err)
		}
		if was {
			n++
		}
	}
	fmt.Fprintf(cmd.OutOrStdout(), "envois remis en attente : %d\n", n)
	return nil
}
