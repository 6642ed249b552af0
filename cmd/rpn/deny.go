package main

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/piano-roc/rpn/internal/durable"
	"github.com/piano-roc/rpn/tlsconf/revocation"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

func denyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "deny",
		Short: "Make and check the emergency deny list",
		Long: `The emergency deny list puts somebody out within seconds, without waiting for a
CA: revocation.deny in the configuration. It is a text of lines

  structure 1010003812                a structure, with every certificate it has
  certificate SHA256                  one certificate (rpn deny line CERT.pem)
  serial HEX issuer SHA256            a serial number of one CA, by its public key
  serial HEX                          a serial number, whoever issued it

signed with a key that only the operator has:

  openssl genpkey -algorithm ed25519 -out deny.key
  openssl pkey -in deny.key -pubout -out deny-signer.pem    (revocation.deny_signers)`,
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(denySignCommand(), denyCheckCommand(), denyLineCommand())
	return cmd
}

func denySignCommand() *cobra.Command {
	var key, out string
	var sequence uint64
	cmd := &cobra.Command{
		Use:   "sign --key KEY.pem --out FILE LINES",
		Short: "Sign a list of lines (- reads them on standard input)",
		Long: `Sign checks the lines, gives them the date of now and a sequence, signs them, and
replaces FILE at once. The sequence is one more than that of the list that FILE
holds, or 1: an RPN takes a list of a higher sequence only.

The list replaces the one before: keep the lines of who must stay out.`,
		Example: "  echo 'structure 1010003812 # incident 42' | rpn deny sign --key deny.key --out deny.list -",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			lines, err := readOrStdin(cmd, args[0])
			if err != nil {
				return refused(err)
			}
			signer, err := trust.ReadKey(key)
			if err != nil {
				return refused(err)
			}
			if sequence == 0 {
				if sequence, err = nextSequence(out); err != nil {
					return refused(err)
				}
			}
			signed, err := revocation.SignDenyList(lines, sequence, time.Now(), signer)
			if err != nil {
				return refused(fmt.Errorf("%w (the lines begin at line 4 of the list)", err))
			}
			if err := durable.WriteFile(out, signed, 0o644); err != nil {
				return failed(err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: sequence %d\n", out, sequence)
			return err
		},
	}
	cmd.Flags().StringVar(&key, "key", "", "the private key, PEM, not encrypted (required)")
	cmd.Flags().StringVar(&out, "out", "", "the list to write (required)")
	cmd.Flags().Uint64Var(&sequence, "sequence", 0, "the sequence (default: one more than that of the list in --out)")
	cmd.MarkFlagRequired("key")
	cmd.MarkFlagRequired("out")
	return cmd
}

func denyCheckCommand() *cobra.Command {
	var signers []string
	cmd := &cobra.Command{
		Use:   "check --signer SIGNER.pem FILE",
		Short: "Check a signed list, and say who is on it",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			keys, err := revocation.ReadDenySigners(signers...)
			if err != nil {
				return refused(err)
			}
			text, err := os.ReadFile(args[0])
			if err != nil {
				return refused(err)
			}
			list, err := revocation.ReadDenyList(text, keys)
			if err != nil {
				return failed(fmt.Errorf("%s: %w", args[0], err))
			}
			return printDenyList(cmd.OutOrStdout(), args[0], list)
		},
	}
	cmd.Flags().StringArrayVar(&signers, "signer", nil, "who may sign: a PEM public key or certificate (required; may be repeated)")
	cmd.MarkFlagRequired("signer")
	return cmd
}

func denyLineCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "line CERT.pem...",
		Short: "Print the line that denies a certificate",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, file := range args {
				c, err := firstCertificate(file)
				if err != nil {
					return refused(err)
				}
				if _, err := fmt.Fprintln(cmd.OutOrStdout(), revocation.DenyLine(c)); err != nil {
					return failed(err)
				}
			}
			return nil
		},
	}
}

func printDenyList(w io.Writer, file string, l *revocation.DenyList) error {
	_, err := fmt.Fprintf(w, "%s: good, sequence %d, of %s, %d entries\n", file, l.Sequence, l.Date.Format(time.RFC3339), l.Entries())
	for _, s := range l.Structures {
		fmt.Fprintf(w, "structure %s\n", s)
	}
	for _, s := range l.Serials {
		if s.Issuer == [32]byte{} {
			fmt.Fprintf(w, "serial %s\n", s.Serial)
		} else {
			fmt.Fprintf(w, "serial %s issuer %s\n", s.Serial, hex.EncodeToString(s.Issuer[:]))
		}
	}
	for _, c := range l.Certificates {
		fmt.Fprintf(w, "certificate %s\n", hex.EncodeToString(c[:]))
	}
	return err
}

// nextSequence reads the sequence of the list that is there, whoever signed
// it: the RPN decides whom it believes.
func nextSequence(file string) (uint64, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return 1, nil
	}
	if err != nil {
		return 0, err
	}
	var n uint64
	if _, rest, ok := bytes.Cut(text, []byte("\nsequence ")); ok {
		if _, err := fmt.Sscan(string(rest), &n); err == nil {
			return n + 1, nil
		}
	}
	return 0, fmt.Errorf("%s is not a deny list: name another file with --out, or give --sequence", file)
}

func readOrStdin(cmd *cobra.Command, file string) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(cmd.InOrStdin())
	}
	return os.ReadFile(file)
}

func firstCertificate(file string) (*x509.Certificate, error) {
	certs, _, err := trust.ReadCertificates(file)
	if err != nil {
		return nil, err
	}
	if len(certs) == 0 {
		return nil, fmt.Errorf("%s: holds no certificate (PEM or DER)", file)
	}
	return certs[0], nil
}
