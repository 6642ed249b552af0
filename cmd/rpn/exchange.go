package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/piano-roc/rpn/app/config"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/journal"
)

func exchangeCommand() *cobra.Command {
	var dirs []string
	var file string
	cmd := &cobra.Command{
		Use:   "exchange ID",
		Short: "Raconte un échange en français : ce qui s'est passé, qui est en cause, que faire",
		Long: `Exchange cherche un échange par son identifiant (RPN-Echange) dans le journal de
chaque instance donnée, et raconte ce qui s'est passé, qui est en cause et que faire.
Sans --dir, c'est le journal de la configuration de cette machine.`,
		Example: `  rpn exchange 01a1ffa6-b12b-7288-81c7-8a04c5d1387f
  rpn exchange 01a1ffa6-b12b-7288-81c7-8a04c5d1387f --dir /srv/rpn-1/journal --dir /srv/rpn-2/journal`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(dirs) == 0 {
				c, err := config.Read(file)
				switch {
				case err != nil:
					return refused(fmt.Errorf("sans --dir, la configuration dit où est le journal : %w", err))
				case !c.Journal.Kept():
					return refused(fmt.Errorf("%s ne tient pas de journal : ajoutez state, ou donnez --dir", file))
				}
				dirs = []string{c.Journal.Folder}
			}
			logs, done, err := openLogs(dirs)
			if err != nil {
				return err
			}
			defer done()
			_, m, err := findOne(cmd, logs, args[0])
			if err != nil {
				return failed(err)
			}
			w := cmd.OutOrStdout()
			fmt.Fprintf(w, "échange %s (enregistrement %d de %s)\n", m.Exchange.ID, m.Index, m.Dir)
			printExchange(w, m.Exchange)
			for _, a := range m.Amendments {
				fmt.Fprintf(w, "  appris ensuite, à %s : %s\n", frenchTime(a.At), a.Libelle())
			}
			return nil
		},
	}
	configFlag(cmd, &file)
	cmd.Flags().StringArrayVar(&dirs, "dir", nil, "dossier du journal d'une instance, à répéter pour plusieurs (par défaut celui de la configuration)")
	cmd.MarkFlagDirname("dir")
	return cmd
}

// printExchange tells an exchange: who, what, when, whose time, what came of it.
func printExchange(w io.Writer, x *journal.Exchange) {
	line := func(format string, args ...any) { fmt.Fprintf(w, "  "+format+"\n", args...) }
	line("reçu le %s de la structure %s", frenchInstant(x.RequestIn), dash(string(x.From)))
	line("service %s %s, AMC %s, convention %s, domaine %s", dash(x.Service.String()), x.Version, dash(string(x.To.AMC)), dash(string(x.To.Convention)), dash(string(x.To.Domaine)))
	line("issue : %s", outcomeText(x))
	cause, remedy := causeOf(x)
	line("en cause : %s", cause)
	line("que faire : %s", remedy)
	total := x.Total()
	line("durée : %d ms, dont %d ms à l'organisme, %d ms à l'annuaire, %d ms à la vérification, %d ms à la lecture", total.Milliseconds(), x.AMC.Milliseconds(), x.Annuaire.Milliseconds(), x.Check.Milliseconds(), x.Read.Milliseconds())
	if x.MessageID != "" {
		line("wsa:MessageID %s", x.MessageID)
	}
	line("requête de %d octets, SHA-256 %s", x.RequestBytes, hex.EncodeToString(x.RequestSHA256[:]))
	line("réponse de %d octets, SHA-256 %s", x.AnswerBytes, hex.EncodeToString(x.AnswerSHA256[:]))
	if x.SignerSerial != "" {
		line("signée avec le certificat de numéro de série %s, empreinte de la signature %s", x.SignerSerial, hex.EncodeToString(x.SignatureSHA256[:]))
	}
	if x.ClockOffset != nil {
		line("horloge du signataire : %+d ms", x.ClockOffset.Milliseconds())
	}
}

func outcomeText(x *journal.Exchange) string {
	switch x.Outcome {
	case roc.Answered:
		return fmt.Sprintf("l'organisme a répondu (HTTP %d)", x.FarStatus)
	case roc.FarFault:
		return fmt.Sprintf("l'organisme a répondu par une erreur (HTTP %d), transmise telle quelle", x.FarStatus)
	case roc.Refused:
		m := x.Reason.MeaningWith(x.CauseCode)
		return fmt.Sprintf("refusé par le RPN : %s %s", m.Code, m.Libelle)
	case roc.Abandoned:
		return "l'appelant est parti avant la réponse"
	}
	return "inconnue"
}

// causeOf says who has to act, and what to do.
func causeOf(x *journal.Exchange) (who, remedy string) {
	switch x.Outcome {
	case roc.Answered:
		return "personne", "rien"
	case roc.FarFault:
		return "l'organisme, ou la demande : l'erreur de l'organisme le dit", "lire l'erreur que l'établissement a reçue ; sinon appeler l'organisme avec cet identifiant et l'heure"
	case roc.Refused:
		return dash(string(x.MustAct)), x.Reason.MeaningWith(x.CauseCode).Remede
	case roc.Abandoned:
		return "l'établissement, ou son réseau", "comparer la durée ci-dessous au délai d'attente du logiciel de l'établissement"
	}
	return "inconnue", "voir le journal technique à cette heure"
}

func frenchTime(t time.Time) string { return t.UTC().Format("15:04:05.000") + " UTC" }
