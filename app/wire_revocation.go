package app

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/piano-roc/rpn/app/admin"
	"github.com/piano-roc/rpn/indicators/live"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/tlsconf"
	"github.com/piano-roc/rpn/tlsconf/revocation"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// openRevocation reads what is known of who is revoked.
func (a *App) openRevocation() error {
	return errors.Join(a.openLists(context.Background()), a.openTickets())
}

// openLists reads the revocation lists and the deny list.
func (a *App) openLists(ctx context.Context) error {
	c := a.config.Revocation
	ages := map[string]revocation.AgePolicy{}
	for _, of := range c.Authorities {
		ages[of.Name] = revocation.AgePolicy{Warn: of.Warn, Grace: of.Grace, Then: revocation.FailureMode(of.Then)}
	}
	o := revocation.Options{
		Folder: c.Folder, Authorities: a.authorities, Log: a.log,
		Lists: c.Lists, NoFollow: !c.Follow, Every: c.Every, Timeout: c.Timeout, MaxBytes: int64(c.Largest),
		Age:  revocation.AgePolicy{Warn: c.Warn, Grace: c.Grace, Then: revocation.FailureMode(c.Then)},
		Ages: ages, Unannounced: revocation.FailureMode(c.Unannounced), OCSP: c.OCSP, Client: lists(a.anybody()), Own: lists(a.written()), Now: a.now,
	}
	if a.looks != nil {
		o.ReadOnly = true
		if !a.looks.online {
			o.Client, o.Own = nil, nil
		}
	}
	if c.Deny != "" {
		o.Deny = &revocation.DenyOptions{File: c.Deny, Signers: c.DenySigners}
	}
	var err error
	if a.revocation, err = revocation.Open(ctx, o); err != nil && a.looks != nil && o.Deny != nil {
		o.Deny = nil
		a.revocation, _ = revocation.Open(ctx, o) // the lists are looked at without it
	}
	if err != nil {
		return setup(fmt.Errorf("%s: revocation: %w", a.config.File(), err), "correct it, then `rpn check` again")
	}
	return nil
}

// openTickets reads the secret of TLS sessions, where there is one.
func (a *App) openTickets() (err error) {
	if a.config.Tickets != "" {
		if a.tickets, err = tlsconf.OpenTicketSecret(a.config.Tickets); err != nil {
			return setup(fmt.Errorf("%s: tickets: %w", a.config.File(), err), "then `rpn check` again")
		}
	}
	return nil
}

// authorities returns the CAs of the four trust stores, and of the operators of
// the portal.
func (a *App) authorities() []*x509.Certificate {
	all := authoritiesOf(a.stores)
	if s := a.operatorStore; s != nil && s != a.stores.EtablissementTLS {
		all = append(append(all, s.Trust().Roots()...), s.Trust().Intermediates()...)
	}
	return all
}

func authoritiesOf(stores *trust.Stores) []*x509.Certificate {
	if stores == nil { // they could not be read: that is said
		return nil
	}
	var all []*x509.Certificate
	for _, s := range stores.All() {
		if s == nil {
			continue // that is said too
		}
		t := s.Trust()
		all = append(append(all, t.Roots()...), t.Intermediates()...)
	}
	return all
}

// A ground is what connections rest on: when it changes, all are verified again.
type ground struct {
	revocation     uint64
	etablissements *trust.Trust
	amc            *trust.Trust
	register       *register.List
}

func (a *App) ground() ground {
	return ground{a.revocation.Generation(), a.stores.EtablissementTLS.Trust(), a.stores.AMCTLS.Trust(), a.register.Current()}
}

const (
	lookEvery   = 200 * time.Millisecond // at what connections rest on
	endEvery    = time.Second            // at which certificates have ended; see cutWithin
	verifyEvery = time.Minute            // all connections, for the clock: a list gets too old
)

// A connection whose certificate has ended is cut within cutWithin: when a
// sweep that passed it just before is under way, that one ends first, then the
// next begins at most endEvery later, and comes to it before its own end. A sweep
// of 2 000 connections takes milliseconds (docs/bench/revocation.md); what is
// closed waits for nobody.
const (
	cutWithin   = 5 * time.Second
	sweepWithin = (cutWithin - endEvery) / 2 // what a sweep may take
)

// watchConnections closes the connections of those who may no longer be here,
// until ctx ends.
func (a *App) watchConnections(ctx context.Context, began ground) {
	everySweep(ctx, func() {
		a.logCuts("etablissements", a.server.SweepEnded())
		a.logCuts("amc", a.client.SweepEnded())
	}, func(whole bool) {
		now := a.ground()
		if now == began && !whole {
			return
		}
		var also func(*x509.Certificate) error
		if now.register != began.register {
			also = struckOff(began.register, now.register)
		}
		began = now
		a.logCuts("etablissements", a.server.Sweep(also))
		a.logCuts("amc", a.client.Sweep())
	})
}

