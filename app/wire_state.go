package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/piano-roc/rpn/annuaire"
	"github.com/piano-roc/rpn/app/admin"
	"github.com/piano-roc/rpn/app/config"
	"github.com/piano-roc/rpn/internal/durable"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/register/attempts"
)

const (
	saveHosts     = time.Minute      // how often the hosts are written
	saveInventory = 10 * time.Minute // it holds every certificate of the country
)

// lockState takes the state folder for this process. Two that write it would
// each undo what the other keeps, so the second one does not start.
func (a *App) lockState() error {
	if a.config.State == "" {
		return nil
	}
	lock, err := durable.Lock(a.config.State)
	if errors.Is(err, durable.ErrLocked) {
		return &config.SetupError{
			What:   fmt.Sprintf("%s: state: %v", a.config.File(), err),
			Remedy: "stop the other rpn first, or give each its own state folder",
			Cause:  err,
		}
	}
	if err != nil {
		return setup(fmt.Errorf("%s: state: %w", a.config.File(), err), "give the RPN the right to write there")
	}
	a.onRelease("state folder", func(context.Context) error { return lock.Release() })
	return nil
}

// openState opens what the state folder keeps. Nothing of it decides anything
// about an exchange, so a file that cannot be read keeps nobody from starting:
// it is left as it is, and said.
func (a *App) openState() {
	hosts, err := annuaire.OpenHosts(a.config.HostsFile())
	if err != nil {
		a.log.Error("the hosts that the annuaire has named cannot be read: they are not kept on disk", slog.String("event", "hosts_unreadable"), slog.String("error", err.Error()))
		hosts, _ = annuaire.OpenHosts("")
	}
	a.hosts = hosts
	if file := a.config.CertificatesFile(); file != "" {
		if err := a.inventory.Load(file); err != nil {
			a.log.Error("the certificates seen before the start cannot be read, or not all", slog.String("event", "certificates_unreadable"), slog.String("error", err.Error()))
		}
	}
	if dir := a.config.AttemptsDir(); dir != "" {
		a.attempts = attempts.Open(attempts.Options{Dir: dir, OnError: func(err error) {
			a.log.Error("an attempt in accrochage is lost", slog.String("event", "attempt_lost"), slog.String("error", err.Error()))
		}})
		a.onRelease("attempts in accrochage", func(context.Context) error { a.attempts.Close(); return nil })
	}
}

// keepAttempt is an observer: it keeps the exchanges of establishments in
// accrochage.
func (a *App) keepAttempt(r *roc.Record) {
	if a.attempts == nil {
		return
	}
	if es, ok := a.register.Current().ByStructure(r.From); ok && es.Etat == register.Accrochage {
		a.custody.keep(attempts.Of(es.Structure, r))
	}
}

// saveState writes what the state folder keeps of the annuaire, each minute
// and at the end.
func (a *App) saveState(ctx context.Context) {
	tick := time.NewTicker(saveHosts)
	defer tick.Stop()
	certificates := time.NewTicker(saveInventory)
	defer certificates.Stop()
	for {
		var over bool
		select {
		case <-certificates.C:
			a.saveCertificates()
			continue
		case <-ctx.Done():
			over = true
			a.saveCertificates()
		case <-tick.C:
		}
		a.saveReplay()
		if err := a.hosts.Save(); err != nil {
			a.log.Error("the hosts that the annuaire has named cannot be kept", slog.String("event", "hosts_unwritten"), slog.String("error", err.Error()))
		}
		if over {
			return
		}
	}
}

// saveCertificates keeps the certificates that were seen.
func (a *App) saveCertificates() {
	file := a.config.CertificatesFile()
	if file == "" {
		return
	}
	if err := a.inventory.Save(file); err != nil {
		a.log.Error("the certificates that were seen cannot be kept", slog.String("event", "certificates_unwritten"), slog.String("error", err.Error()))
	}
}

// checkAttempts says whether attempts in accrochage are being lost.
func (a *App) checkAttempts(time.Time) admin.Health {
	h := admin.Health{Name: "accrochages", OK: true, Detail: "no state folder: attempts in accrochage are not kept"}
	if a.attempts != nil {
		h.Detail = fmt.Sprintf("%d attempts kept since the start", a.attempts.Kept())
		if n := a.attempts.Lost(); n > 0 {
			h.Degraded = true
			h.Detail += fmt.Sprintf(", %d lost: look at %s", n, a.config.AttemptsDir())
		}
	}
	return h
}
