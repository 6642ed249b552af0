// Command mutuelle runs the fictitious insurer « Mutuelle ANS ».
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/piano-roc/rpn/mutuelle"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "mutuelle:", err)
		os.Exit(2)
	}
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:           "mutuelle",
		Short:         "The fictitious insurer Mutuelle ANS: the AMC side of ROC, for trials and tests",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
	}
	root.AddCommand(serveCommand(), casesCommand())
	return root
}

func casesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "cases",
		Short: "List the numero_adherent values and what each one is answered",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, c := range mutuelle.Cases() {
				fmt.Fprintf(w, "%s\t%s\n", c.Adherent, c.Effet)
			}
			return w.Flush()
		},
	}
}
