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

	"github.com/piano-roc/rpn/app/config"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/register/attempts"
	"github.com/piano-roc/rpn/register/ops"
	"github.com/piano-roc/rpn/routing/explain"
)

func registerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "register",
		Short: "Look at the register, compare two, import one from FINESS",
		Long: `The register is two files: the establishments and their states, the AMCs and
theirs. The running RPN reads them again by itself when they change.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(registerCheckCommand(), registerShowCommand(), registerDiffCommand(), registerListCommand(), registerHistoryCommand(), registerImportCommand(), accrochagesCommand())
	return cmd
}

// registerFlags say which register is meant, and when.
type registerFlags struct {
	config string
	pair   ops.Pair
	at     string
	json   bool
}

func (f *registerFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVarP(&f.config, "config", "c", "", "a configuration, which names the two files (default: "+defaultConfig+", unless etablissements.yaml is here)")
	flags.StringVar(&f.pair.Etablissements, "etablissements", "", "the list of establishments (default: etablissements.yaml here)")
	flags.StringVar(&f.pair.AMC, "amc", "", "the list of AMCs (default: amc.yaml here)")
	flags.StringVar(&f.at, "at", "", "as it is on that day, or at that instant (default: now)")
	flags.BoolVar(&f.json, "json", false, "write JSON")
}

// files settles which two files are meant.
func (f *registerFlags) files() (ops.Pair, error) {
	if f.config == "" && f.pair == (ops.Pair{}) && !exists(ops.In(".").Etablissements) {
		f.config = orDefault("")
	}
	if f.config == "" {
		return f.pair.Complete(ops.In(".")), nil
	}
	c, err := config.Read(f.config)
	if err != nil {
		return ops.Pair{}, err
	}
	return f.pair.Complete(ops.Pair{Etablissements: c.Etablissements, AMC: c.AMC}), nil
}

func (f *registerFlags) load() (*register.List, error) {
	pair, err := f.files()
	if err != nil {
		return nil, refused(err)
	}
	at, err := instantOf(f.at)
	if err != nil {
		return nil, err
	}
	l, err := pair.Load(at)
	if err != nil {
		return nil, refused(err)
	}
	return l, nil
}

// served refuses a register that the RPN of the configuration, where one is
// given, would not take.
func (f *registerFlags) served(l *register.List) error {
	if f.config == "" {
		return nil
	}
	c, err := config.Read(f.config)
	if err != nil {
		return err
	}
	return c.CanServe(l)
}

// instantOf reads a flag of an instant; "" is now.
func instantOf(s string) (time.Time, error) {
	if s == "" {
		return time.Now(), nil
	}
	m, err := register.ParseMoment(s)
	if err != nil {
		return time.Time{}, refused(fmt.Errorf("--at %q: %w; write it like 2026-11-01", s, err))
	}
	return m.Time, nil
}

// write writes what a command found, in words or as JSON.
func write(w io.Writer, v fmt.Stringer, asJSON bool) error {
	if asJSON {
		return writeIndented(w, v)
	}
	_, err := io.WriteString(w, v.String())
	return err
}

func writeIndented(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

func registerCheckCommand() *cobra.Command {
	var f registerFlags
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check the two files, and say what is planned and what looks wrong",
		Long: `Check reads the two files as the RPN does. It prints everything that is wrong,
each with its place, and exits with 2; or what is there, the changes that are
dated and to come, and warnings, and exits with 0.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := f.load()
			if err != nil {
				return err
			}
			if err := f.served(l); err != nil {
				return refused(err)
			}
			return write(cmd.OutOrStdout(), ops.Check(l), f.json)
		},
	}
	f.add(cmd)
	return cmd
}

func registerShowCommand() *cobra.Command {
	var f registerFlags
	cmd := &cobra.Command{
		Use:   "show WHO",
		Short: "Show an establishment or an AMC: its states, whom it reaches",
		Long: `WHO is a FINESS (of a legal entity or of a site), a structure id, the number of
an AMC, or a part of a name. It exits with 1 when nobody is found.`,
		Example: `  rpn register show -c rpn.yaml 010003812
  rpn register show -c rpn.yaml --at 2026-12-01 tilleuls`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := f.load()
			if err != nil {
				return err
			}
			found := ops.Find(l, args[0], explain.Reached(l))
			if err := write(cmd.OutOrStdout(), found, f.json); err != nil {
				return err
			}
			if len(found.Etablissements)+len(found.AMCs) == 0 {
				return failed(fmt.Errorf("nobody in the register has the FINESS, the number or the name %q", args[0]))
			}
			return nil
		},
	}
	f.add(cmd)
	return cmd
}

