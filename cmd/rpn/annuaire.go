package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/user"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/piano-roc/rpn/annuaire"
)

func annuaireCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "annuaire",
		Short: "Look at what the annuaire moves, and decide on it",
		Long: `When the annuaire removes or moves more than annuaire.held_share of the known
routes in an hour, the RPN holds that: the previous answers go on serving, and
/readyz says annuaire_changes. Held shows what waits, and the hosts that the
register does not know; approve lets one host of one insurer pass, reject keeps
it away. Each instance is asked by itself.`,
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(annuaireHeldCommand(), annuaireDecideCommand(annuaire.Approve), annuaireDecideCommand(annuaire.Reject), annuaireRevalidateCommand())
	return cmd
}

func annuaireHeldCommand() *cobra.Command {
	var admin adminFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "held",
		Short: "Show what waits for an operator (exit 1 when something does)",
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
			if h.Waiting() > 0 {
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
	if len(h.Changes)+len(h.Quarantined) == 0 {
		_, err := fmt.Fprintf(w, "Nothing is held or quarantined. %d routes are known.\n", h.Routes)
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\tAMC\tSERVICE\tFROM\tTO\tKEYS OR MESSAGES\tSINCE")
	for _, c := range h.Changes {
		to := c.To
		if to == "" {
			to = "(removed)"
		}
		fmt.Fprintf(t, "%s\t%s\t%s %s\t%s\t%s\t%d\t%s\n", state("held", c.Rejected), c.AMC, c.Service, c.Version, c.From, to, c.Keys, c.Since.UTC().Format(time.RFC3339))
	}
	for _, q := range h.Quarantined {
		to := q.Host
		if q.NewAMC {
			to += "(not in the register)"
		}
		fmt.Fprintf(t, "%s\t%s\t\t\t%s\t%d\t%s\n", state("quarantined", q.Rejected), q.AMC, to, q.Refused, q.Since.UTC().Format(time.RFC3339))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return printDecisions(w, h)
}

func state(word string, rejected bool) string {
	if rejected {
		return "rejected"
	}
	return word
}

// printDecisions prints the command that decides on each host.
func printDecisions(w io.Writer, h annuaire.Held) error {
	if h.Waiting() == 0 {
		return nil
	}
	fmt.Fprintf(w, "\nWhat is held: the previous address serves. Ask the annuaire whether it means it, then approve or reject each host:\n")
	said := map[string]bool{}
	show := func(amc, host string) {
		line := "  rpn annuaire approve --amc " + amc + " --host " + host
		if host == "" {
			line = "  rpn annuaire approve --amc " + amc + " --removed"
		}
		if !said[line] {
			said[line] = true
			fmt.Fprintf(w, "%s --why \"...\"\n", line)
		}
	}
	for _, c := range h.Changes {
		if !c.Rejected {
			show(string(c.AMC), c.Host)
		}
	}
	for _, q := range h.Quarantined {
		switch {
		case q.Rejected:
		case q.NewAMC:
			fmt.Fprintf(w, "  %s is not in the register: write it in the list of AMCs\n", q.AMC)
		default:
			show(string(q.AMC), q.Host)
		}
	}
	return nil
}

func annuaireDecideCommand(act string) *cobra.Command {
	var admin adminFlags
	var amc, host, who, why string
	var removed, alone bool
	what := map[string]string{annuaire.Approve: "Let", annuaire.Reject: "Keep"}[act]
	cmd := &cobra.Command{
		Use:   act,
		Short: map[string]string{annuaire.Approve: "Let one host of one insurer pass", annuaire.Reject: "Keep one host of one insurer away"}[act],
		Long: what + ` what 'rpn annuaire held' showed about one insurer and one host, and nothing
else; --removed is for routes that the annuaire takes away. It is written down,
with who and why, in the state folder (annuaire-actes.jsonl). For a day from an
approval, further keys and services of that insurer may move to that host.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if removed == (host != "") {
				return failed(errors.New("give --host, or --removed for routes that the annuaire takes away"))
			}
			if who == "" {
				who = whoAmI()
			}
			q := url.Values{"amc": {amc}, "host": {host}, "who": {who}, "why": {why}}
			if alone {
				q.Set("alone", "1")
			}
			return admin.act(cmd, "/-/annuaire/"+act+"?"+q.Encode())
		},
	}
	admin.add(cmd)
	f := cmd.Flags()
	f.StringVar(&amc, "amc", "", "number of the insurer (required)")
	f.StringVar(&host, "host", "", "host that the annuaire gives, as held prints it")
	f.BoolVar(&removed, "removed", false, "about routes that the annuaire takes away")
	f.StringVar(&why, "why", "", "why: a ticket, a call (required)")
	f.StringVar(&who, "who", "", "who decides (default: the user of this session)")
	if act == annuaire.Approve {
		f.BoolVar(&alone, "alone", false, "without the second operator that portal.second_operator demands: it is written down")
	}
	cmd.MarkFlagRequired("amc")
	cmd.MarkFlagRequired("why")
	return cmd
}

// whoAmI is the user of this session, behind sudo too.
func whoAmI() string {
	if s := os.Getenv("SUDO_USER"); s != "" {
		return s
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "uid " + strconv.Itoa(os.Getuid())
}

func annuaireRevalidateCommand() *cobra.Command {
	var admin adminFlags
	cmd := &cobra.Command{
		Use:   "revalidate",
		Short: "Have every remembered answer asked again, within a minute",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return admin.act(cmd, "/-/annuaire/revalidate")
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
