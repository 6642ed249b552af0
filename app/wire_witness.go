package app

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/piano-roc/rpn/app/admin"
	"github.com/piano-roc/rpn/journal/witness"
)

// openWitnesses prepares what has the checkpoints cosigned. A policy that is none
// is refused; witnesses that do not answer keep nobody from anything.
func (a *App) openWitnesses() error {
	c := &a.config.Journal
	policy, err := a.witnessPolicy()
	if a.journal == nil || policy == nil || err != nil {
		return err
	}
	a.witnesses = witness.NewKeeper(witness.Options{
		Dir: c.Folder, Policy: policy, Client: a.written().Client(&tls.Config{MinVersion: tls.VersionTLS12}, 20*time.Second),
		Every: time.Minute, Log: a.log, Now: a.now,
	})
	return nil
}

// witnessPolicy reads who cosigns the journal; nil: nobody does.
func (a *App) witnessPolicy() (*witness.Policy, error) {
	c := &a.config.Journal
	if c.Witnesses == "" {
		return nil, nil
	}
	text, err := os.ReadFile(c.Witnesses)
	var policy *witness.Policy
	if err == nil {
		policy, err = witness.ParsePolicy(text)
	}
	if err == nil && !policy.Asked() {
		err = errors.New("no witness of it has an address")
	}
	if err != nil {
		return nil, setup(fmt.Errorf("%s: journal.witnesses: %s: %w", a.config.File(), c.Witnesses, err), "docs/operating/journal.md has an example")
	}
	return policy, nil
}

// checkWitnesses says whether enough witnesses cosign. It never takes the RPN out
// of service.
func (a *App) checkWitnesses(now time.Time) admin.Health {
	h := admin.Health{Name: "witnesses", OK: true}
	if a.witnesses == nil {
		h.Detail = "none: journal.witnesses names no policy"
		return h
	}
	s := a.witnesses.State()
	if h.Detail = "no checkpoint is cosigned yet"; !s.At.IsZero() {
		h.LastSuccess = s.At.UTC().Format(time.RFC3339)
		h.Detail = fmt.Sprintf("%d records are cosigned", s.Size)
	}
	if s.Err != nil {
		h.Degraded = now.Sub(s.Since) > lateStamp
		h.Detail += "; too few witnesses cosign, and they are asked again: " + s.Err.Error()
	}
	return h
}
