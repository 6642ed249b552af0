package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/piano-roc/rpn/app/config"
)

func configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config [KEY]",
		Short: "Say what a field of the configuration does; write its schema for editors",
		Long: `Config shows what the manual says of a field of rpn.yaml and of those under it, as
docs/configuration.md does: its kind, what it does, its default. Without KEY it
lists the names of all of them. rpn help config KEY does the same.`,
		Example: `  rpn config limits.burst
  rpn help config revocation
  rpn config schema > rpn.schema.json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				for _, f := range config.Reference() {
					fmt.Fprintln(cmd.OutOrStdout(), f.Key)
				}
				return nil
			}
			return explainKey(cmd, args[0])
		},
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "schema",
		Short: "Write the JSON Schema of the configuration, for editors",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			schema, err := config.Schema()
			if err != nil {
				return failed(err)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), string(schema))
			return err
		},
	})
	return cmd
}

func explainKey(cmd *cobra.Command, key string) error {
	fields, near := config.Help(key)
	if len(fields) == 0 {
		if near != "" {
			near = " (did you mean " + near + "?)"
		}
		return refused(fmt.Errorf("no field of the configuration is named %q%s; rpn config lists them", key, near))
	}
	for i, f := range fields {
		if i > 0 {
			fmt.Fprintln(cmd.OutOrStdout())
		}
		fmt.Fprint(cmd.OutOrStdout(), f)
	}
	return nil
}

// helpCommand is cobra's, which also knows the fields of the configuration.
func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND | config KEY]",
		Short: "Help about a command, or a field of the configuration",
		RunE: func(cmd *cobra.Command, args []string) error {
			found, rest, err := root.Find(args)
			switch {
			case err != nil || found == nil:
				return refused(fmt.Errorf("no command is named %q: rpn help lists them", args))
			case found.Name() == "config" && len(rest) == 1:
				return explainKey(cmd, rest[0])
			}
			return found.Help()
		},
	}
}
