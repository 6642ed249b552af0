package nation

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/piano-roc/rpn/app"
	"github.com/piano-roc/rpn/indicators/report"
	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/journal"
)

// Evidence is what a day leaves to whoever was in it.
type Evidence struct {
	Scene Scened         // the exchange that is proved
	Proof *journal.Proof // verified with the public key and the messages alone

	Files []string // the proof, and the two messages it speaks of
	CSV   []string // the weekly files of its establishment

	Exchanges int             // that have an id, as the establishments saw them
	Journal   *journal.Report // the verification of the whole journal
}

// JournalDir is the folder of the RPN's journal.
func (n *Nation) JournalDir() string { return filepath.Join(n.StateDir(), "journal") }

// JournalKeyFile holds the public key of the journal.
func (n *Nation) JournalKeyFile() string { return filepath.Join(n.JournalDir(), "key.pub") }

// Prove stops the RPN, and then does what an establishment does with its day
// when it needs the RPN no more: it verifies the receipt of an exchange, has its
// figures computed, and has the journal verified. It fails when any of that does
// not hold.
func (n *Nation) Prove(ctx context.Context, day []Scened) (e Evidence, err error) {
	if n.App != nil {
		if err := n.App.Stop(ctx); err != nil && !errors.Is(err, app.ErrStopped) {
			return e, err
		}
	}
	public, err := os.ReadFile(n.JournalKeyFile())
	if err != nil {
		return e, err
	}
	key, err := journal.ParsePublicKey(string(public))
	if err != nil {
		return e, err
	}
	log, err := journal.OpenLog(n.JournalDir())
	if err != nil {
		return e, err
	}
	defer log.Close()
	if err := e.receipt(ctx, n, log, key, day); err != nil {
		return e, fmt.Errorf("the receipt: %w", err)
	}
	if err := e.figures(ctx, n, log); err != nil {
		return e, fmt.Errorf("the figures: %w", err)
	}
	if e.Journal, err = log.Verify([]journal.PublicKey{key}, nil); err != nil {
		return e, fmt.Errorf("the journal: %w", err)
	}
	if !e.Journal.OK() {
		return e, fmt.Errorf("the journal: %q %q", e.Journal.Problems, e.Journal.Unread)
	}
	return e, nil
}

// receipt finds every exchange of the day in the journal, once, and proves the
// first that an insurer answered.
func (e *Evidence) receipt(ctx context.Context, n *Nation, log *journal.Log, key journal.PublicKey, day []Scened) error {
	for _, s := range day {
		id := s.Outcome.Exchange()
		if id == "" {
			continue // no handshake, no exchange
		}
		e.Exchanges++
		found, err := log.Find(ctx, journal.Query{ID: id})
		if err != nil {
			return err
		}
		if found.Total != 1 {
			return fmt.Errorf("exchange %s is %d times in the journal", id, found.Total)
		}
		if e.Proof != nil || s.Outcome.Origin() != roc.FromAMC {
			continue
		}
		e.Scene = s
		proof, err := log.Prove(found.Matches[0].Index)
		if err != nil {
			return err
		}
		if e.Proof, err = journal.VerifyProof(proof, []journal.PublicKey{key}); err != nil {
			return err
		}
		x := e.Proof.Entry.Exchange
		if x == nil || x.RequestSHA256 != sha256.Sum256(s.Outcome.Sent.Bytes()) || x.AnswerSHA256 != sha256.Sum256(s.Outcome.Body.Bytes()) {
			return errors.New("its messages are not those of the record")
		}
		for name, b := range map[string][]byte{"echange.tlog-proof": proof, "requete.xml": s.Outcome.Sent.Bytes(), "reponse.xml": s.Outcome.Body.Bytes()} {
			if err := writeFile(filepath.Join(n.Dir, "preuve", name), string(b)); err != nil {
				return err
			}
		}
		for _, name := range []string{"echange.tlog-proof", "requete.xml", "reponse.xml"} {
			e.Files = append(e.Files, filepath.Join(n.Dir, "preuve", name))
		}
	}
	if e.Proof == nil {
		return errors.New("no insurer answered anything")
	}
	return nil
}

// figures computes the figures from the journal, and writes the weekly files of
// the establishment of the receipt.
func (e *Evidence) figures(ctx context.Context, n *Nation, log *journal.Log) error {
	s, err := store.Open(ctx, filepath.Join(n.Dir, "indicateurs.db"), store.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.Project(ctx, log, nil); err != nil {
		return err
	}
	x := e.Proof.Entry.Exchange
	week := report.WeekOf(x.RequestIn)
	name := func(number roc.NumeroAMC) string {
		for _, i := range n.opts.Insurers {
			if i.Numero == number {
				return i.Nom
			}
		}
		return ""
	}
	for _, f := range report.Files() {
		var b bytes.Buffer
		if err := f.Write(ctx, &b, s, []roc.StructureID{x.From}, week, name); err != nil {
			return err
		}
		file := filepath.Join(n.Dir, "indicateurs", f.Name(x.From, week))
		if err := writeFile(file, b.String()); err != nil {
			return err
		}
		e.CSV = append(e.CSV, file)
	}
	return nil
}
