package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/piano-roc/rpn/annuaire"
	"github.com/piano-roc/rpn/app/admin"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
)

// openDirectory opens what the annuaire's answers are kept in, and the
// directory on top. What is kept is verified by client alone.
func (a *App) openDirectory(client *annuaire.Client) error {
	c := a.config
	acts, err := annuaire.OpenActs(c.ActsFile(), a.log)
	if err != nil {
		return setup(err, "correct the line, or move the file away: what operators approved and rejected is then forgotten")
	}
	a.acts = acts
	a.openAnswers()
	a.directory = annuaire.New(annuaire.Options{
		Asker: a.asker, TTL: c.Annuaire.TTL, Stale: c.Annuaire.Stale, MaxAge: c.Annuaire.MaxAge, NegativeTTL: c.Annuaire.NegativeTTL,
		AskTimeout: c.Annuaire.Timeout, PerSecond: c.Annuaire.PerSecond, NewKeys: c.Annuaire.NewKeys,
		Disk: a.disk, Shared: a.shared, VerifyStored: client.VerifyStored,
		Changes: annuaire.ChangeOptions{Share: c.Annuaire.HeldShare, Least: c.Annuaire.HeldLeast, Registered: func(n roc.NumeroAMC) bool {
			_, ok := a.register.Current().AMC(n)
			return ok
		}},
		ChangesFile: c.RoutesFile(), Acts: acts, Log: a.log, Now: a.now,
	})
	a.onRelease("what the annuaire moves", func(context.Context) error { a.directory.SaveLast(); return nil })
	a.onStop("annuaire", func(context.Context) error { a.directory.Close(); return nil })
	return nil
}

// openAnswers opens the answers of the state folder. Without them the RPN only
// starts with nothing remembered, so it starts.
func (a *App) openAnswers() {
	file := a.config.AnswersFile()
	if file == "" {
		return
	}
	o := annuaire.DiskOptions{File: file, MaxAge: a.config.Annuaire.MaxAge, Log: a.log, Now: a.now}
	if a.secrets != nil {
		o.Tags = a.secrets
	}
	disk, err := annuaire.OpenDisk(o)
	if err != nil {
		a.log.Error("the answers of the annuaire cannot be kept on disk", slog.String("event", "annuaire_disk_unusable"), slog.String("error", err.Error()))
		return
	}
	a.disk = disk
	a.annuaire.Keeps(disk.Newest())
	a.onRelease("answers of the annuaire on disk", func(context.Context) error { return disk.Close() })
}

// checkHeld says whether something of the annuaire waits for an operator.
func (a *App) checkHeld(time.Time) admin.Health {
	h := a.directory.Held()
	waiting := h.Waiting()
	if waiting == 0 {
		return admin.Health{Name: "annuaire_changes", OK: true, Detail: fmt.Sprintf("nothing waits; %d routes are known", h.Routes)}
	}
	return admin.Health{Name: "annuaire_changes", OK: true, Degraded: true, Detail: fmt.Sprintf(
		"%d changes or new hosts of the annuaire wait for an operator; the previous addresses serve: look with `rpn annuaire held`", waiting)}
}

// checkQuestions says whether the annuaire is asked as often as it may be.
func (a *App) checkQuestions(time.Time) admin.Health {
	s := a.directory.Stats()
	h := admin.Health{Name: "annuaire_questions", OK: true, Detail: fmt.Sprintf("%d asked, none waits for annuaire.per_second", s.Asks)}
	if !s.LimitedAt.IsZero() && time.Since(s.LimitedAt) < time.Minute {
		h.Degraded, h.Detail = true, fmt.Sprintf("questions wait: annuaire.per_second (%g) is reached", a.config.Annuaire.PerSecond)
	}
	return h
}

// checkMemory says whether the annuaire's answers are kept on disk.
func (a *App) checkMemory(time.Time) admin.Health {
	h := admin.Health{Name: "annuaire_memory", OK: true}
	switch {
	case a.config.State == "":
		h.Detail = "answers are not kept on disk: the configuration names no state folder"
	case a.disk == nil:
		h.Degraded, h.Detail = true, "answers are not kept on disk: the log says why"
	default:
		s := a.disk.Size()
		h.Detail = fmt.Sprintf("%d keys and %d answers on disk, %d kB", s.Keys, s.Contents, s.Bytes>>10)
		if s.Damaged > 0 {
			h.Degraded, h.Detail = true, h.Detail+fmt.Sprintf("; %d records were damaged since the start, and are kept in %s.bad", s.Damaged, a.config.AnswersFile())
		}
		if s.Err != nil {
			h.Degraded, h.Detail = true, h.Detail+"; the last write failed: "+s.Err.Error()
		}
	}
	return h
}

// A watchedAsker remembers how the annuaire does, for /readyz. "Unknown" is an
// answer like another.
type watchedAsker struct {
	annuaire.Asker
	contact *admin.Contact
	hosts   *annuaire.Hosts
	now     func() time.Time
}

func (w *watchedAsker) Ask(ctx context.Context, key roc.Key) (annuaire.Entry, error) {
	e, err := w.Asker.Ask(ctx, key)
	if err == nil {
		w.hosts.Note(e, w.now())
	}
	switch {
	case err == nil, roc.IsRefused(err, roc.UnknownAMC):
		w.contact.Succeeded(w.now())
	case !errors.Is(err, context.Canceled):
		w.contact.Failed(w.now(), err)
	}
	return e, err
}

// probeAnnuaire asks the annuaire about the first AMC of the list, past its
// memory, so that /readyz does not wait for an exchange to know.
func (a *App) probeAnnuaire(ctx context.Context) {
	tick := time.NewTicker(a.config.Annuaire.Probe)
	defer tick.Stop()
	for {
		if key, ok := firstKey(a.register.Current()); ok {
			within, cancel := context.WithTimeout(ctx, a.config.Annuaire.Timeout)
			if _, err := a.asker.Ask(within, key); err != nil && !roc.IsRefused(err, roc.UnknownAMC) && ctx.Err() == nil {
				a.log.Warn("the annuaire does not answer as it should", slog.String("event", "annuaire_probe_failed"), slog.String("error", err.Error()))
			}
			cancel()
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func firstKey(l *register.List) (roc.Key, bool) {
	for amc := range l.AMCs() {
		return roc.Key{AMC: amc.Numeros[0], Domaine: roc.HOSP, Service: roc.IDB, Version: roc.V1}, true
	}
	return roc.Key{}, false
}
