// Command annuaire runs the fictitious AMC directory, for the demonstration
// and for trials: it answers search over mutual TLS from a file of rows,
// signed. SIGHUP reads the rows again; SIGTERM stops.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	err := command(hangup).ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "annuaire:", err)
		os.Exit(2)
	}
}

func command(hangup <-chan os.Signal) *cobra.Command {
	root := &cobra.Command{
		Use:           "annuaire",
		Short:         "The fictitious AMC directory: where the services of insurers are, for trials and tests",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
	}
	root.AddCommand(serveCommand(hangup))
	return root
}
