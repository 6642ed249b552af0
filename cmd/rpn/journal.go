package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/piano-roc/rpn/internal/durable"
	"github.com/piano-roc/rpn/journal"
)

func journalCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "journal",
		Short: "Read, search, prove and verify the sealed trace of every exchange",
		Long: `The journal holds one record for each exchange. These commands read the folders
of a journal, of an RPN that runs or of a copy: one --dir for each instance.
docs/operating/journal.md says what to keep and what a judge can do with it.`,
	}
	cmd.AddCommand(journalKeyCommand(), journalCatCommand(), journalFindCommand(), journalProveCommand(), journalVerifyCommand())
	return cmd
}

func dirFlag(cmd *cobra.Command, dirs *[]string) {
	cmd.Flags().StringArrayVar(dirs, "dir", nil, "folder of a journal; repeat it for several instances (required)")
	cmd.MarkFlagRequired("dir")
	cmd.MarkFlagDirname("dir")
}

func journalKeyCommand() *cobra.Command {
	var origin string
	cmd := &cobra.Command{
		Use:   "key --origin NAME",
		Short: "Make the key that signs a journal",
		Long: `Key prints the private key of a journal of that name, for journal.key; its public
key goes to standard error. Give the public key to everyone who must verify
receipts, by another way than the RPN itself.`,
		Example: `  rpn journal key --origin rpn.example/journal/a > journal.key 2> journal.pub`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			private, public, err := journal.NewKey(origin)
			if err != nil {
				return refused(fmt.Errorf("--origin: %w", err))
			}
			fmt.Fprintln(cmd.ErrOrStderr(), public)
			_, err = fmt.Fprintln(cmd.OutOrStdout(), private)
			return err
		},
	}
	cmd.Flags().StringVar(&origin, "origin", "", "name of the journal: rpn.example/journal/a (required)")
	cmd.MarkFlagRequired("origin")
	return cmd
}

// openLogs opens every folder, and names the one that cannot be.
func openLogs(dirs []string) ([]*journal.Log, func(), error) {
	var logs []*journal.Log
	done := func() {
		for _, l := range logs {
			l.Close()
		}
	}
	for _, dir := range dirs {
		l, err := journal.OpenLog(dir)
		if err != nil {
			done()
			return nil, nil, refused(fmt.Errorf("--dir %s: %w", dir, err))
		}
		logs = append(logs, l)
	}
	return logs, done, nil
}

func journalCatCommand() *cobra.Command {
	var dirs []string
	var from uint64
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "cat --dir DIR",
		Short: "Print every record, one a line",
		Long: `Cat prints the records in the order of the journal: in words, or with --json with
the fields of docs/record.md and docs/journal.md. A record that is damaged, or
that cannot be read, is printed as such, and the exit code is then 1.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			logs, done, err := openLogs(dirs)
			if err != nil {
				return err
			}
			defer done()
			out := bufio.NewWriter(cmd.OutOrStdout())
			defer out.Flush()
			wrong := 0
			for _, l := range logs {
				for e, err := range l.Entries(from) {
					if err != nil {
						wrong++
						fmt.Fprintln(cmd.ErrOrStderr(), "rpn: "+err.Error())
					}
					if err != nil && !errors.Is(err, journal.ErrDamaged) {
						continue
					}
					if err := printEntry(out, &e, asJSON); err != nil {
						return err
					}
				}
			}
			if wrong > 0 {
				return failed(fmt.Errorf("%d times records are damaged or could not be read", wrong))
			}
			return nil
		},
	}
	dirFlag(cmd, &dirs)
	cmd.Flags().Uint64Var(&from, "from", 0, "index of the first record")
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	return cmd
}

func printEntry(w io.Writer, e *journal.Entry, asJSON bool) error {
	if asJSON {
		b, err := e.JSON()
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(w, "%s\n", b)
		return err
	}
	at := e.At().UTC().Format("2006-01-02T15:04:05.000Z")
	var err error
	switch {
	case e.Exchange != nil:
		x := e.Exchange
		_, err = fmt.Fprintf(w, "%d  %s  %s  %s  %s %s  AMC %s  %s %s  %d ms\n", e.Index, at, x.ID, dash(string(x.From)), dash(x.Service.String()), x.Version, dash(string(x.To.AMC)), x.Outcome, x.Code(), x.Total().Milliseconds())
	case e.Amendment != nil:
		_, err = fmt.Fprintf(w, "%d  %s  %s  amends %d: %s %s\n", e.Index, at, e.Amendment.Exchange, e.Amendment.Of, e.Amendment.Change, e.Amendment.AnswerCheck)
	case e.Mark != nil:
		_, err = fmt.Fprintf(w, "%d  %s  %s (%d)\n", e.Index, at, e.Mark.Event, e.Mark.Count)
	default:
		_, err = fmt.Fprintf(w, "%d  damaged\n", e.Index)
	}
	return err
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func journalProveCommand() *cobra.Command {
	var dirs []string
	var out string
	cmd := &cobra.Command{
		Use:   "prove ID --dir DIR",
		Short: "Write the proof of an exchange, which rpn receipt verify checks offline",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			logs, done, err := openLogs(dirs)
			if err != nil {
				return err
			}
			defer done()
			l, m, err := findOne(cmd, logs, args[0])
			if err != nil {
				return failed(err)
			}
			proof, err := l.Prove(m.Index)
			if err != nil {
				return failed(err)
			}
			if out == "" {
				_, err = cmd.OutOrStdout().Write(proof)
				return err
			}
			return durable.WriteFile(out, proof, 0o644)
		},
	}
	dirFlag(cmd, &dirs)
	cmd.Flags().StringVarP(&out, "output", "o", "", "file to write, NAME.tlog-proof; default: standard output")
	return cmd
}

func keyFlag(cmd *cobra.Command, files *[]string) {
	cmd.Flags().StringArrayVar(files, "key", nil, "public key of the journal, a file of one line; repeat it after a change of key (required)")
	cmd.MarkFlagRequired("key")
	cmd.MarkFlagFilename("key")
}

func publicKeys(files []string) ([]journal.PublicKey, error) {
	var keys []journal.PublicKey
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return nil, fmt.Errorf("--key: %w", err)
		}
		v, err := journal.ParsePublicKey(string(b))
		if err != nil {
			return nil, fmt.Errorf("--key %s: %w", f, err)
		}
		keys = append(keys, v)
	}
	return keys, nil
}

func frenchInstant(t time.Time) string { return t.UTC().Format("02/01/2006 15:04:05") + " UTC" }
