package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/piano-roc/rpn/indicators/alert"
	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/secret"
	"github.com/piano-roc/rpn/register"
)

func indicatorsOutagesCommand() *cobra.Command {
	var address, from string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "outages --store STORE",
		Short: "Liste les pannes d'organismes qui ont été annoncées",
		Long: `Outages liste les pannes annoncées qui durent encore, et celles dont la fin a été
annoncée depuis trente jours (ou depuis --from). Leur définition est en tête de
docs/indicators.md.`,
		Example: `  rpn indicators outages --store indicateurs.db --json`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q, err := parseQuery("", "", from, "", "", "", "", "", "", 0)
			if err != nil {
				return refused(err)
			}
			if q.From.IsZero() {
				q.From = time.Now().AddDate(0, 0, -30)
			}
			s, err := openStore(cmd, address, false)
			if err != nil {
				return err
			}
			defer s.Close()
			list, err := s.Outages(cmd.Context(), q.From)
			if err != nil {
				return failed(err)
			}
			return printOutages(cmd, list, asJSON)
		},
	}
	storeFlag(cmd, &address)
	cmd.Flags().StringVar(&from, "from", "", "celles dont la fin a été annoncée à partir de ce jour")
	cmd.Flags().BoolVar(&asJSON, "json", false, "un objet JSON par panne et par ligne")
	return cmd
}

func printOutages(cmd *cobra.Command, list []store.AnnouncedOutage, asJSON bool) error {
	if asJSON {
		out := json.NewEncoder(cmd.OutOrStdout())
		for i := range list {
			o := &list[i]
			line := struct {
				AMC       roc.NumeroAMC `json:"amc"`
				Services  []string      `json:"services"`
				From      string        `json:"depuis"`
				To        string        `json:"jusque,omitzero"`
				Announced string        `json:"annoncee"`
				Ended     string        `json:"fin_annoncee,omitzero"`
			}{AMC: o.AMC, Services: roc.Texts(o.Services), From: o.Began.UTC().Format(time.RFC3339), Announced: o.Announced.UTC().Format(time.RFC3339)}
			if !o.Ended.IsZero() {
				line.To, line.Ended = o.Over.UTC().Format(time.RFC3339), o.Ended.UTC().Format(time.RFC3339)
			}
			if err := out.Encode(line); err != nil {
				return err
			}
		}
		return nil
	}
	if len(list) == 0 {
		_, err := fmt.Fprintln(cmd.OutOrStdout(), "aucune panne")
		return err
	}
	t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ORGANISME\tSERVICES\tDEPUIS\tJUSQU'AU")
	for i := range list {
		o := &list[i]
		to := "dure encore"
		if !o.Ended.IsZero() {
			to = frenchInstant(o.Over)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", o.AMC, strings.Join(roc.Texts(o.Services), ", "), frenchInstant(o.Began), to)
	}
	return t.Flush()
}

func indicatorsWebhookSecretCommand() *cobra.Command {
	var file, subscriber, url string
	cmd := &cobra.Command{
		Use:   "webhook-secret --secrets FICHIER --for QUI --url URL",
		Short: "Donne le secret par lequel un webhook vérifie ses appels",
		Long: `Webhook-secret donne le secret d'un webhook du registre, à remettre à son établissement
ou à son organisme par un canal sûr. --for est l'identifiant de structure de
l'établissement (1 et le FINESS de son EJ), amc- et le premier numéro de l'organisme, ou
exploitant. Le secret change avec l'URL, et avec la première clé de secrets ; celui d'une
clé plus ancienne vaut tant qu'elle y reste.`,
		Example: `  rpn indicators webhook-secret --secrets secrets.txt --for 1010003812 --url https://chu.example/rpn`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			keys, err := secret.Read(file)
			if err != nil {
				return refused(fmt.Errorf("--secrets : %w", err))
			}
			if !alert.IsSubscriber(subscriber) {
				return refused(errors.New("--for : écrivez 1010003812, amc-0099000003 ou exploitant"))
			}
			if !register.IsWebhook(url) {
				return refused(errors.New("--url : écrivez l'adresse comme au registre, https://..."))
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), alert.Secret(keys, subscriber, url))
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&file, "secrets", "", "fichier des clés communes aux instances (obligatoire)")
	f.StringVar(&subscriber, "for", "", "à qui est le webhook (obligatoire)")
	f.StringVar(&url, "url", "", "son adresse, comme au registre (obligatoire)")
	for _, name := range []string{"secrets", "for", "url"} {
		cmd.MarkFlagRequired(name)
	}
	return cmd
}
