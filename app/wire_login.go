package app

import (
	"context"
	"crypto/tls"
	"log/slog"
	"time"

	"github.com/piano-roc/rpn/app/admin"
	"github.com/piano-roc/rpn/portal/access"
	"github.com/piano-roc/rpn/portal/invitation"
	"github.com/piano-roc/rpn/portal/login"
)

// openInvitations reads the invitations to the portal. Those that cannot be read let
// nobody in, and keep nobody else out: the RPN starts.
func (a *App) openInvitations() {
	c := &a.config.Portal
	if !c.Open() || !c.OIDC.Open() {
		return
	}
	book, err := invitation.Open(invitation.Options{
		File: a.config.InvitationsFile(), KeyFile: a.config.InvitationsKeyFile(), Life: c.OIDC.Invitation, Access: c.OIDC.Access, Log: a.log, Now: a.now,
	})
	if err != nil {
		a.log.Error("the invitations to the portal cannot be read: none lets anybody in, and none is made", slog.String("event", "portal_invitations_unreadable"), slog.String("error", err.Error()))
	}
	a.invitations = book
	a.onRelease("invitations to the portal", func(context.Context) error { book.Close(); return nil }) // the next process writes them
}

// openProvider reads the authorities of the provider, for `rpn check` too: it is asked
// nothing.
func (a *App) openProvider() error {
	c := &a.config.Portal
	if !c.Open() || !c.OIDC.Open() || c.OIDC.CA == "" {
		return nil
	}
	return a.readPool(&a.providerRoots, "portal.oidc.ca", c.OIDC.CA, "give the authorities of the provider, in PEM")
}

// checkProvider says how the provider of identities does. The RPN never needs it:
// certificates let in, and exchanges go on.
func (a *App) checkProvider(time.Time) admin.Health {
	h := admin.Health{Name: "portal_provider", OK: true, Detail: "not configured: certificates alone let in"}
	provider := a.provider.Load()
	if provider == nil {
		return h
	}
	s := provider.Provider()
	switch {
	case s.Err != nil:
		h.Degraded, h.Detail = true, "it does not answer, or answers badly: certificates alone let in"
		h.LastError = s.Failed.UTC().Format(time.RFC3339) + " " + s.Err.Error()
	case s.Answered.IsZero():
		h.Detail = "not asked yet: nobody has come in by it"
	default:
		h.Detail = "it answers"
	}
	if !s.Answered.IsZero() {
		h.LastSuccess = s.Answered.UTC().Format(time.RFC3339)
	}
	return h
}

// providerFailures is how often the provider of identities failed, for the metrics.
func (a *App) providerFailures() uint64 {
	provider := a.provider.Load()
	if provider == nil {
		return 0
	}
	return provider.Provider().Failures
}

// providerTime bounds one question to the provider of identities: its keys are read
// by a context that has no end of its own.
const providerTime = 8 * time.Second

// login is how persons come in by OpenID Connect; nil: they do not. The provider is
// asked nothing yet.
func (a *App) login(door *access.Door) *login.Login {
	if a.invitations == nil {
		return nil
	}
	c := &a.config.Portal.OIDC
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: a.providerRoots}
	o := login.Options{
		Name: c.Name, Issuer: c.Issuer, Discovery: c.Discovery, ClientID: c.ClientID, Secret: c.Secret(), Portal: a.config.Portal.Address,
		Scopes: c.Scopes, ACR: c.ACR, Prompt: string(c.Prompt), MaxAge: c.MaxAge, Idle: c.Idle, Longest: c.Longest,
		Client: a.written().Client(config, providerTime), Book: a.invitations, Admit: door.Person, Log: a.log, Now: a.now,
	}
	for _, s := range c.Structures {
		o.Structures = append(o.Structures, login.StructureClaim{Claim: s.Claim, Holds: string(s.Holds)})
	}
	o.Operators = func() []login.OperatorClaim { return a.operators.Load().byClaim }
	l := login.New(o)
	a.provider.Store(l)
	return l
}

// invite makes an invitation to the portal, and returns its link.
func (a *App) invite(structure, amc, label, by string) (string, error) {
	party, err := invitation.ParseParty(structure, amc)
	if err != nil {
		return "", err
	}
	viewer, err := a.door().Person(access.Identity{Party: party}, "")
	if err != nil {
		return "", err
	}
	i, link, err := a.invitations.Make(party, label, by)
	if err != nil {
		return "", err
	}
	return "invitation " + i.ID + " to the pages of " + viewer.Name() + ", until " + i.Ends.Format(time.RFC3339) + ":\n" + login.LinkOf(a.config.Portal.Address, link), nil
}

// revokeInvitation ends an invitation to the portal.
func (a *App) revokeInvitation(id, by string) error {
	_, err := a.invitations.Revoke(id, by)
	return err
}

// An invitationView is an invitation as commands read it, with what it is now.
type invitationView struct {
	invitation.Invitation
	State invitation.State `json:"state"`
}

func (a *App) invitationViews() any {
	list := []invitationView{}
	for _, i := range a.invitations.All() {
		list = append(list, invitationView{i, i.StateAt(a.now())})
	}
	return list
}

// portalActs is what operators do about invitations; nil: there are none.
func (a *App) portalActs() *admin.Portal {
	if a.invitations == nil {
		return nil
	}
	return &admin.Portal{Invitations: a.invitationViews, Invite: a.invite, Revoke: a.revokeInvitation}
}
