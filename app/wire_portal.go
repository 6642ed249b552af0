package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"

	"github.com/piano-roc/rpn/annuaire"
	"github.com/piano-roc/rpn/app/config"
	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/portal"
	"github.com/piano-roc/rpn/portal/access"
	"github.com/piano-roc/rpn/portal/incident"
	"github.com/piano-roc/rpn/portal/login"
	"github.com/piano-roc/rpn/portal/proposal"
	"github.com/piano-roc/rpn/tlsconf"
	"github.com/piano-roc/rpn/tlsconf/identity"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// openOperators opens whose certificates the operators of the portal have, and
// reads which ones they are.
func (a *App) openOperators() error {
	p := &a.config.Portal
	if !p.Open() {
		return nil
	}
	a.operatorStore = a.stores.EtablissementTLS
	if p.Clients != "" {
		var err error
		a.operatorStore, err = trust.OpenStore(a.storeOptions("portal.clients", trust.StoreOptions{Name: a.config.File() + ": portal.clients", Paths: []string{p.Clients}}))
		if err != nil {
			return setup(err, "then `rpn check` again")
		}
	}
	_, err := a.reloadOperators(act{})
	return err
}

// operators are those who see everything, as the configuration last had them.
type operators struct {
	byCertificate map[roc.CertificateID]access.Listed
	byClaim       []login.OperatorClaim
}

// operates reports whether somebody of OpenID Connect is still that operator.
func (o *operators) operates(i access.Identity) bool {
	return slices.ContainsFunc(o.byClaim, func(c login.OperatorClaim) bool {
		return c.Ref() == i.Claim && c.Name == i.Operator.Name && c.Role == i.Operator.Role
	})
}

// decides reports whether the operator of that name may decide what waits.
func (o *operators) decides(name string) bool {
	for _, l := range o.byCertificate {
		if l.Name == name && l.Role.May(access.Exploitation) {
			return true
		}
	}
	return slices.ContainsFunc(o.byClaim, func(c login.OperatorClaim) bool { return c.Name == name && c.Role.May(access.Exploitation) })
}

// deciding is how many names decide what waits.
func (o *operators) deciding() int {
	names := map[string]bool{}
	for _, l := range o.byCertificate {
		names[l.Name] = names[l.Name] || l.Role.May(access.Exploitation)
	}
	for _, c := range o.byClaim {
		names[c.Name] = names[c.Name] || c.Role.May(access.Exploitation)
	}
	maps.DeleteFunc(names, func(_ string, decides bool) bool { return !decides })
	return len(names)
}

// reloadOperators reads the certificates of the operators again and, when somebody
// asks for it, who the configuration names: who is taken out of it is out.
func (a *App) reloadOperators(by act) ([]string, error) {
	p := &a.config.Portal
	if by.why != "" && by.why != aFileChanged && a.config.File() != "" {
		now, err := config.Read(a.config.File())
		if err != nil {
			return nil, err
		}
		p = &now.Portal
	}
	listed := map[roc.CertificateID]access.Listed{}
	for _, o := range p.Operators {
		certs, _, err := trust.ReadCertificates(o.Certificate)
		if err == nil && len(certs) == 0 {
			err = fmt.Errorf("%s: holds no certificate", o.Certificate)
		}
		if err != nil {
			return nil, setup(fmt.Errorf("%s: portal.operators: %s: %w", a.config.File(), o.Name, err), "give the certificate of the operator, in PEM: it holds no secret")
		}
		id := roc.IDOfCertificate(certs[0])
		if other, twice := listed[id]; twice {
			return nil, setup(fmt.Errorf("%s: portal.operators: %s and %s have one certificate", a.config.File(), other.Name, o.Name), "give each operator a certificate of its own")
		}
		listed[id] = access.Listed{Name: o.Name, Role: access.Role(o.Role)}
	}
	now := &operators{byCertificate: listed}
	for _, op := range p.OIDC.Operators {
		now.byClaim = append(now.byClaim, login.OperatorClaim{Name: op.Name, Claim: op.Claim, Value: op.Value, Role: access.Role(op.Role)})
	}
	if n := now.deciding(); a.config.Portal.SecondOperator && n == 1 {
		a.log.Warn("one operator alone may decide, and nobody may confirm what it proposes", "event", "portal_second_operator_missing")
	}
	before := a.operators.Swap(now)
	if before == nil {
		return nil, nil
	}
	return before.changed(now), nil
}

