package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/piano-roc/rpn/app/config"
	"github.com/piano-roc/rpn/internal/durable"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/register/ops"
	"github.com/piano-roc/rpn/routing/explain"
)

// importFlags are the flags of `rpn register import`.
type importFlags struct {
	finess, states, base, amc, out string
	config                         string // its bounds and limits; "": the default ones
	force                          bool
}

func registerImportCommand() *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use:   "import --finess EXTRACT [--states TABLE] [--base REGISTER] --out FILE",
		Short: "Make the list of establishments from the extract of FINESS",
		Long: `Import takes which sites belong to which legal entity from the public extract of
FINESS (etalab-cs1100502-stock, as it is published or with the names of its
columns on the first line), and the state of each establishment from a table.

The table of states is a CSV file whose first line names its columns: finess_ej
and etat are needed; depuis, amc_miroir, motif, nom, gap, contrat, versions,
par_seconde, rafale, mandats, contact_nom, contact_role, contact_courriel and
contact_telephone are read when they are there. An establishment has one row for
each of its dated states.

With --base, the establishments of that list are kept with all that the table
does not say, and only their sites are refreshed: the list keeps its order, its
comments and its layout, new rows come last. With neither --base nor
--states every legal entity of the extract enters, suspendu: an import alone
opens nothing.

Everything is checked before anything is written. A list that would take away
more of FILE than register_losses allows (of the configuration, or the default)
is refused, unless forced.
What changes is said as by rpn register diff.`,
		Example: `  rpn register import --finess etalab-cs1100502-stock-20261101.csv --states states.csv --amc amc.yaml --out etablissements.yaml
  rpn register import --finess extract.csv --base etablissements.yaml --out etablissements.yaml -c rpn.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.run(cmd.OutOrStdout(), cmd.ErrOrStderr(), time.Now())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.finess, "finess", "", "the extract of FINESS (required)")
	flags.StringVar(&f.states, "states", "", "the table of states: CSV")
	flags.StringVar(&f.base, "base", "", "a list of establishments to keep")
	flags.StringVar(&f.amc, "amc", "", "the list of AMCs, for the AMCs miroirs (default: amc.yaml beside FILE)")
	flags.StringVar(&f.out, "out", "", "the file to write; - for standard output (required)")
	flags.StringVarP(&f.config, "config", "c", "", "take register_losses and the default limits from this configuration")
	cmd.MarkFlagFilename("config", "yaml", "yml")
	flags.BoolVar(&f.force, "force", false, "write it although it takes away much of FILE")
	cmd.MarkFlagRequired("finess")
	cmd.MarkFlagRequired("out")
	return cmd
}

func (f *importFlags) run(out, notes io.Writer, now time.Time) error {
	if f.amc == "" {
		f.amc = filepath.Join(filepath.Dir(f.out), ops.AMCYAML)
	}
	sources, err := f.sources(now)
	if err != nil {
		return refused(err)
	}
	made, err := ops.Import(sources)
	if err != nil {
		return refused(err)
	}
	for _, n := range made.Notes {
		fmt.Fprintln(notes, n)
	}
	data, err := f.text(made, notes, now)
	if err != nil {
		return refused(err)
	}
	amcs, err := os.ReadFile(f.amc)
	if err != nil {
		return refused(err)
	}
	after, err := register.Parse(f.out, data, f.amc, amcs, now)
	if err != nil {
		return refused(fmt.Errorf("what the import made is not a register: %w", err))
	}
	if f.out == "-" {
		_, err := out.Write(data)
		return err
	}
	if err := f.compare(notes, after, now); err != nil {
		return err
	}
	if err := durable.WriteFile(f.out, data, 0o640); err != nil {
		return failed(err)
	}
	fmt.Fprintf(notes, "%s is written\n", f.out)
	return nil
}

// text writes what was made: into the base, which keeps its order and its
// comments, or whole.
func (f *importFlags) text(made *ops.Imported, notes io.Writer, now time.Time) ([]byte, error) {
	if f.base != "" {
		base, err := os.ReadFile(f.base)
		if err != nil {
			return nil, err
		}
		if text, ok := ops.Edit(ops.File{Name: f.base, Data: base}, made.Rows); ok {
			return text, nil
		}
		fmt.Fprintf(notes, "%s is written whole: its layout is none that can be edited, and its comments are not kept\n", f.base)
	}
	return ops.YAML(made.Rows, fmt.Sprintf("Made by rpn register import on %s from %s.", now.Format(time.DateOnly), filepath.Base(f.finess))), nil
}

func (f *importFlags) sources(now time.Time) (s ops.Sources, err error) {
	if s.AMCs, err = register.LoadAMCs(f.amc, now); err != nil {
		return s, err
	}
	s.At = now
	if s.FINESS.Data, err = os.ReadFile(f.finess); err != nil {
		return s, err
	}
	s.FINESS.Name = f.finess
	if f.states != "" {
		data, err := os.ReadFile(f.states)
		if err != nil {
			return s, err
		}
		s.States = &ops.File{Name: f.states, Data: data}
	}
	if f.base != "" {
		s.Base, err = register.Load(f.base, f.amc, now)
	}
	return s, err
}

// compare says what the new list changes to the file it replaces, and refuses
// one that drops too much of it.
func (f *importFlags) compare(notes io.Writer, after *register.List, now time.Time) error {
	if !exists(f.out) {
		return nil
	}
	before, err := register.Load(f.out, f.amc, now)
	if err != nil {
		if f.force {
			return nil
		}
		return refused(fmt.Errorf("%s is there and is not a register: --force replaces it: %w", f.out, err))
	}
	c := config.Standard()
	if f.config != "" {
		if c, err = config.Read(f.config); err != nil {
			return refused(err)
		}
	}
	d := explain.Compare(before, after, c.StandardLimits())
	fmt.Fprint(notes, d)
	losses := explain.LossesOf(before, after, d, c.StandardLimits(), c.RegisterLosses)
	if f.force {
		for _, l := range losses {
			fmt.Fprintln(notes, "forced:", l)
		}
		return nil
	}
	if err := explain.Refuse(losses, "--force writes them"); err != nil {
		return refused(fmt.Errorf("%s: %w", f.out, err))
	}
	return nil
}
