package app

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/piano-roc/rpn/indicators"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/strict"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/tlsconf"
)

// Revocation says how it is known who is revoked: those whose certificate its
// CA has revoked, or who are on the emergency deny list, are refused, their
// open connections are closed within seconds and their TLS sessions cannot be
// resumed. It applies to connections of both sides and to signatures.
// docs/operating/certificates.md says how to put somebody out, and how to live
// through an outage of a CA.
type Revocation struct {
	// Folder is where the last good revocation lists are kept, so that a
	// restart during an outage of a CA knows what was known, and the last deny
	// list, so that an older one is refused. It is created. Default: revocation
	// in the folder state; without state nothing is kept.
	Folder string `yaml:"folder"`

	// Lists are where revocation lists come from: files (PEM or DER), looked
	// at each second, and http URLs. Each counts for the CA that signed it.
	// Default: none but those of follow.
	Lists []string `yaml:"lists"`

	// Follow fetches the lists that certificates name themselves (CRL
	// distribution points over http, delta lists too), once their chain is
	// accepted. Default: true.
	Follow bool `yaml:"follow"`

	// Every is how often a URL is asked, give or take a tenth. Default: 1h.
	Every time.Duration `yaml:"every" strict:"positive"`

	// Timeout is how long one of them may take to answer, whole. Default: 10s.
	Timeout time.Duration `yaml:"timeout" strict:"positive"`

	// Largest is the largest list read; at most 1GiB. Default: 64MiB.
	Largest strict.Size `yaml:"largest" strict:"positive"`

	// Warn is how long without news from a place before its failure is logged
	// as an error. Default: 4h.
	Warn time.Duration `yaml:"warn" strict:"positive"`

	// Grace is how long after its nextUpdate the last good list of a CA still
	// serves: a CA that publishes late must not stop the country. Default:
	// 72h.
	Grace time.Duration `yaml:"grace" strict:"positive"`

	// Then is what happens to the certificates of a CA once the grace is over,
	// and while its list was never obtained: "closed" refuses them, "open"
	// accepts them. What is known to be revoked stays so. Default: closed.
	Then Posture `yaml:"then"`

	// Unannounced is the same for a CA whose certificates name no list and
	// that none is configured for. Default: open, since there is nothing to
	// wait for; the deny list reaches them.
	Unannounced Posture `yaml:"unannounced"`

	// Authorities are the CAs for which warn, grace or then differ. Default:
	// none.
	Authorities []RevocationOf `yaml:"authorities"`

	// OCSP asks the responder that a caller's certificate names, in the
	// background, at first sight and then each Every. It can only refuse; a
	// responder that is silent changes nothing, and nobody waits for it.
	// Default: false.
	OCSP bool `yaml:"ocsp"`

	// Deny is the file of the emergency deny list, looked at each second;
	// `rpn deny` makes it. It may be absent until the first one is made.
	// Default: none.
	Deny string `yaml:"deny"`

	// DenySigners are the files (PEM public keys or certificates) of who may
	// sign it. Required with deny. Who holds one of these keys can put
	// anybody out, and nobody in.
	DenySigners []string `yaml:"deny_signers"`
}

// RevocationOf is what differs for one CA.
type RevocationOf struct {
	// Name is the common name of the CA. Required.
	Name string `yaml:"name" strict:"required"`

	// Warn, Grace and Then are those of revocation, for this CA. Default:
	// those of revocation.
	Warn  time.Duration `yaml:"warn"`
	Grace time.Duration `yaml:"grace"`
	Then  Posture       `yaml:"then"`
}

// A Posture is what is done when it cannot be known whether a certificate is
// revoked.
type Posture string

// The postures.
const (
	FailClosed Posture = "closed"
	FailOpen   Posture = "open"
)

