package main

import (
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/piano-roc/rpn/app"
	"github.com/piano-roc/rpn/app/config"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/routing/explain"
)

func explainCommand() *cobra.Command {
	var file, at string
	var fromCache, running, asJSON bool
	asked := map[string]*string{}
	cmd := &cobra.Command{
		Use:   "explain --structure ID --amc NUMBER --domaine HOSP|EXTE --service CODE --version V1|V2",
		Short: "Say what would become of a message, step by step, without sending it",
		Long: `Explain takes the steps of the path of an exchange with the same code: the
register, the annuaire and the age of its answer, the filter of addresses, the
choice. The insurer is not called.

The annuaire is asked, as a first message would make it. With --from-cache only
what is remembered on disk counts. With --running the RPN that runs on this
machine answers, with all that it remembers.

With --at the register is the one of that day; the annuaire's answer is always
the one of today.

It exits with 0 when the message would go, 1 when it would be refused.`,
		Example: `  rpn explain -c rpn.yaml --structure 1010003812 --amc 0075500025 --convention RO --csr 030255400 --domaine HOSP --service IDB --version V1`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q, err := explain.ParseQuestion(func(name string) string { return *asked[name] })
			if err != nil {
				return refused(fmt.Errorf("--%w", err))
			}
			c, err := config.Read(file)
			if err != nil {
				return refused(err)
			}
			var when time.Time
			if at != "" {
				m, err := register.ParseMoment(at)
				if err != nil {
					return refused(fmt.Errorf("--at %q: %w", at, err))
				}
				when = m.Time
			}
			var x *explain.Explanation
			if running {
				x, err = app.ExplainRunning(cmd.Context(), c, q, when)
			} else {
				x, err = app.Explain(cmd.Context(), app.Options{Config: c, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Version: version()}, q, when, fromCache)
			}
			if err != nil {
				return refused(err)
			}
			if err := write(cmd.OutOrStdout(), x, asJSON); err != nil {
				return err
			}
			if !x.Pass {
				return failed(nil)
			}
			return nil
		},
	}
	configFlag(cmd, &file)
	flags := cmd.Flags()
	for _, f := range []struct {
		name, usage string
		required    bool
	}{
		{"structure", "who sends: a structure id, or a FINESS (required)", true},
		{"eg", "finess_eg of the message", false},
		{"amc", "numero_amc (required)", true},
		{"convention", "code_type_convention", false},
		{"csr", "code_csr", false},
		{"domaine", "domaine_conventionnel (required)", true},
		{"service", "the service, " + roc.OneOf(roc.AMCServices) + " (required)", true},
		{"version", "the version of ROC (required)", true},
	} {
		asked[f.name] = flags.String(f.name, "", f.usage)
		if f.required {
			cmd.MarkFlagRequired(f.name)
		}
	}
	flags.StringVar(&at, "at", "", "with the register of that day, or instant")
	flags.BoolVar(&fromCache, "from-cache", false, "do not ask the annuaire: what is remembered on disk")
	flags.BoolVar(&running, "running", false, "ask the RPN that runs on this machine")
	flags.BoolVar(&asJSON, "json", false, "write JSON")
	cmd.MarkFlagsMutuallyExclusive("from-cache", "running")
	return cmd
}
