// Command demo plays a small nation on this machine: a PKI, an annuaire,
// insurers, establishments and the real RPN in process. Everything in it is
// fictitious.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes.
const (
	exitFailed = 1 // a scene did not go as expected
	exitUsage  = 2 // the command line or the machine forbids it
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, cancel) // a second Ctrl-C ends at once
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	cancel()
	os.Exit(code)
}

// run runs one command line and returns its exit code.
func run(ctx context.Context, args []string, out, errs io.Writer) int {
	cmd := demoCommand()
	cmd.SetArgs(args)
	cmd.SetOut(out)
	cmd.SetErr(errs)
	began := false
	play := cmd.RunE
	cmd.RunE = func(c *cobra.Command, args []string) error { began = true; return play(c, args) }
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintln(errs, "demo: "+strings.ReplaceAll(err.Error(), "\n", "\ndemo: "))
	if u := new(usageError); !began || errors.As(err, &u) {
		return exitUsage
	}
	return exitFailed
}

// A usageError is of the command line, or of the machine.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

func usage(err error) error { return &usageError{err} }
