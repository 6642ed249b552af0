package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/piano-roc/rpn/app/config"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/register/history"
	"github.com/piano-roc/rpn/register/ops"
)

func registerListCommand() *cobra.Command {
	var f registerFlags
	var filter ops.Filter
	cmd := &cobra.Command{
		Use:   "list [TEXT]",
		Short: "List establishments and AMCs: by state, region, or a part of a name",
		Long: `List writes a line for each establishment and each AMC. TEXT is a part of a name,
of a motif, or of a number.`,
		Example: `  rpn register list -c rpn.yaml --etat surveillance
  rpn register list -c rpn.yaml --region Bretagne --at 2027-01-01 clinique`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				filter.Text = args[0]
			}
			known := append(register.Etats(), register.Etat(register.AMCValidation), register.Etat(register.AMCMaintenance))
			if !slices.Contains(known, register.Etat(filter.Etat)) {
				return refused(fmt.Errorf("--etat %q is no state of an establishment nor of an AMC", filter.Etat))
			}
			l, err := f.load()
			if err != nil {
				return err
			}
			if filter.Region != "" && !ops.IsRegion(l, filter.Region) {
				return refused(fmt.Errorf("--region %q is no région of the register: %s", filter.Region, strings.Join(ops.NearestRegions(l, filter.Region), ", ")))
			}
			return write(cmd.OutOrStdout(), ops.List(l, filter), f.json)
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&filter.Etat, "etat", "", "in that state")
	cmd.Flags().StringVar(&filter.Region, "region", "", "establishments of that region")
	return cmd
}

func registerHistoryCommand() *cobra.Command {
	var file, state, structure, amc, since string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "history",
		Short: "Say who gained and lost what, when, and who asked for it",
		Long: `Each reload of the register is written down in the state folder: what it changed,
who asked for it, what was forced, the SHA-256 of both files; and each dated
change that came into force by the clock. The oldest comes first.

With --structure or --amc only what is about it is shown. A damaged line stays
as it is and is named; history then exits with 1.`,
		Example: `  rpn register history -c rpn.yaml --structure 010003812
  rpn register history -c rpn.yaml --amc 0075500025 --since 2026-11-01 --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c := &config.Config{State: state}
			if state == "" {
				var err error
				if c, err = config.Read(file); err != nil {
					return refused(err)
				}
				if c.State == "" {
					return refused(fmt.Errorf("%s names no state folder, so no history is kept; add a line `state: /var/lib/rpn`", file))
				}
			}
			q, err := historyQuery(c, structure, amc, since)
			if err != nil {
				return refused(err)
			}
			trail, err := history.Read(c.RegisterHistoryFile(), q)
			if err != nil {
				return failed(err)
			}
			if err := write(cmd.OutOrStdout(), trail, asJSON); err != nil {
				return err
			}
			if len(trail.Damaged) > 0 {
				return failed(fmt.Errorf("%d lines of the history are damaged: the first is %s", len(trail.Damaged), trail.Damaged[0]))
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&file, "config", "c", defaultConfig, "the configuration, which names the state folder")
	flags.StringVar(&state, "state", "", "the state folder, instead of --config")
	flags.StringVar(&structure, "structure", "", "of one establishment: its structure id, or a FINESS")
	flags.StringVar(&amc, "amc", "", "of one AMC, by any of its numbers")
	flags.StringVar(&since, "since", "", "from that day or instant on")
	flags.BoolVar(&asJSON, "json", false, "write JSON")
	cmd.MarkFlagsMutuallyExclusive("config", "state")
	return cmd
}

// historyQuery reads the flags. A site, a SIRET or another number of an AMC is
// resolved by the register of today, where there is one to be read.
func historyQuery(c *config.Config, structure, amc, since string) (q history.Query, err error) {
	at, err := instantOf("")
	if err != nil {
		return q, err
	}
	l := &register.List{}
	if c.Etablissements != "" {
		if now, err := register.Load(c.Etablissements, c.AMC, at); err == nil {
			l = now
		}
	}
	if structure != "" {
		id, err := roc.ParseStructure(structure)
		if err != nil {
			return q, fmt.Errorf("--structure %q: %w", structure, err)
		}
		if e, ok := l.ByStructure(id); ok {
			q.Etablissements = append(q.Etablissements, e.EJ)
		}
		if f, ok := id.FINESS(); ok {
			q.Etablissements = append(q.Etablissements, f) // it may be of yesterday
		}
		if len(q.Etablissements) == 0 {
			return q, fmt.Errorf("--structure %s: the register gives it to nobody; name the FINESS of the establishment", structure)
		}
	}
	if amc != "" {
		n, err := roc.ParseNumeroAMC(amc)
		if err != nil {
			return q, fmt.Errorf("--amc %q: %w", amc, err)
		}
		q.AMCs = append(q.AMCs, n)
		if a, ok := l.AMC(n); ok {
			q.AMCs = append(q.AMCs, a.Numeros...)
		}
	}
	if since != "" {
		m, err := register.ParseMoment(since)
		if err != nil {
			return q, fmt.Errorf("--since %q: %w", since, err)
		}
		q.Since = m.Time
	}
	return q, nil
}
