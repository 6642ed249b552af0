package app

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/piano-roc/rpn/app/admin"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/tlsconf/identity"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// soon is how long before its end a certificate is said to need a renewal.
const soon = 30 * 24 * time.Hour

// allChecks lists what /readyz asks, in the order of the answer.
func (a *App) allChecks() []func(time.Time) admin.Health {
	checks := []func(time.Time) admin.Health{
		a.checkAccepting,
	}
	for _, own := range a.own {
		checks = append(checks, func(now time.Time) admin.Health { return a.checkOwn(own, now) })
	}
	for _, s := range storesOf(a.config, a.stores) {
		checks = append(checks, func(now time.Time) admin.Health { return a.checkStore(s, now) })
	}
	return append(checks, a.checkRevoked, a.checkRegister, a.checkAttempts, a.checkAnnuaire, a.checkHeld, a.checkQuestions, a.checkMemory, a.checkDNS, a.checkRedis, a.checkLimits, a.checkResting, a.checkShares, a.checkJournal, a.checkTimestamp, a.checkWitnesses, a.checkFigures, a.checkProvider, a.checkLog)
}

// checkAccepting says whether the RPN takes new connections.
func (a *App) checkAccepting(time.Time) admin.Health {
	switch {
	case a.draining.Load():
		return admin.Health{Name: "accepting", Detail: "the RPN is stopping"}
	case !a.serving.Load():
		return admin.Health{Name: "accepting", Detail: "the RPN is starting: its listener is not open yet"}
	}
	return admin.Health{Name: "accepting", OK: true, Detail: "listening on " + a.addr.String()}
}

// checkOwn says how one of our own certificates does.
func (a *App) checkOwn(own identity.Named, now time.Time) admin.Health {
	all := own.Certificates()
	name := strings.ReplaceAll(own.Name, ".", "_") + "_certificate"
	if len(all) == 0 {
		return admin.Health{Name: name, Detail: "ACME has not obtained a certificate yet: the log says why"}
	}
	worst := validity(all[0].Leaf, now)
	for _, c := range all[1:] {
		if h := validity(c.Leaf, now); !h.OK || h.Degraded && worst.OK && !worst.Degraded {
			worst = h
		}
	}
	if unlinked := own.Unlinked(); len(unlinked) > 0 {
		worst.Degraded = true
		worst.Detail += "; " + unlinked[0]
	}
	if own.Purpose() == identity.ForClient && worst.OK { // an AMC that does not look at lists still accepts it
		for _, c := range all {
			if why := a.revokedOwn(c, now); why != nil {
				worst.Degraded, worst.Detail = true, why.Error()
			}
		}
	}
	if own.Purpose() == identity.ForSignature && !worst.OK { // searches are refused, everything else goes on
		worst.OK, worst.Degraded = true, true
	}
	return a.reloading(own.Name, name, worst)
}

// clientFault says why the annuaire and the AMCs are not to accept the certificate
// that we present to them: it is not valid now, or is revoked by a list or denied
// as far as this instance knows; else nil. Whether its CA is one that they trust
// is for them to say.
func (a *App) clientFault() error {
	now := a.now()
	for _, c := range a.own.Of("client").Certificates() {
		if c.Leaf == nil {
			continue
		}
		if h := validity(c.Leaf, now); !h.OK {
			return errors.New(h.Detail)
		}
		if why := a.revokedOwn(c, now); why != nil {
			return why
		}
	}
	return nil
}

// revokedOwn says by what a certificate of ours is revoked. The CAs of IGC-Santé
// that issue it are those of the establishments.
func (a *App) revokedOwn(c *tls.Certificate, now time.Time) error {
	var chain []*x509.Certificate
	for _, der := range c.Certificate {
		if x, err := roc.ParseCertificate(der); err == nil {
			chain = append(chain, x)
		}
	}
	_, err := a.stores.EtablissementTLS.Trust().Verify(chain, trust.AsClient, a.revocation, now)
	if f := trust.AsFailure(err); f != nil && (f.Reason == trust.Revoked || f.Reason == trust.Denied) {
		return f
	}
	return nil
}

// validity says whether a certificate is valid at that time, and for how long.
func validity(c *x509.Certificate, now time.Time) admin.Health {
	who := c.Subject.CommonName
	switch left := c.NotAfter.Sub(now); {
	case now.Before(c.NotBefore):
		return admin.Health{Detail: fmt.Sprintf("%s is not valid before %s: check the clock", who, day(c.NotBefore))}
	case left <= 0:
		return admin.Health{Detail: fmt.Sprintf("%s ended on %s: put its renewal in its file", who, day(c.NotAfter))}
	case left < soon:
		return admin.Health{OK: true, Degraded: true, Detail: fmt.Sprintf("%s ends on %s: renew it", who, day(c.NotAfter))}
	}
	return admin.Health{OK: true, Detail: fmt.Sprintf("%s, until %s", who, day(c.NotAfter))}
}

// checkStore says whether a trust store still holds a valid root.
func (a *App) checkStore(s namedStore, now time.Time) admin.Health {
	h := lastRoot(s.store.Trust(), now)
	return a.reloading("trust", "trust_"+s.name, h)
}

// lastRoot is the validity of the root that ends last.
func lastRoot(t *trust.Trust, now time.Time) admin.Health {
	var last *x509.Certificate
	for _, c := range t.Roots() {
		if last == nil || c.NotAfter.After(last.NotAfter) {
			last = c
		}
	}
	if last == nil {
		return admin.Health{Detail: "it holds no root"}
	}
	return validity(last, now)
}

// checkRegister says whether there is somebody in the register.
func (a *App) checkRegister(time.Time) admin.Health {
	l := a.register.Current()
	es, _, numbers := l.Size()
	h := admin.Health{OK: es > 0 && numbers > 0, Detail: fmt.Sprintf("%d establishments, %d AMC numbers, digest %s", es, numbers, l.Digest())}
	return a.historyHealth(a.reloading("register", "register", h))
}

// checkAnnuaire says how the annuaire did when it was last asked.
func (a *App) checkAnnuaire(now time.Time) admin.Health {
	h := a.annuaire.Health("annuaire", now, a.config.Annuaire.MaxAge)
	if a.config.Annuaire.Probe == 0 && h.LastSuccess == "" && h.LastError == "" {
		// Only exchanges will ask: waiting for one to be ready would last for ever.
		h.OK, h.Degraded, h.Detail = true, true, "not asked yet, and annuaire.probe is 0s"
	}
	return h
}

// reloading adds to a Health that the last reload of its part failed.
func (a *App) reloading(part, name string, h admin.Health) admin.Health {
	h.Name = name
	if err := a.reloader.failure(part); err != nil {
		h.Degraded = true
		h.Detail += "; the files changed and could not be read, what was read before stays in use: " + oneLine(err)
	}
	return h
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