// everySweep calls ended and sweep when it is time, until ctx ends. whole: also
// when nothing has changed.
func everySweep(ctx context.Context, ended func(), sweep func(whole bool)) {
	look, end, all := time.NewTicker(lookEvery), time.NewTicker(endEvery), time.NewTicker(verifyEvery)
	defer look.Stop()
	defer end.Stop()
	defer all.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-end.C:
			ended()
		case <-all.C:
			sweep(true)
		case <-look.C:
			sweep(false)
		}
	}
}

// struckOff is about callers that the old register admitted and the new one
// does not: suspended, closed, removed. They may come back, to be told why
// (RPN101, RPN102), on a connection of their own.
func struckOff(old, now *register.List) func(*x509.Certificate) error {
	return func(leaf *x509.Certificate) error {
		if _, err := old.Caller(leaf); err != nil {
			return nil
		}
		_, err := now.Caller(leaf)
		return err
	}
}

func (a *App) logCuts(side string, cuts []tlsconf.Cut) {
	const most = 20 // lines; the rest is counted
	for i, c := range cuts {
		a.live.Cut(side, string(c.Reason), c.Connections)
		if i < most {
			a.log.Warn("connections closed: their peer is no longer accepted", slog.String("event", "connections_cut"), slog.String("side", side), slog.String("reason", string(c.Reason)),
				slog.Int("connections", c.Connections), slog.String("detail", c.Detail),
				slog.String("subject", c.Subject), slog.String("issuer", c.Issuer), slog.String("serial", c.Serial))
		}
	}
	if len(cuts) > most {
		a.log.Warn("connections closed of more peers", slog.String("event", "connections_cut"), slog.String("side", side), slog.Int("peers", len(cuts)-most))
	}
}

// revocationStats is what the indicators show.
func (a *App) revocationStats() live.RevocationStats {
	var s live.RevocationStats
	of := map[string]int{} // a CA whose list is cut in pieces is one line
	for _, l := range a.revocation.Status() {
		one := live.RevocationList{CA: l.CommonName, Issued: l.From, Ends: l.To, Entries: l.Entries, Serves: l.State != "stale"}
		i, known := of[l.CommonName]
		if !known {
			of[l.CommonName] = len(s.Lists)
			s.Lists = append(s.Lists, one)
			continue
		}
		all := &s.Lists[i]
		all.Entries += one.Entries
		all.Serves = all.Serves && one.Serves
		if one.Issued.Before(all.Issued) {
			all.Issued = one.Issued
		}
		if one.Ends.Before(all.Ends) {
			all.Ends = one.Ends
		}
	}
	for _, place := range a.revocation.Sources() {
		switch {
		case place.Confirmed.IsZero():
			s.Never++
		case place.Problem != "":
			s.Failing++
		default:
			s.Good++
		}
		if s.OldestConfirmation.IsZero() || place.Confirmed.Before(s.OldestConfirmation) {
			s.OldestConfirmation = place.Confirmed
		}
	}
	if s.Never > 0 {
		s.OldestConfirmation = time.Time{}
	}
	if d, ok := a.revocation.DenyStatus(); ok {
		s.Deny, s.DenySequence, s.DenyEntries, s.DenyGood = true, d.Sequence, d.Entries, d.Problem == ""
	}
	return s
}

// checkRevoked says for /readyz how the revocation data does. It is never a
// reason to take the RPN out of service: another one would know no more.
func (a *App) checkRevoked(now time.Time) admin.Health {
	s := a.revocationStats()
	h := admin.Health{Name: "revocation", OK: true}
	h.Detail = fmt.Sprintf("%d lists, %d places good, %d failing, %d never heard", len(s.Lists), s.Good, s.Failing, s.Never)
	for _, l := range s.Lists {
		if now.After(l.Ends) {
			h.Degraded = true
			h.Detail += fmt.Sprintf("; that of %s ended on %s", l.CA, day(l.Ends))
		}
	}
	h.Degraded = h.Degraded || s.Failing+s.Never > 0
	if closed := a.revocation.Closed(now); len(closed) > 0 {
		h.Degraded = true
		h.Detail += "; refused, since it cannot be known whether they are revoked: the certificates of " + strings.Join(closed, " and of ")
	}
	if s.Deny {
		h.Detail += fmt.Sprintf("; deny list %d, %d entries", s.DenySequence, s.DenyEntries)
		if d, _ := a.revocation.DenyStatus(); d.Problem != "" {
			h.Degraded = true
			h.Detail += "; its file is refused: " + d.Problem
		}
	}
	return h
}