func defaultRevocation() Revocation {
	return Revocation{
		Follow: true, Every: time.Hour, Timeout: 10 * time.Second, Largest: 64 << 20,
		Warn: 4 * time.Hour, Grace: 72 * time.Hour, Then: FailClosed, Unannounced: FailOpen,
	}
}

// checkRevocation applies the rules of the section, and makes its file names
// whole. The lists are not looked for: one may be missing for a while.
func (c *Config) checkRevocation(doc *strict.Document) {
	r := &c.Revocation
	if r.Folder == "" {
		r.Folder = c.inState("revocation")
	}
	for _, f := range []*string{&r.Folder, &r.Deny, &c.Tickets} {
		*f = c.whole(*f)
	}
	for i := range r.Lists {
		if !strings.Contains(r.Lists[i], "://") {
			r.Lists[i] = c.whole(r.Lists[i])
		} else if !strings.HasPrefix(r.Lists[i], "http://") && !strings.HasPrefix(r.Lists[i], "https://") {
			doc.Refuse(doc.At("revocation", "lists", i), "give a file, or a URL over http", "%q is neither a file nor an http URL", r.Lists[i])
		}
	}
	for i := range r.DenySigners {
		r.DenySigners[i] = c.whole(r.DenySigners[i])
	}
	switch {
	case r.Deny != "" && len(r.DenySigners) == 0:
		doc.Refuse(doc.At("revocation", "deny"), "add deny_signers: the public key that `rpn deny sign` signs for", "nobody may sign the deny list")
	case r.Deny == "" && len(r.DenySigners) > 0:
		doc.Refuse(doc.At("revocation", "deny_signers"), "add deny: the file of the list", "there is no deny list to sign")
	}
	if r.Largest > 1<<30 {
		doc.Refuse(doc.At("revocation", "largest"), "64MiB holds a million certificates and more", "%d bytes is more than 1GiB", int64(r.Largest))
	}
}

// whole makes a file name relative to the configuration's folder.
func (c *Config) whole(file string) string {
	if file == "" || filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(c.dir, file)
}

// openRevocation reads what is known of who is revoked.
func (a *App) openRevocation() error {
	c := a.config.Revocation
	ages := map[string]tlsconf.AgePolicy{}
	for _, of := range c.Authorities {
		ages[of.Name] = tlsconf.AgePolicy{Warn: of.Warn, Grace: of.Grace, Then: tlsconf.Stance(of.Then)}
	}
	o := tlsconf.RevocationOptions{
		Folder: c.Folder, Authorities: a.authorities, Log: a.log,
		Lists: c.Lists, NoFollow: !c.Follow, Every: c.Every, Timeout: c.Timeout, MaxBytes: int64(c.Largest),
		Age:  tlsconf.AgePolicy{Warn: c.Warn, Grace: c.Grace, Then: tlsconf.Stance(c.Then)},
		Ages: ages, Unannounced: tlsconf.Stance(c.Unannounced), OCSP: c.OCSP, Now: a.now,
	}
	if c.Deny != "" {
		o.Deny = &tlsconf.DenyOptions{File: c.Deny, Signers: c.DenySigners}
	}
	var err error
	if a.revocation, err = tlsconf.OpenRevocation(context.Background(), o); err != nil {
		return setup(fmt.Errorf("%s: revocation: %w", a.config.file, err), "correct it, then `rpn check` again")
	}
	if a.config.Tickets != "" {
		if a.tickets, err = tlsconf.OpenTicketSecret(a.config.Tickets); err != nil {
			return setup(fmt.Errorf("%s: tickets: %w", a.config.file, err), "then `rpn check` again")
		}
	}
	return nil
}

// authorities returns the CAs of the four trust stores.
func (a *App) authorities() []*x509.Certificate {
	var all []*x509.Certificate
	for _, s := range storesOf(a.config, a.stores) {
		t := s.store.Trust()
		all = append(append(all, t.Roots()...), t.Intermediates()...)
	}
	return all
}

