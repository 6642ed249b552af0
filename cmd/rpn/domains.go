package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/piano-roc/rpn/annuaire"
	"github.com/piano-roc/rpn/app/config"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/routing/explain"
)

func domainsCommand() *cobra.Command {
	var f registerFlags
	var since, hosts string
	var asCSV bool
	var quiet time.Duration
	cmd := &cobra.Command{
		Use:   "domains",
		Short: "List the insurers' domains in use at a date, and what changed since another",
		Long: `Domains lists what the register knows of each AMC that may be reached, and the
hosts that the annuaire has named for it (kept in the state folder of the
configuration): "connu" says whether the register covers them. With --since it
lists only what came ("ajout") and went ("retrait") between the two dates. A date
is a day, at its end.`,
		Example: `  rpn domains -c rpn.yaml
  rpn domains -c rpn.yaml --since 2026-10-01 --at 2026-11-01 --csv > domaines.csv`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := f.load()
			if err != nil {
				return err
			}
			if hosts == "" && f.config != "" {
				c, err := config.Read(f.config)
				if err != nil {
					return refused(err)
				}
				hosts = c.HostsFile()
			}
			var named []annuaire.Host
			if hosts != "" {
				if named, err = annuaire.ReadHosts(hosts); err != nil {
					return refused(err)
				}
			}
			at, err := endOf("--at", f.at)
			if err != nil {
				return err
			}
			list := explain.Domains(l, named, at, quiet)
			out := cmd.OutOrStdout()
			if since == "" {
				if f.json {
					return writeIndented(out, list)
				}
				return explain.WriteDomains(out, list, asCSV)
			}
			from, err := endOf("--since", since)
			if err != nil {
				return err
			}
			delta := explain.DomainDelta(explain.Domains(l, named, from, quiet), list)
			if f.json {
				return writeIndented(out, delta)
			}
			return explain.WriteDomainDelta(out, delta, asCSV)
		},
	}
	f.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&since, "since", "", "list what changed since that day")
	flags.StringVar(&hosts, "hosts", "", "the hosts that the annuaire has named (default: those of the configuration's state folder)")
	flags.BoolVar(&asCSV, "csv", false, "write CSV, with semicolons")
	flags.DurationVar(&quiet, "quiet", 30*24*time.Hour, "a host that the annuaire has not named for so long is no longer in use")
	cmd.MarkFlagsMutuallyExclusive("csv", "json")
	return cmd
}

// endOf reads a flag of a day, at its end; "" is now.
func endOf(flag, s string) (time.Time, error) {
	if s == "" {
		return time.Now(), nil
	}
	m, err := register.ParseMoment(s)
	if err != nil {
		return time.Time{}, refused(fmt.Errorf("%s %q: %w; write it like 2026-11-01", flag, s, err))
	}
	return m.Last(), nil
}
