package app

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/piano-roc/rpn/app/config"
	"github.com/piano-roc/rpn/internal/durable"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/strict"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/register/ops"
	"github.com/piano-roc/rpn/register/words"
	"github.com/piano-roc/rpn/tlsconf/expiry"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// A Report is what Check found.
type Report struct {
	// Summary is what an operator wants to read before a start; "" when there are
	// faults.
	Summary string
	// Faults are what keeps the RPN from starting, or from doing what the
	// configuration says: each a SetupError, or a strict.Errors about a list.
	Faults []error
	// Warnings are what is allowed and looks wrong.
	Warnings []error
}

// Err joins the faults.
func (r *Report) Err() error { return errors.Join(r.Faults...) }

// looks is how Check looks at what New opens. Nil: this is no check.
type looks struct {
	online bool // revocation lists are fetched
}

// looksAt reports whether Check reads a certificate of ours: its files are there,
// and it is not in Redis.
func looksAt(p *config.KeyPair) bool {
	return p.There() && (p.ACME == nil || p.ACME.Storage != config.StorageRedis)
}

// Check reads all that New reads and finds every fault of it, and what looks
// wrong: `rpn check`. It opens no port, writes nothing, and asks nobody unless
// online, which fetches the revocation lists. The configuration may be one that
// config.Examine found faulty: what it does not say is not looked at.
func Check(ctx context.Context, o Options, online bool) *Report {
	if o.Now == nil {
		o.Now = time.Now
	}
	a := &App{opts: o, config: o.Config, now: o.Now, log: slog.New(slog.DiscardHandler), looks: &looks{online: online}}
	a.inventory = expiry.New(a.now)
	r := &Report{}
	for _, w := range o.Config.Warnings() {
		r.Warnings = append(r.Warnings, strict.Errors{w})
	}
	a.checkFiles(ctx, r)
	list := a.checkLists(r)
	a.checkRights(r)
	a.warn(r)
	now := a.now()
	if len(r.Faults) == 0 && list != nil {
		r.Summary = a.summary(list, now)
	}
	if err := a.unwind(context.WithoutCancel(ctx)); err != nil {
		r.Faults = append(r.Faults, err)
	}
	return r
}

// checkFiles reads what the configuration names, the register left out. A file
// that is not there was said by the configuration.
func (a *App) checkFiles(ctx context.Context, r *Report) {
	c := a.config
	ifThere := func(read func() error, files ...string) {
		for _, f := range files {
			if _, err := os.Stat(f); f == "" || err != nil {
				return
			}
		}
		r.Faults = append(r.Faults, each(read())...)
	}
	r.Faults = append(r.Faults, a.readTrust()...)
	if p := &c.Portal; p.Open() {
		files := given(p.Clients)
		for _, o := range p.Operators {
			files = append(files, o.Certificate)
		}
		ifThere(a.openOperators, files...)
	}
	ifThere(func() error { return a.openLists(ctx) }, given(c.Revocation.DenySigners...)...)
	if a.revocation != nil {
		for _, err := range each(a.revocation.Problems()) {
			r.Faults = append(r.Faults, &config.SetupError{
				What:   c.File() + ": revocation.lists: " + oneLine(err),
				Remedy: "put the list of each CA there, or remove what is none; a CA without a list is closed or open by revocation.then and revocation.unannounced",
				Cause:  err,
			})
		}
	}
	if c.Tickets != "" {
		ifThere(a.openTickets)
	}
	ifThere(a.readSecrets, c.Secrets)
	var pool *x509.CertPool
	ifThere(func() error {
		return a.readPool(&pool, "redis.ca", c.Redis.CA, "give the authorities of Redis, in PEM")
	}, c.Redis.CA)
	ifThere(func() error {
		return a.readPool(&pool, "alerts.ca", c.Alerts.CA, "give the authorities of the webhooks, in PEM")
	}, c.Alerts.CA)
	ifThere(func() error {
		return a.readPool(&pool, "portal.oidc.ca", c.Portal.OIDC.CA, "give the authorities of the provider, in PEM")
	}, c.Portal.OIDC.CA)
	if c.Mail.Sent() {
		ifThere(func() error { _, err := a.smtpOptions(); return err }, given(c.Mail.CA)...)
	}
	if c.Journal.Kept() {
		ifThere(func() error {
			_, _, err := a.readJournalKeys()
			if err != nil {
				return setup(fmt.Errorf("%s: journal: %w", c.File(), err), "give journal.key the key of this journal")
			}
			return nil
		}, given(c.Journal.Key)...)
	}
	ifThere(func() error { _, err := a.timestampAuthority(); return err }, c.Journal.Timestamp.Authority)
	ifThere(func() error { _, err := a.witnessPolicy(); return err }, c.Journal.Witnesses)
	if c.Indicators.Kept() {
		ifThere(a.checkFiguresAddress)
	}
	ifThere(a.readTheme, c.Portal.Theme)
	if t := c.AdminTLS; t != nil {
		ifThere(func() error { _, err := a.adminTLS(); return err }, t.Certificate, t.Key, t.Clients)
	}
}

