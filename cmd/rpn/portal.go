package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

func portalCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "portal",
		Short: "Invite persons to the portal, and look at who is invited",
		Long: `Where the configuration has portal.oidc, a person reads the pages of an
establishment or of an insurer by an invitation: a link that serves once. Whoever
holds the certificate of the establishment or insurer makes them on the portal;
these commands are for the operator. Every act is written down in the state folder
(portail-invitations.jsonl), with who and when.`,
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(portalInvitationsCommand(), portalInviteCommand(), portalRevokeCommand())
	return cmd
}

func portalInviteCommand() *cobra.Command {
	var admin adminFlags
	var structure, amc, label, who string
	cmd := &cobra.Command{
		Use:   "invite",
		Short: "Make the link of an invitation, and print it: once",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if (structure == "") == (amc == "") {
				return failed(errors.New("give --structure or --amc"))
			}
			if who == "" {
				who = whoAmI()
			}
			q := url.Values{"structure": {structure}, "amc": {amc}, "label": {label}, "who": {who}}
			return admin.act(cmd, "/-/portal/invite?"+q.Encode())
		},
	}
	admin.add(cmd)
	f := cmd.Flags()
	f.StringVar(&structure, "structure", "", "whose pages: a FINESS or a structure id of an establishment")
	f.StringVar(&amc, "amc", "", "whose pages: the number of an insurer")
	f.StringVar(&label, "label", "", "for whom, by a service or a post rather than a name (required)")
	f.StringVar(&who, "who", "", "who invites (default: the user of this session)")
	cmd.MarkFlagRequired("label")
	return cmd
}

func portalRevokeCommand() *cobra.Command {
	var admin adminFlags
	var id, who string
	cmd := &cobra.Command{
		Use:   "revoke",
		Short: "End an invitation: its link, and the access of who used it, at once",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if who == "" {
				who = whoAmI()
			}
			return admin.act(cmd, "/-/portal/revoke?"+url.Values{"id": {id}, "who": {who}}.Encode())
		},
	}
	admin.add(cmd)
	cmd.Flags().StringVar(&id, "id", "", "which, as invitations prints it (required)")
	cmd.Flags().StringVar(&who, "who", "", "who revokes (default: the user of this session)")
	cmd.MarkFlagRequired("id")
	return cmd
}

// An invited is one line of the answer of the RPN.
type invited struct {
	ID    string `json:"id"`
	Party struct {
		Structure string `json:"structure"`
		AMC       string `json:"amc"`
	} `json:"party"`
	Label   string    `json:"label"`
	By      string    `json:"by"`
	Made    time.Time `json:"made"`
	Ends    time.Time `json:"ends"`
	Person  string    `json:"person"`
	Until   time.Time `json:"until"`
	Revoked time.Time `json:"revoked"`
	State   string    `json:"state"`
}

// inWords is the state, as the RPN says it, with its date.
func (i *invited) inWords() string {
	switch i.State {
	case "revoked":
		return "revoked " + i.Revoked.Format(time.RFC3339)
	case "waiting":
		return "waiting until " + i.Ends.Format(time.RFC3339)
	case "active":
		return "used by " + i.Person + ", until " + i.Until.Format(time.RFC3339)
	}
	return i.State
}

func portalInvitationsCommand() *cobra.Command {
	var admin adminFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "invitations",
		Short: "Show the invitations that are kept, the latest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			body, _, err := admin.ask(cmd.Context(), http.MethodGet, "/-/portal/invitations")
			if err != nil {
				return err
			}
			var list []invited
			if err := json.Unmarshal(body, &list); err != nil {
				return failed(fmt.Errorf("what answers there is not an RPN: %w", err))
			}
			if asJSON {
				_, err = cmd.OutOrStdout().Write(body)
				return err
			}
			return printInvited(cmd.OutOrStdout(), list)
		},
	}
	admin.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printInvited(w io.Writer, list []invited) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tPAGES OF\tFOR\tBY\tMADE\tSTATE")
	for i := range list {
		x := &list[i]
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", x.ID, x.Party.Structure+x.Party.AMC, x.Label, x.By, x.Made.Format(time.RFC3339), x.inWords())
	}
	return t.Flush()
}
