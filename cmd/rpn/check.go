package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/piano-roc/rpn/app"
	"github.com/piano-roc/rpn/app/config"
)

// defaultConfig is the configuration of a command that names none.
const defaultConfig = "/etc/rpn/rpn.yaml"

// configFlag is the configuration that a command needs.
func configFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVarP(file, "config", "c", defaultConfig, "the configuration: a YAML file")
	cmd.MarkFlagFilename("config", "yaml", "yml")
}

// orDefault is that configuration, or the one of this machine where there is one;
// "": none.
func orDefault(file string) string {
	if f, err := os.Open(defaultConfig); file == "" && err == nil {
		f.Close()
		return defaultConfig
	}
	return file
}

func checkCommand() *cobra.Command {
	var file string
	var strict, online bool
	cmd := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Check a configuration and every file it names, and change nothing",
		Long: `Check reads what serve would read: the configuration, the two lists, the
certificates and their keys, the trust stores, the revocation lists. It prints
everything that is wrong, each with its place and what to do; then what is allowed
and looks wrong, as warnings. It opens no port, writes no file and asks nobody;
--online fetches the revocation lists, and keeps nothing of them.

It exits with 0 when the RPN would start, with a summary; with 1 when there are
faults, or warnings and --strict; with 2 when the command line is wrong or there
is no such configuration. Run it as the user of the RPN: what root may read, the
RPN may not. Run by root it says what the owner of the state folder may not read.`,
		Example: `  runuser -u rpn -- rpn check
  rpn check new.yaml --strict`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				if cmd.Flags().Changed("config") {
					return refused(errors.New("name one configuration: as an argument, or with --config"))
				}
				file = args[0]
			}
			return check(cmd, file, online, strict)
		},
	}
	configFlag(cmd, &file)
	cmd.Flags().BoolVar(&online, "online", false, "fetch the revocation lists")
	cmd.Flags().BoolVar(&strict, "strict", false, "exit with 1 when there are warnings")
	return cmd
}

func check(cmd *cobra.Command, file string, online, strict bool) error {
	c, err := config.Examine(file)
	var setup *config.SetupError
	if errors.As(err, &setup) {
		return refused(err)
	}
	var faults []error
	if err != nil {
		faults = append(faults, err)
	}
	report := &app.Report{}
	if c != nil {
		report = app.Check(cmd.Context(), app.Options{Config: c, Log: slog.New(slog.DiscardHandler), Version: version()}, online)
		faults = append(faults, report.Faults...)
	}
	w := cmd.ErrOrStderr()
	for _, err := range report.Warnings {
		fmt.Fprintln(w, "warning: "+strings.ReplaceAll(err.Error(), "\n", "\nwarning: "))
	}
	switch {
	case len(faults) > 0:
		return failed(errors.Join(faults...))
	case strict && len(report.Warnings) > 0:
		return failed(errors.New("there are warnings, and --strict makes them faults"))
	}
	_, err = fmt.Fprint(cmd.OutOrStdout(), report.Summary)
	return err
}