// given are those of the file names that the configuration gives.
func given(files ...string) []string {
	return slices.DeleteFunc(slices.Clone(files), func(f string) bool { return f == "" })
}

// checkLists reads the register, and returns it; nil: it has faults. Of a list
// without the other, all that needs it alone is checked.
func (a *App) checkLists(r *Report) *register.List {
	c := a.config
	there := func(f string) bool { _, err := os.Stat(f); return f != "" && err == nil }
	es, amcs := there(c.Etablissements), there(c.AMC)
	var list *register.List
	var err error
	switch {
	case es && amcs:
		if list, err = register.Load(c.Etablissements, c.AMC, a.now()); err == nil {
			err = c.CanServe(list)
		}
	case amcs:
		_, err = register.LoadAMCs(c.AMC, a.now())
	case es:
		var data []byte
		if data, err = os.ReadFile(c.Etablissements); err == nil {
			_, _, err = register.ReadEtablissements(c.Etablissements, data)
		}
	}
	if err != nil {
		r.Faults = append(r.Faults, setup(inWords(err), "correct the file"))
	}
	if err != nil || list == nil {
		return nil
	}
	for i, w := range ops.Check(list).Warnings {
		if i == mostWarned {
			r.Warnings = append(r.Warnings, fmt.Errorf("register: and %d more: `rpn register check` shows them", len(ops.Check(list).Warnings)-i))
			break
		}
		r.Warnings = append(r.Warnings, errors.New("register: "+w))
	}
	return list
}

// mostWarned bounds the warnings about the register.
const mostWarned = 20

// inWords gives an error of a file that this user may not read with who may not
// and the command that changes it.
func inWords(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return unreadable(p.Path, err)
	}
	return err
}

// mostLooked bounds how many files of the state folder are looked at.
const mostLooked = 10_000

// checkRights finds what the user of the RPN may not read or write: this user, or,
// for root, the one whose the state folder is.
func (a *App) checkRights(r *Report) {
	c := a.config
	uid := os.Getuid()
	if uid == 0 {
		of, ok := durable.Owner(c.State)
		if !ok || of == 0 {
			return // nothing says who the RPN is
		}
		uid = of
		for _, f := range c.Files() {
			if !durable.MayRead(f.File, uid) {
				r.Faults = append(r.Faults, &config.SetupError{
					What:   fmt.Sprintf("%s: %s: %s may not be read by %s: it is %s", c.File(), f.Key, f.File, durable.UserName(uid), durable.Ownership(f.File)),
					Remedy: fmt.Sprintf("chown %s %s, or give its group the right to read it and to pass the folders above", durable.UserName(uid), f.File),
				})
			}
		}
	}
	if info, err := os.Stat(c.State); c.State == "" || err != nil || !info.IsDir() {
		return
	}
	who := durable.UserName(uid)
	if !durable.MayWrite(c.State, uid) {
		r.Faults = append(r.Faults, &config.SetupError{
			What:   fmt.Sprintf("%s: state: %s may not be written by %s: it is %s", c.File(), c.State, who, durable.Ownership(c.State)),
			Remedy: fmt.Sprintf("chown -R %s %s", who, c.State),
		})
		return
	}
	first, more, left := "", 0, mostLooked
	filepath.WalkDir(c.State, func(path string, e fs.DirEntry, err error) error {
		if left--; left < 0 {
			return filepath.SkipAll
		}
		if err == nil && (e.IsDir() || e.Type().IsRegular()) && !durable.MayRead(path, uid) || errors.Is(err, fs.ErrPermission) {
			if first == "" {
				first = path
			} else {
				more++
			}
			if e.IsDir() {
				return filepath.SkipDir
			}
		}
		return nil
	})
	if first != "" {
		what := fmt.Sprintf("%s: state: %s may not be read by %s: it is %s", c.File(), first, who, durable.Ownership(first))
		if more > 0 {
			what += fmt.Sprintf(", and %d more", more)
		}
		r.Faults = append(r.Faults, &config.SetupError{What: what, Remedy: fmt.Sprintf("another user ran rpn there: chown -R %s %s", who, c.State)})
	}
}