// changed says who came and who went.
func (o *operators) changed(now *operators) (what []string) {
	lines := func(o *operators) map[string]bool {
		list := map[string]bool{}
		for _, l := range o.byCertificate {
			list[l.Name+", "+string(l.Role)+", by a certificate"] = true
		}
		for _, c := range o.byClaim {
			list[c.Name+", "+string(c.Role)+", by "+c.Claim] = true
		}
		return list
	}
	old, new := lines(o), lines(now)
	for _, l := range slices.Sorted(maps.Keys(old)) {
		if !new[l] {
			what = append(what, l+" is no longer one")
		}
	}
	for _, l := range slices.Sorted(maps.Keys(new)) {
		if !old[l] {
			what = append(what, l+" is one")
		}
	}
	return what
}

// openProposals reads what waits for a second operator. What cannot be read keeps
// nobody out, and lets nothing be approved: the RPN starts.
func (a *App) openProposals() {
	p := &a.config.Portal
	if !p.Open() || !p.SecondOperator {
		return
	}
	book, err := proposal.Open(proposal.Options{
		File: a.config.ProposalsFile(), Life: p.Proposal, Operates: func(name string) bool { return a.operators.Load().decides(name) }, Log: a.log, Now: a.now,
	})
	if err != nil {
		a.log.Error("the proposals of the operators cannot be read: nothing is approved at the portal", slog.String("event", "portal_proposals_unreadable"), slog.String("error", err.Error()))
	}
	a.proposals = book
	a.onRelease("proposals of the portal", func(context.Context) error { book.Close(); return nil }) // the next process writes them
}

// openIncidents reads what operators say of incidents. What cannot be read is not said:
// the RPN starts.
func (a *App) openIncidents() {
	if !a.config.Portal.Open() {
		return
	}
	book, err := incident.Open(incident.Options{File: a.config.IncidentsFile(), Log: a.log, Now: a.now})
	if err != nil {
		a.log.Error("what operators said of incidents cannot be read: nothing more is said", slog.String("event", "portal_incidents_unreadable"), slog.String("error", err.Error()))
	}
	a.incidents = book
	a.onRelease("incidents of the portal", func(context.Context) error { book.Close(); return nil }) // the next process writes them
}

// openPages prepares what the pages are made of, for the portal and the console.
func (a *App) openPages() error {
	o := access.Options{
		Register: a.register.Current, Certificates: a.expiries, Waiting: a.waiting, Log: a.log, Now: a.now,
	}
	if a.journal != nil {
		o.Journal = a.config.Journal.Folder
	}
	if a.figures != nil {
		o.Open = func(ctx context.Context) (*store.Store, error) {
			reads := a.figuresOptions()
			reads.Reads = true
			return store.Open(ctx, a.config.Indicators.Store, reads)
		}
	}
	if err := a.openProvider(); err != nil {
		return err
	}
	a.openInvitations()
	a.openProposals()
	a.openIncidents()
	if a.incidents != nil {
		o.Incidents = a.incidents.Of
	}
	if a.proposals != nil {
		o.Proposals = a.proposals.All
	}
	if a.invitations != nil {
		o.Invitations = a.invitations.All
	}
	a.pages = access.New(o)
	a.onStop("pages", func(context.Context) error { a.pages.Close(); return nil })
	return a.readTheme()
}

// readTheme reads the style of the pages, where there is one.
func (a *App) readTheme() error {
	if a.config.Portal.Theme == "" {
		return nil
	}
	theme, err := portal.ReadTheme(a.config.Portal.Theme)
	if err != nil {
		return setup(fmt.Errorf("%s: portal.theme: %w", a.config.File(), err), "docs/operating/portal.md says what a theme holds")
	}
	a.theme = theme
	return nil
}

// pageObservers tell the pages of each exchange, where there are pages: the
// console is there with the figures, and the portal needs them.
func (a *App) pageObservers() []func(*roc.Record) {
	if a.figures == nil {
		return nil
	}
	return []func(*roc.Record){a.pages.Observe}
}

// waiting is what of the annuaire waits for an operator.
func (a *App) waiting() (w access.Waiting) {
	held := a.directory.Held()
	for _, c := range held.Changes {
		w.Moves = append(w.Moves, access.Move{AMC: c.AMC, Service: c.Service, Version: c.Version, From: c.From, To: c.To, Host: c.Host, Since: c.Since, Rejected: c.Rejected})
	}
	for _, q := range held.Quarantined {
		w.Domains = append(w.Domains, access.Domain{AMC: q.AMC, Host: q.Host, Since: q.Since, Last: q.Last, Refused: q.Refused, Rejected: q.Rejected})
	}
	return w
}