func registerDiffCommand() *cobra.Command {
	var f registerFlags
	cmd := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Say who gains and who loses access between two registers",
		Long: `OLD and NEW are each a folder with etablissements.yaml and amc.yaml, a
configuration, or one of the two lists; the other list is then that of --amc or
--etablissements, or the one beside OLD.

What a reload would refuse (register_losses: of the configuration, or the
default) is said at the end.

It exits with 0 when nothing changes, 1 when something does, 2 when a file is
wrong.`,
		Example: `  rpn register diff /etc/rpn/etablissements.yaml etablissements.new.yaml
  rpn register diff --at 2027-01-01 today/ tomorrow/`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := diff(&f, args[0], args[1])
			if err != nil {
				return err
			}
			if err := write(cmd.OutOrStdout(), d, f.json); err != nil {
				return err
			}
			if !d.Empty() {
				return failed(nil)
			}
			return nil
		},
	}
	f.add(cmd)
	cmd.Flags().MarkHidden("config") // OLD or NEW is one
	return cmd
}

func diff(f *registerFlags, from, to string) (*explain.Diff, error) {
	at, err := instantOf(f.at)
	if err != nil {
		return nil, err
	}
	rules := config.Standard()
	old, err := pairOf(from, &rules)
	if err != nil {
		return nil, refused(err)
	}
	beside := old.Complete(f.pair).Complete(ops.In(filepath.Dir(from)))
	next, err := pairOf(to, &rules)
	if err != nil {
		return nil, refused(err)
	}
	before, err1 := beside.Load(at)
	after, err2 := next.Complete(f.pair).Complete(beside).Load(at)
	if err := errors.Join(err1, err2); err != nil {
		return nil, refused(err)
	}
	d := explain.Compare(before, after, rules.StandardLimits())
	for _, l := range explain.LossesOf(before, after, d, rules.StandardLimits(), rules.RegisterLosses) {
		d.Refused = append(d.Refused, l.String())
	}
	return d, nil
}

// pairOf settles what an argument of diff means. A configuration gives its
// rules as well.
func pairOf(path string, rules **config.Config) (ops.Pair, error) {
	p, ok, err := ops.PairOf(path)
	if ok || err != nil {
		return p, err
	}
	c, err := config.Read(path)
	if err != nil {
		return p, err
	}
	*rules = c
	return ops.Pair{Etablissements: c.Etablissements, AMC: c.AMC}, nil
}

func accrochagesCommand() *cobra.Command {
	var file, state, structure, since string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "accrochages",
		Short: "List the attempts of establishments in accrochage",
		Long: `Each exchange of an establishment in accrochage is kept, whatever its outcome, in
the state folder of the configuration. The latest ones of each are there: at
least 1 MiB, some 1500 attempts.`,
		Example: `  rpn register accrochages -c rpn.yaml --structure 1010003812 --since 2026-11-01`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := attemptsDir(file, state)
			if err != nil {
				return refused(err)
			}
			q, err := attemptsQuery(structure, since)
			if err != nil {
				return refused(err)
			}
			list, unread, err := attempts.Read(dir, q)
			if err != nil {
				return failed(err)
			}
			if unread > 0 {
				fmt.Fprintf(cmd.ErrOrStderr(), "rpn: %d lines could not be read: a crash cut them\n", unread)
			}
			if asJSON {
				return writeIndented(cmd.OutOrStdout(), append([]attempts.Attempt{}, list...))
			}
			return writeAttempts(cmd.OutOrStdout(), list)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&file, "config", "c", defaultConfig, "the configuration, which names the state folder")
	flags.StringVar(&state, "state", "", "the state folder, instead of --config")
	flags.StringVar(&structure, "structure", "", "of one establishment: its structure id, or the FINESS of its EJ")
	flags.StringVar(&since, "since", "", "from that day or instant on")
	flags.BoolVar(&asJSON, "json", false, "write JSON")
	cmd.MarkFlagsMutuallyExclusive("config", "state")
	return cmd
}

func attemptsDir(file, state string) (string, error) {
	if state != "" {
		return (&config.Config{State: state}).AttemptsDir(), nil
	}
	c, err := config.Read(file)
	if err != nil {
		return "", err
	}
	if c.State == "" {
		return "", fmt.Errorf("%s names no state folder, so no attempt is kept; add a line `state: /var/lib/rpn`", file)
	}
	return c.AttemptsDir(), nil
}

func attemptsQuery(structure, since string) (q attempts.Query, err error) {
	if structure != "" {
		if q.Etablissement, err = roc.ParseStructure(structure); err != nil {
			return q, fmt.Errorf("--structure %q: %w", structure, err)
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

func writeAttempts(w io.Writer, list []attempts.Attempt) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	good := 0
	for i := range list {
		a := &list[i]
		outcome := string(a.Outcome)
		if a.Code != "" {
			outcome = fmt.Sprintf("%s %s", a.Code, a.Reason)
		}
		if a.Succeeded() {
			outcome = "success"
			good++
		}
		fmt.Fprintf(t, "%s\t%s\t%s %s\t%s %s\t%s\t%d ms\t%s\n", register.InParis(a.RequestIn).Format("2006-01-02 15:04:05"), a.Etablissement,
			a.Service, a.Version, a.AMC, a.AMCName, outcome, a.TotalMicros/1000, a.Echange)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "attempts: %d, of which answered by the validation platform: %d\n", len(list), good)
	return err
}

// exists reports whether there is a file.
func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