// warn notes what is allowed and looks wrong in what was read.
func (a *App) warn(r *Report) {
	c := a.config
	say := func(format string, args ...any) {
		r.Warnings = append(r.Warnings, fmt.Errorf(c.File()+": "+format, args...))
	}
	now := a.now()
	for _, own := range a.own {
		for _, pair := range own.Certificates() {
			if left := pair.Leaf.NotAfter.Sub(now); left < soon {
				say("%s: %s ends on %s: renew it", own.Name, trust.NameOf(pair.Leaf.Subject), trust.Day(pair.Leaf.NotAfter))
			}
		}
		for _, problem := range own.Unlinked() {
			say("%s: %s", own.Name, problem)
		}
	}
	if server := a.own.Of("server"); c.Endpoint != "" && server != nil && server.Certificate() != nil {
		if u, err := url.Parse(c.Endpoint); err == nil && u.Hostname() != "" && server.Certificate().Leaf.VerifyHostname(u.Hostname()) != nil {
			say("endpoint: the certificate of server is not of %s: clients that read the WSDL would refuse us; its names are %s", u.Hostname(), strings.Join(server.Certificate().Leaf.DNSNames, ", "))
		}
	}
	a.warnOfStores(say)
	if d := c.Revocation; d.Deny != "" && a.revocation != nil {
		if s, _ := a.revocation.DenyStatus(); s.Problem != "" {
			say("revocation.deny: %s", s.Problem)
		}
	}
	for _, s := range a.revocation.Status() {
		if now.After(s.To) {
			say("revocation: the list of %s ended on %s", s.CommonName, trust.Day(s.To))
		}
	}
}

// warnOfStores notes a store that looks like one of the other side: its roots are
// also those of a store of that side, or its names say so.
func (a *App) warnOfStores(say func(format string, args ...any)) {
	seen := map[roc.CertificateID]string{}
	for _, s := range storesOf(a.config, a.stores) {
		if s.store == nil {
			continue
		}
		insurers := strings.HasPrefix(s.name, "amc_")
		for _, root := range s.store.Trust().Roots() {
			id := roc.IDOfCertificate(root)
			if other, twice := seen[id]; twice && strings.HasPrefix(other, "amc_") != insurers {
				say("trust.%s: it has the root %s of trust.%s: was one store given for both sides?", s.name, trust.NameOf(root.Subject), other)
			}
			seen[id] = s.name
			switch name := strings.ToUpper(root.Subject.String()); {
			case insurers && strings.Contains(name, "IGC-SANTE"):
				say("trust.%s: %s is an authority of establishments (IGC-Santé), in a store of insurers: are two stores swapped?", s.name, trust.NameOf(root.Subject))
			case !insurers && strings.Contains(name, "IGC OSI"), !insurers && strings.Contains(name, "IGC-OSI"):
				say("trust.%s: %s is an authority of insurers (IGC OSI), in a store of establishments: are two stores swapped?", s.name, trust.NameOf(root.Subject))
			}
		}
	}
}

func (a *App) summary(l *register.List, now time.Time) string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "  %-32s %s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(&b, "%s: ok (%s)\n", a.config.File(), a.config.Environment)
	es, sites, numbers := l.Size()
	states := map[register.Etat]int{}
	for e := range l.Etablissements() {
		states[e.Etat]++
	}
	var parts []string
	for _, s := range register.Etats() {
		if states[s] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", states[s], words.StateName(s)))
		}
	}
	amcs := 0
	for range l.AMCs() {
		amcs++
	}
	line("establishments", "%d (%s), %d sites", es, strings.Join(parts, ", "), sites)
	line("AMCs", "%d, %d numbers", amcs, numbers)
	for _, own := range a.own {
		for _, pair := range own.Certificates() {
			c := pair.Leaf
			line(own.Name+" certificate", "%s, %s, until %s (%d days)", c.Subject, c.PublicKeyAlgorithm, day(c.NotAfter), int(c.NotAfter.Sub(now).Hours()/24))
		}
		if own.Certificate() == nil {
			line(own.Name+" certificate", "none yet: ACME obtains it at start")
		}
	}
	for _, s := range storesOf(a.config, a.stores) {
		t := s.store.Trust()
		line("trust."+s.name, "%d roots, %d intermediates; %s (%s)", len(t.Roots()), len(t.Intermediates()), lastRoot(t, now).Detail, filepath.Base(s.path))
	}
	revoked := a.checkRevoked(now).Detail
	if !a.looks.online {
		revoked += " (nothing was fetched: --online does)"
	}
	line("revocation", "%s", revoked)
	line("annuaire", "%s", a.config.Annuaire.URL)
	line("listen", "%s, admin %s (not opened)", a.config.Listen, a.config.Admin)
	return b.String()
}

// oneLine writes an error of a file on one line.
func oneLine(err error) string {
	var list strict.Errors
	if errors.As(err, &list) && len(list) > 0 {
		s := list[0].Error()
		if n := len(list) - 1; n > 0 {
			s += fmt.Sprintf(" (and %d more; `rpn check` shows them)", n)
		}
		return s
	}
	return strings.ReplaceAll(err.Error(), "\n", "; ")
}