// console is the operator's pages on the operator's listener, which says by itself
// who reaches it: the same pages as the portal's, to read. nil: no figures are kept.
func (a *App) console() http.Handler {
	if a.figures == nil {
		return nil
	}
	pages := portal.New(portal.Options{
		Data: a.pages, Base: "/console", Weather: true, Theme: a.theme, Log: a.log, Now: a.now,
		Admit: func(*http.Request) (access.Viewer, error) { return access.Console(), nil },
	})
	return http.StripPrefix("/console", pages)
}

// startPortal opens the listener of the portal.
func (a *App) startPortal() error {
	p := &a.config.Portal
	if !p.Open() {
		return nil
	}
	ln := a.opts.Portal
	if ln == nil {
		var err error
		if ln, err = a.listen("portal.listen", p.Listen); err != nil {
			return err
		}
	}
	a.portalAddr = ln.Addr()
	a.onRelease("the portal's port", func(context.Context) error { ln.Close(); return nil }) // the next process opens it again
	door := a.door()
	pages := portal.New(portal.Options{Data: a.pages, Admit: admit(door), Login: a.login(door), Weather: p.Weather, Theme: a.theme, Decide: a.decide, Proposals: a.proposals, Incidents: a.incidents, Log: a.log, Now: a.now})
	server := portal.NewServer(pages, a.httpLog())
	tls := portal.Listen(ln, tlsconf.Pages(a.portalCertificate(), a.now, a.stores.EtablissementTLS, a.stores.AMCTLS, a.operatorStore))
	a.serve(func() error { return server.Serve(tls) }, http.ErrServerClosed)
	a.onStop("portal", func(ctx context.Context) error {
		if err := server.Shutdown(ctx); err != nil {
			return errors.Join(err, server.Close())
		}
		return nil
	})
	return nil
}

func (a *App) portalCertificate() *identity.Source {
	if own := a.own.Of(config.PortalCertificate); own != nil {
		return own
	}
	return a.own.Of("server")
}

// door decides who comes in, by the same stores, lists and register as an exchange.
func (a *App) door() *access.Door {
	accepts := func(s *trust.Store) access.Verify { return tlsconf.Accepts(s, a.revocation, a.now) }
	return &access.Door{
		Etablissements: accepts(a.stores.EtablissementTLS), AMCs: accepts(a.stores.AMCTLS), Operators: accepts(a.operatorStore),
		Register: a.register.Current,
		Listed: func(id roc.CertificateID) (access.Listed, bool) {
			o, ok := a.operators.Load().byCertificate[id]
			return o, ok
		},
		Operates: func(i access.Identity) bool { return a.operators.Load().operates(i) },
	}
}

// admit says who asks for a page by a certificate.
func admit(door *access.Door) func(*http.Request) (access.Viewer, error) {
	return func(r *http.Request) (access.Viewer, error) {
		if r.TLS == nil {
			return access.Viewer{}, errors.New("the request did not come by TLS")
		}
		return door.Admit(r.TLS.PeerCertificates)
	}
}

// decide does what an operator decides about what the annuaire moved or named.
func (a *App) decide(approve bool, amc roc.NumeroAMC, host, who, why string) (int, error) {
	act := annuaire.Reject
	if approve {
		act = annuaire.Approve
	}
	return a.directory.Decide(annuaire.Act{Act: act, AMC: amc, Host: host, Who: who, Why: why})
}

// decideAlone is decide for the operator's listener: where a second operator is
// demanded, one approves alone by saying so, and that is written down.
func (a *App) decideAlone(approve bool, amc roc.NumeroAMC, host, who, why string, alone bool) (int, error) {
	if approve && a.proposals != nil {
		if !alone {
			return 0, errors.New("a second operator is demanded (portal.second_operator): propose it at the portal, and have another person confirm it there; or give --alone, which is written down")
		}
		who += ", alone"
		a.log.Warn("an operator approves alone what needs a second one", "event", "portal_alone", "amc", string(amc), "host", host, "who", who, "why", why)
	}
	return a.decide(approve, amc, host, who, why)
}

// PortalAddr is where the pages are, once started; nil: there are none.
func (a *App) PortalAddr() net.Addr { return a.portalAddr }
