// Command rpn is the RPN ROC: the national gateway between establishments and
// complementary insurers. `rpn serve --config FILE` runs it; config.Config is the manual of
// that file.
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
	exitFailed = 1 // what was asked did not succeed
	exitUsage  = 2 // the command line, the configuration or the machine forbids it
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, cancel) // a second Ctrl-C ends at once
	code := run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr})
	cancel()
	os.Exit(code)
}

// streams are where a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// run runs one command line and returns its exit code.
func run(ctx context.Context, args []string, s streams) int {
	root := rootCommand(s)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	var done *exitError
	if !errors.As(err, &done) {
		done = &exitError{code: exitUsage, err: err} // cobra's own: an unknown flag or command
	}
	if done.err != nil {
		fmt.Fprintln(s.err, "rpn: "+strings.ReplaceAll(done.err.Error(), "\n", "\nrpn: "))
	}
	return done.code
}

// An exitError ends the program with that code; err may be nil when all has
// been said.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func failed(err error) error { return &exitError{exitFailed, err} }
func refused(err error) error {
	return &exitError{exitUsage, err}
}

func rootCommand(s streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "rpn",
		Short: "The RPN ROC: carries signed messages from establishments to complementary insurers",
		Long: `The RPN ROC is the national gateway between establishments and complementary
insurers (AMC): one address, mutual TLS, signatures checked, the same bytes
delivered.

Begin with: rpn check. Where no configuration is named it is ` + defaultConfig + `.`,
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	root.AddCommand(serveCommand(), journalCommand(), indicatorsCommand(), receiptCommand(), exchangeCommand(), checkCommand(), statusCommand(), configCommand(), topCommand(), reloadCommand(), upgradeCommand(), certificatesCommand(), sendCommand(), verifyCommand(), wsdlCommand(), amcCommand(), denyCommand(), registerCommand(), explainCommand(), domainsCommand(), annuaireCommand(), portalCommand(), versionCommand(), manCommand())
	root.SetHelpCommand(helpCommand(root))
	return root
}