// revoked refuses a signer whose chain is revoked, or cannot be known not to
// be (RPN103).
func (a *App) revoked(chain []*x509.Certificate) error {
	err := a.revocation.Check(chain, a.now())
	if err == nil {
		return nil
	}
	said := "Le certificat de signature est révoqué."
	if f := tlsconf.Explain(err); f.Reason == tlsconf.RevocationUnknown {
		said = "Il n'a pas pu être vérifié que le certificat de signature n'est pas révoqué : la liste de révocation de son autorité manque ou est trop ancienne."
	}
	return roc.Refuse(roc.Revoked, "signer certificate: %w", err).Saying("%s", said)
}

// A ground is what connections rest on: when it changes, all are judged again.
type ground struct {
	revocation     uint64
	etablissements *tlsconf.Trust
	amc            *tlsconf.Trust
	register       *register.List
}

func (a *App) ground() ground {
	return ground{a.revocation.Generation(), a.stores.EtablissementTLS.Trust(), a.stores.AMCTLS.Trust(), a.register.Current()}
}

const (
	lookEvery  = 200 * time.Millisecond // at what connections rest on
	judgeEvery = time.Minute            // all connections, for the clock: a certificate ends
)

// watchConnections closes the connections of those who may no longer be here,
// until ctx ends.
func (a *App) watchConnections(ctx context.Context, began ground) {
	look, judge := time.NewTicker(lookEvery), time.NewTicker(judgeEvery)
	defer look.Stop()
	defer judge.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-judge.C:
		case <-look.C:
			if a.ground() == began {
				continue
			}
		}
		now := a.ground()
		var also func(*x509.Certificate) error
		if now.register != began.register {
			also = struckOff(began.register, now.register)
		}
		began = now
		a.sayCuts("etablissements", a.server.Sweep(also))
		a.sayCuts("amc", a.client.Sweep())
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

func (a *App) sayCuts(side string, cuts []tlsconf.Cut) {
	const most = 20 // lines; the rest is counted
	for i, c := range cuts {
		a.live.Cut(side, string(c.Reason), c.Connections)
		if i < most {
			a.log.Warn("connections closed: their peer is no longer accepted", slog.String("side", side), slog.String("reason", string(c.Reason)),
				slog.Int("connections", c.Connections), slog.String("detail", c.Detail),
				slog.String("subject", c.Subject), slog.String("issuer", c.Issuer), slog.String("serial", c.Serial))
		}
	}
	if len(cuts) > most {
		a.log.Warn("connections closed of more peers", slog.String("side", side), slog.Int("peers", len(cuts)-most))
	}
}

// revocationStats is what the indicators show.
func (a *App) revocationStats() indicators.RevocationStats {
	var s indicators.RevocationStats
	of := map[string]int{} // a CA whose list is cut in pieces is one line
	for _, l := range a.revocation.Status() {
		one := indicators.RevocationList{CA: l.CommonName, Issued: l.From, Ends: l.To, Entries: l.Entries, Serves: l.State != "stale"}
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
func (a *App) checkRevoked(now time.Time) Health {
	s := a.revocationStats()
	h := Health{Name: "revocation", OK: true}
	h.Detail = fmt.Sprintf("%d lists, %d places good, %d failing, %d never heard", len(s.Lists), s.Good, s.Failing, s.Never)
	for _, l := range s.Lists {
		if now.After(l.Ends) {
			h.Degraded = true
			h.Detail += fmt.Sprintf("; that of %s ended on %s", l.CA, day(l.Ends))
		}
	}
	h.Degraded = h.Degraded || s.Failing+s.Never > 0
	if s.Deny {
		h.Detail += fmt.Sprintf("; deny list %d, %d entries", s.DenySequence, s.DenyEntries)
		if d, _ := a.revocation.DenyStatus(); d.Problem != "" {
			h.Degraded = true
			h.Detail += "; its file is refused: " + d.Problem
		}
	}
	return h
}
