package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/journal"
	"github.com/piano-roc/rpn/register"
)

func journalFindCommand() *cobra.Command {
	var dirs []string
	var id, messageID, from, to, structure, amc, service, outcome, code string
	var limit int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "find --dir DIR [filters]",
		Short: "Search exchanges by id, MessageID, period, establishment, AMC, service, outcome",
		Args:  cobra.NoArgs,
		Example: `  rpn journal find --dir /var/lib/rpn/journal --message-id 6ba7b810-9dad-11d1-80b4-00c04fd430c8
  rpn journal find --dir a --dir b --structure 010003812 --from 2026-11-23 --to 2026-11-30 --outcome refused`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q, err := parseQuery(id, messageID, from, to, structure, amc, service, outcome, code, limit)
			if err != nil {
				return refused(err)
			}
			logs, done, err := openLogs(dirs)
			if err != nil {
				return err
			}
			defer done()
			total, shown, unread := 0, 0, 0
			for _, l := range logs {
				res, err := l.Find(cmd.Context(), q)
				if err != nil {
					return failed(err)
				}
				for _, why := range res.Slow {
					fmt.Fprintf(cmd.ErrOrStderr(), "rpn: a segment was read whole, without its index: %v\n", why)
				}
				if res.Damaged > 0 {
					fmt.Fprintf(cmd.ErrOrStderr(), "rpn: %d records that may match are damaged: `rpn journal verify` lists them\n", res.Damaged)
				}
				printUnread(cmd, res)
				total, unread = total+res.Total, unread+len(res.Unread)
				for i := range res.Matches {
					shown++
					if err := printEntry(cmd.OutOrStdout(), &res.Matches[i].Entry, asJSON); err != nil {
						return err
					}
				}
			}
			if shown < total {
				fmt.Fprintf(cmd.ErrOrStderr(), "rpn: %d of %d are shown: --limit shows more\n", shown, total)
			}
			switch {
			case unread > 0:
				return failed(errors.New("the search is not complete: what could not be read is named above"))
			case total == 0:
				return failed(errors.New("nothing was found"))
			}
			return nil
		},
	}
	dirFlag(cmd, &dirs)
	f := cmd.Flags()
	f.StringVar(&id, "id", "", "exchange id, as RPN-Echange gives it")
	f.StringVar(&messageID, "message-id", "", "wsa:MessageID, a UUID")
	f.StringVar(&from, "from", "", "from this day or instant on")
	f.StringVar(&to, "to", "", "before this day or instant")
	f.StringVar(&structure, "structure", "", "the caller: a structure id, or a FINESS")
	f.StringVar(&amc, "amc", "", "number of the insurer")
	f.StringVar(&service, "service", "", roc.OneOf(roc.Services))
	f.StringVar(&outcome, "outcome", "", "answered, far-fault, refused or abandoned")
	f.StringVar(&code, "code", "", "code of a refusal: RPN212")
	f.IntVar(&limit, "limit", 1000, "how many are shown of each folder")
	f.BoolVar(&asJSON, "json", false, "one JSON object a line")
	return cmd
}

// parseQuery reads the filters; every error names its flag.
func parseQuery(id, messageID, from, to, structure, amc, service, outcome, code string, limit int) (q journal.Query, err error) {
	q.Limit = limit
	q.ID, q.MessageID = roc.ExchangeID(strings.ToLower(id)), strings.ToLower(trimURN(messageID))
	flag := func(name string, e error) {
		if e != nil && err == nil {
			err = fmt.Errorf("--%s: %w", name, e)
		}
	}
	moment := func(name, text string) time.Time {
		if text == "" {
			return time.Time{}
		}
		m, e := register.ParseMoment(text)
		flag(name, e)
		return m.Time
	}
	q.From, q.To = moment("from", from), moment("to", to)
	if structure != "" {
		var e error
		q.Structure, e = roc.ParseStructure(structure)
		flag("structure", e)
	}
	if amc != "" {
		var e error
		q.AMC, e = roc.ParseNumeroAMC(amc)
		flag("amc", e)
	}
	if service != "" {
		var e error
		q.Service, e = roc.ParseService(strings.ToUpper(service))
		flag("service", e)
	}
	switch q.Outcome = roc.Outcome(outcome); q.Outcome {
	case "", roc.Answered, roc.FarFault, roc.Refused, roc.Abandoned:
	default:
		flag("outcome", fmt.Errorf("%q is not answered, far-fault, refused or abandoned", outcome))
	}
	if code != "" {
		for _, r := range roc.Reasons() {
			if r.Meaning().Code == strings.ToUpper(code) {
				q.Reason = r
			}
		}
		if q.Reason == "" {
			flag("code", fmt.Errorf("%q is not a code of docs/refusals.md", code))
		}
	}
	return q, err
}

func trimURN(s string) string {
	return strings.TrimPrefix(strings.TrimPrefix(s, "urn:"), "uuid:")
}

// printUnread tells what a search could not read.
func printUnread(cmd *cobra.Command, res *journal.Result) {
	for _, why := range res.Unread {
		fmt.Fprintf(cmd.ErrOrStderr(), "rpn: could not be read for now: %v\n", why)
	}
}

// findOne finds an exchange by its id in several folders.
func findOne(cmd *cobra.Command, logs []*journal.Log, id string) (*journal.Log, *journal.Match, error) {
	q := journal.Query{ID: roc.ExchangeID(strings.ToLower(id))}
	damaged, unread := 0, 0
	for _, l := range logs {
		res, err := l.Find(cmd.Context(), q)
		if err != nil {
			return nil, nil, err
		}
		printUnread(cmd, res)
		if len(res.Matches) > 0 {
			return l, &res.Matches[0], nil
		}
		damaged, unread = damaged+res.Damaged, unread+len(res.Unread)
	}
	if unread > 0 {
		return nil, nil, fmt.Errorf("exchange %s is not in what could be read of these folders; what could not is named above: try again when it can be", id)
	}
	if damaged > 0 {
		return nil, nil, fmt.Errorf("no exchange %s in what can be read of these folders: %d records are damaged, and `rpn journal verify` lists them", id, damaged)
	}
	return nil, nil, fmt.Errorf("no exchange %s in these folders: give the folder of each instance, or a copy that goes back far enough", id)
}
