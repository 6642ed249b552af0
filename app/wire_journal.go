package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/piano-roc/rpn/app/admin"
	"github.com/piano-roc/rpn/app/config"
	"github.com/piano-roc/rpn/internal/durable"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/journal"
	"github.com/piano-roc/rpn/proxy"
)

// openJournal opens the journal where there is one. It fails closed: an RPN
// that is to keep a trace and cannot does not start.
func (a *App) openJournal() error {
	c := &a.config.Journal
	if !c.Kept() {
		return nil
	}
	where := func(err error, remedy string) error {
		return setup(fmt.Errorf("%s: journal: %w", a.config.File(), err), remedy)
	}
	if err := os.MkdirAll(c.Folder, 0o750); err != nil {
		return where(err, "give the RPN the right to write there")
	}
	keys, err := a.journalKeys()
	if err != nil {
		return where(err, "give journal.key the key of this journal")
	}
	a.journal, err = journal.Open(journal.Options{
		Dir: c.Folder, Origin: c.Origin, Key: keys, Log: a.log,
		SegmentBytes: int64(c.SegmentBytes), SegmentAge: c.SegmentAge, SealEvery: c.Seal,
		Durability: journal.Durability(c.Durability), OnFull: journal.FullPolicy(c.WhenFull),
		KeepFor: c.Keep, KeepBytes: int64(c.KeepBytes), Now: a.now,
	})
	if err != nil {
		return where(err, "docs/operating/journal.md says what to do with a folder that does not open")
	}
	a.onRelease("journal", func(context.Context) error {
		if a.journalStop != nil {
			a.journalStop()
		}
		return a.journal.Close()
	})
	return nil
}

// journalKeys reads the keys of the journal. Without journal.key they are in
// its folder, made at the first start.
func (a *App) journalKeys() (journal.Keys, error) {
	c := &a.config.Journal
	keys, made, err := a.readJournalKeys()
	if err != nil {
		return keys, err
	}
	if !made {
		private, public, err := journal.NewKey(c.Origin)
		if err != nil {
			return keys, err
		}
		if err := durable.WriteFile(a.journalKeyFile(), []byte(private+"\n"), 0o400); err != nil {
			return keys, err
		}
		if keys, err = journal.ParseKeys(private, c.Origin); err != nil {
			return keys, err
		}
		a.log.Info("the key of the journal was made: give its public key to those who verify receipts", "event", "journal_key_made", "public_key", public)
	}
	return keys, durable.WriteFile(filepath.Join(c.Folder, "key.pub"), []byte(keys.Public()+"\n"), 0o644)
}

// readJournalKeys is journalKeys that makes nothing; false: there are none yet.
func (a *App) readJournalKeys() (keys journal.Keys, made bool, err error) {
	file := a.journalKeyFile()
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) && a.config.Journal.Key == "" {
		return keys, false, nil
	}
	if err != nil {
		return keys, false, unreadable(file, err)
	}
	if keys, err = journal.ParseKeys(string(text), a.config.Journal.Origin); err != nil {
		return keys, false, fmt.Errorf("%s: %w", file, err)
	}
	return keys, true, nil
}

func (a *App) journalKeyFile() string {
	if c := &a.config.Journal; c.Key != "" {
		return c.Key
	}
	return filepath.Join(a.config.Journal.Folder, "key")
}

// startJournal begins the work in the background. It ends when the journal
// is closed, after the last exchange.
func (a *App) startJournal() {
	if a.journal == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	a.journalStop = func() { cancel(); <-done }
	go func() {
		defer close(done)
		var all sync.WaitGroup
		defer all.Wait()
		if a.stamps != nil {
			all.Go(func() { a.stamps.Run(ctx) })
		}
		if a.witnesses != nil {
			all.Go(func() { a.witnesses.Run(ctx) })
		}
		a.journal.Run(ctx)
	}()
}

// tracer is the journal as the proxy sees it; nil where there is none.
func (a *App) tracer() proxy.Journal {
	if a.journal == nil {
		return nil
	}
	return tracer{a.journal}
}

type tracer struct{ *journal.Journal }

// Amend implements proxy.Journal.
func (t tracer) Amend(rec *roc.Record, of roc.Receipt, abandoned, badAnswer bool) {
	if abandoned {
		change := journal.WriteFailed
		if rec.CauseCode == roc.CallerLeft {
			change = journal.CallerLeft
		}
		t.Journal.Amend(of, rec.ID, change, "")
	}
	if badAnswer {
		t.Journal.Amend(of, rec.ID, journal.AnswerChecked, rec.AnswerCheck)
	}
}

// journalStats are the figures of the journal; false: there is none.
func (a *App) journalStats() (journal.Stats, bool) {
	if a.journal == nil {
		return journal.Stats{}, false
	}
	return a.journal.Stats(), true
}

// lateSeal is how many intervals without a checkpoint are late.
const lateSeal = 6

// checkJournal says whether the journal has room and is sealed.
func (a *App) checkJournal(now time.Time) admin.Health {
	h := admin.Health{Name: "journal", OK: true}
	if a.journal == nil {
		h.Detail = "none: give journal.folder, or a state folder"
		return h
	}
	s := a.journal.Stats()
	h.Detail = fmt.Sprintf("%d records, %d sealed, room for %d more", s.Records, s.Sealed, s.RoomLeft)
	if !s.SealedAt.IsZero() {
		h.LastSuccess = s.SealedAt.UTC().Format(time.RFC3339)
	}
	late := lateSeal * a.config.Journal.Seal
	switch err := a.journal.Ready(); {
	case errors.Is(err, journal.ErrNoRoom):
		h.OK = a.config.Journal.WhenFull == config.ContinueCounting
		h.Degraded, h.Detail = true, err.Error()+": free space in "+a.config.Journal.Folder
	case err != nil:
		h.Degraded, h.Detail = true, err.Error()+": free space in "+a.config.Journal.Folder
	case s.Damaged > 0:
		h.Degraded, h.Detail = true, "records are damaged: `rpn journal verify` shows them"
	case s.ReadErrors > 0:
		h.Degraded, h.Detail = true, "closed segments could not be read at the start: nothing is known of them; the log names them (journal_unreadable)"
	case s.Sealed < s.Records && !s.SealedAt.IsZero() && now.Sub(s.SealedAt) > late:
		h.Degraded, h.Detail = true, fmt.Sprintf("it was not sealed since %s: the log says why", s.SealedAt.UTC().Format(time.RFC3339))
	}
	return h
}
