package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/piano-roc/rpn/annuaire"
)

func annuaireCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "annuaire",
		Short: "Look at what the annuaire moves, and approve it",
		Long: `When the annuaire removes or moves more than annuaire.held_share of the known
routes in an hour, the RPN holds that back: the previous answers go on serving,
and /readyz says annuaire_changes. Held shows what waits; approve lets it pass,
when it is still what held showed. Each instance is asked by itself.`,
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(annuaireHeldCommand(), annuaireApproveCommand(), annuaireDoubtCommand())
	return cmd
}

func annuaireHeldCommand() *cobra.Command {
	var admin adminFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "held",
		Short: "Show the changes that wait for an operator (exit 1 when there are some)",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			body, _, err := admin.ask(cmd.Context(), http.MethodGet, "/annuaire")
			if err != nil {
				return err
			}
			var h annuaire.Held
			if err := json.Unmarshal(body, &h); err != nil {
				return failed(fmt.Errorf("what answers there is not an RPN: %w", err))
			}
			if asJSON {
				cmd.OutOrStdout().Write(body)
			} else if err := printHeld(cmd.OutOrStdout(), h); err != nil {
				return err
			}
			if h.Keys > 0 {
				return &exitError{code: exitFailed}
			}
			return nil
		},
	}
	admin.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printHeld(w io.Writer, h annuaire.Held) error {
	if h.Keys == 0 {
		_, err := fmt.Fprintf(w, "Nothing is held back. %d routes are known.\n", h.Routes)
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "AMC\tNAME\tSERVICE\tFROM\tTO\tKEYS\tSINCE")
	for _, c := range h.Changes {
		to := "(removed)"
		if len(c.To) > 0 {
			to = strings.Join(c.To, " ")
		}
		fmt.Fprintf(t, "%s\t%s\t%s %s\t%s\t%s\t%d\t%s\n", c.AMC, c.Nom, c.Service, c.Version, c.From, to, c.Keys, c.Since.UTC().Format(time.RFC3339))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%d changes are held back, of %d known routes; the previous addresses serve.\nAsk the annuaire whether it means them. To let them pass:\n  rpn annuaire approve %s\n", len(h.Changes), h.Routes, h.Digest)
	return err
}

func annuaireApproveCommand() *cobra.Command {
	var admin adminFlags
	cmd := &cobra.Command{
		Use:   "approve DIGEST",
		Short: "Let the changes pass that held showed, by the digest it printed",
		Long: `Approve lets the changes pass that 'rpn annuaire held' showed. The digest is
theirs: when the annuaire has moved something else since, nothing passes and you
look again. For a day the same moves pass for other keys too. The addresses must
still be in a known domain of their insurer (policies.new_domain).`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return admin.act(cmd, "/-/annuaire/approve?digest="+url.QueryEscape(args[0]))
		},
	}
	admin.add(cmd)
	return cmd
}

func annuaireDoubtCommand() *cobra.Command {
	var admin adminFlags
	cmd := &cobra.Command{
		Use:   "doubt",
		Short: "Have every remembered answer asked again, within a minute",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return admin.act(cmd, "/-/annuaire/doubt")
		},
	}
	admin.add(cmd)
	return cmd
}

// act has the running RPN do something, and prints what it says.
func (f *adminFlags) act(cmd *cobra.Command, path string) error {
	body, good, err := f.ask(cmd.Context(), http.MethodPost, path)
	switch {
	case err != nil:
		return err
	case !good:
		return failed(errors.New(strings.TrimSpace(string(body))))
	}
	_, err = cmd.OutOrStdout().Write(body)
	return err
}
