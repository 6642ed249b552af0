package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/piano-roc/rpn/journal"
	"github.com/piano-roc/rpn/journal/timestamp"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

func journalVerifyCommand() *cobra.Command {
	var dirs, keyFiles []string
	var tsaFile string
	cmd := &cobra.Command{
		Use:   "verify --dir DIR --key FILE",
		Short: "Vérifie tout ce qui est gardé : chaque enregistrement, l'arbre, les tuiles, les sceaux",
		Long: `Verify reads every record that is kept, computes the tree again and compares it
with every signed checkpoint and every tile. It exits with 0 when all holds, with
1 when something was changed, taken away or destroyed, and with 2 when nothing
of that was found but something could not be read for now: it says what.

The public key must come from whoever keeps it, not from the folder itself. With
--tsa, the time-stamps of the folder are verified too, offline: each token is of
that authority, and of a checkpoint of this very journal.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			keys, err := publicKeys(keyFiles)
			if err != nil {
				return refused(err)
			}
			authority, err := authorityOf(tsaFile)
			if err != nil {
				return refused(err)
			}
			logs, done, err := openLogs(dirs)
			if err != nil {
				return err
			}
			defer done()
			sound, altered := true, false
			for i, l := range logs {
				stamps, err := readStamps(dirs[i], authority, keys)
				if err != nil {
					return refused(fmt.Errorf("%s: %w", dirs[i], err))
				}
				bar := newProgress(cmd.ErrOrStderr(), "vérification de "+dirs[i])
				r, err := l.Verify(keys, bar.show, stamps.checkpoints...)
				bar.end()
				if err != nil {
					return failed(fmt.Errorf("%s: %w", dirs[i], err))
				}
				r.Problems = append(r.Problems, stamps.problems...)
				printReport(cmd.OutOrStdout(), dirs[i], r, stamps)
				sound, altered = sound && r.OK(), altered || len(r.Problems) > 0
			}
			switch {
			case altered:
				return failed(nil)
			case !sound:
				return refused(errors.New("la vérification n'est pas complète : relancez-la quand ce qui est nommé ci-dessus peut être lu"))
			}
			return nil
		},
	}
	dirFlag(cmd, &dirs)
	keyFlag(cmd, &keyFiles)
	cmd.Flags().StringVar(&tsaFile, "tsa", "", "certificates of the time-stamping authority and of its CAs, PEM")
	cmd.MarkFlagFilename("tsa")
	return cmd
}

// authorityOf reads the file of a time-stamping authority; nil without a file.
func authorityOf(file string) (*timestamp.Authority, error) {
	if file == "" {
		return nil, nil
	}
	certs, _, err := trust.ReadCertificates(file)
	var a *timestamp.Authority
	if err == nil {
		a, err = timestamp.NewAuthority(certs)
	}
	if err != nil {
		return nil, fmt.Errorf("--tsa: %w", err)
	}
	return a, nil
}

// stamps are the time-stamped checkpoints of a folder.
type stamps struct {
	kept   int
	looked bool // whether they were verified

	checkpoints []*journal.Checkpoint // of the good ones
	by          string                // who stamped the last of them
	from, to    time.Time             // their instants
	problems    []string
}

// readStamps verifies each time-stamp of a folder: its token, and the signature
// of its checkpoint. Without an authority it only counts them.
func readStamps(dir string, a *timestamp.Authority, keys []journal.PublicKey) (s stamps, err error) {
	list, err := timestamp.Kept(dir)
	if err != nil {
		return s, err
	}
	s.kept, s.looked = len(list), a != nil
	for _, k := range list {
		if a == nil {
			break
		}
		token, err := a.Verify(k.Response, k.Checkpoint)
		var c *journal.Checkpoint
		if err == nil {
			c, err = journal.OpenCheckpoint(k.Checkpoint, keys)
		}
		if err != nil {
			s.problems = append(s.problems, fmt.Sprintf("horodatage du %s : %v", k.Day, err))
			continue
		}
		if s.from.IsZero() {
			s.from = token.At
		}
		s.by, s.to = token.By, token.At
		s.checkpoints = append(s.checkpoints, c)
	}
	return s, nil
}

func printReport(w io.Writer, dir string, r *journal.Report, s stamps) {
	fmt.Fprintf(w, "%s : journal %s\n", dir, dash(r.Origin))
	if r.End > r.First {
		fmt.Fprintf(w, "  enregistrements %d à %d, du %s au %s\n", r.First, r.End-1, frenchInstant(r.From), frenchInstant(r.To))
	}
	fmt.Fprintf(w, "  %d échanges, %d compléments, %d marques ; %d enregistrements scellés\n", r.Exchanges, r.Amendments, r.Marks, r.Sealed)
	if r.NotRecorded > 0 || r.TurnedAway > 0 {
		fmt.Fprintf(w, "  le journal dit lui-même : %d échanges portés sans trace, %d refusés faute de place\n", r.NotRecorded, r.TurnedAway)
	}
	switch {
	case s.kept > 0 && !s.looked:
		fmt.Fprintf(w, "  %d points de contrôle horodatés, non vérifiés : donnez --tsa\n", s.kept)
	case len(s.checkpoints) > 0:
		fmt.Fprintf(w, "  %d points de contrôle horodatés par %s, du %s au %s\n", len(s.checkpoints), s.by, frenchInstant(s.from), frenchInstant(s.to))
	}
	if r.Before > 0 {
		fmt.Fprintf(w, "  %d d'entre eux sont d'avant les enregistrements gardés : leur horodatage est valable, leur contenu ne peut plus être recalculé\n", r.Before)
	}
	for _, p := range r.Problems {
		fmt.Fprintf(w, "  ANOMALIE : %s\n", p)
	}
	if r.More > 0 {
		fmt.Fprintf(w, "  et %d autres anomalies\n", r.More)
	}
	for _, p := range r.Unread {
		fmt.Fprintf(w, "  NON VÉRIFIÉ : %s\n", p)
	}
	if r.OK() {
		fmt.Fprintf(w, "  intègre : rien n'a été modifié, ajouté ni retiré\n")
	}
}
