package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/piano-roc/rpn/journal"
	"github.com/piano-roc/rpn/journal/witness"
)

func receiptCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "receipt", Short: "Check what the RPN gave as a receipt, without the RPN"}
	cmd.AddCommand(receiptVerifyCommand())
	return cmd
}

func receiptVerifyCommand() *cobra.Command {
	var keyFiles []string
	var proofFile, requestFile, answerFile, policyFile string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "verify --key FILE --proof FILE [--request FILE] [--answer FILE]",
		Short: "Vérifie hors ligne une preuve, et que les messages donnés sont ceux de l'échange",
		Long: `Verify needs the public key of the journal, the proof that rpn journal prove
wrote, and the message's own bytes: nothing else, and no network. It exits with
0 when the proof holds and every message given is the one of the record. With
--policy, the proof must also be cosigned by a quorum of the witnesses of that
file (C2SP tlog-policy).`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			keys, err := publicKeys(keyFiles)
			if err != nil {
				return refused(err)
			}
			proof, err := os.ReadFile(proofFile)
			if err != nil {
				return refused(fmt.Errorf("--proof: %w", err))
			}
			p, err := journal.VerifyProof(proof, keys)
			if err != nil {
				return failed(fmt.Errorf("la preuve n'est pas valable : %w", err))
			}
			if policyFile != "" {
				if err := witnessed(policyFile, proof, p.Entry.Leaf); err != nil {
					return err
				}
			}
			x := p.Entry.Exchange
			if x == nil {
				return failed(errors.New("la preuve est valable, mais n'est pas celle d'un échange"))
			}
			for _, m := range []struct {
				what, file string
				want       [32]byte
			}{{"la requête", requestFile, x.RequestSHA256}, {"la réponse", answerFile, x.AnswerSHA256}} {
				if m.file == "" {
					continue
				}
				if err := sameMessage(m.what, m.file, m.want); err != nil {
					return failed(err)
				}
			}
			if asJSON {
				return printEntry(cmd.OutOrStdout(), &p.Entry, true)
			}
			printProof(cmd.OutOrStdout(), p, requestFile, answerFile)
			if policyFile != "" {
				fmt.Fprintln(cmd.OutOrStdout(), "  le point de contrôle est cosigné par assez de témoins de la politique donnée")
			}
			return nil
		},
	}
	keyFlag(cmd, &keyFiles)
	f := cmd.Flags()
	f.StringVar(&proofFile, "proof", "", "the proof (required)")
	f.StringVar(&requestFile, "request", "", "the request as it was sent, byte for byte")
	f.StringVar(&answerFile, "answer", "", "the answer as it came, byte for byte")
	f.StringVar(&policyFile, "policy", "", "a policy (C2SP tlog-policy): a quorum of its witnesses must have cosigned")
	f.BoolVar(&asJSON, "json", false, "write the record as JSON")
	cmd.MarkFlagRequired("proof")
	return cmd
}

// witnessed checks that a quorum of the witnesses of a policy cosigned a proof.
func witnessed(file string, proof []byte, leaf journal.Hash) error {
	text, err := os.ReadFile(file)
	var policy *witness.Policy
	if err == nil {
		policy, err = witness.ParsePolicy(text)
	}
	if err != nil {
		return refused(fmt.Errorf("--policy %s: %w", file, err))
	}
	if err := policy.VerifyProof(proof, leaf); err != nil {
		return failed(fmt.Errorf("la preuve est valable, mais pas selon la politique donnée : %w", err))
	}
	return nil
}

func sameMessage(what, file string, want [32]byte) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if got := [32]byte(h.Sum(nil)); got != want {
		return fmt.Errorf("%s n'est pas celle de l'échange : l'empreinte de %s est %s, le journal a %s", what, file, hex.EncodeToString(got[:]), hex.EncodeToString(want[:]))
	}
	return nil
}

func printProof(w io.Writer, p *journal.Proof, request, answer string) {
	x := p.Entry.Exchange
	fmt.Fprintf(w, "preuve valable : enregistrement %d du journal %s, scellé avec %d enregistrements\n", p.Entry.Index, p.Checkpoint.Origin, p.Checkpoint.Size)
	printExchange(w, x)
	if request != "" {
		fmt.Fprintln(w, "  la requête donnée est, octet pour octet, celle de cet échange")
	}
	if answer != "" {
		fmt.Fprintln(w, "  la réponse donnée est, octet pour octet, celle de cet échange")
	}
}
