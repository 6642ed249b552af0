package login

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/piano-roc/rpn/portal/access"
	"github.com/piano-roc/rpn/portal/invitation"
)

// ReturnPath is where the provider sends a browser back to.
const ReturnPath = "/connexion/retour"

// LogoutPath is where the provider says that a session of its own is over.
const LogoutPath = "/connexion/fin"

// A pending login is one browser on its way to the provider and back. It is in the
// cookie of that browser, sealed: no number of others takes its room.
type pending struct {
	State    string    `json:"s"`
	Nonce    string    `json:"n"`
	Verifier string    `json:"v"`
	Link     string    `json:"l,omitzero"` // of an invitation; "": none
	Began    time.Time `json:"b"`
}

// Begin begins a login for a browser: it returns where to send it, and the cookie that
// binds the way back to it.
func (l *Login) Begin(ctx context.Context, link string) (string, *http.Cookie, error) {
	if link != "" {
		if _, err := l.Invited(link); err != nil {
			return "", nil, err
		}
	}
	var m *metadata
	err := l.ask(ctx, l.asking, func(ctx context.Context) (err error) { m, err = l.provider.get(ctx); return err })
	if err != nil {
		return "", nil, l.failed(err)
	}
	p := &pending{State: newSecret(), Nonce: newSecret(), Verifier: oauth2.GenerateVerifier(), Link: link, Began: l.o.Now()}
	sealed, err := l.seal(p)
	if err != nil {
		return "", nil, err
	}
	more := []oauth2.AuthCodeOption{oidc.Nonce(p.Nonce), oauth2.S256ChallengeOption(p.Verifier), oauth2.SetAuthURLParam("acr_values", strings.Join(l.o.ACR, " "))}
	if l.o.Prompt != "" {
		more = append(more, oauth2.SetAuthURLParam("prompt", l.o.Prompt))
	}
	if l.o.MaxAge > 0 {
		more = append(more, oauth2.SetAuthURLParam("max_age", strconv.Itoa(int(l.o.MaxAge.Seconds()))))
	}
	return m.config.AuthCodeURL(p.State, more...), cookie(PendingCookie, sealed, pendingLife), nil
}

// sealedFor is what a sealed login is for, and nothing else.
var sealedFor = []byte("rpn pending login 1")

func (l *Login) seal(p *pending) (string, error) {
	text, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(l.sealer.Seal(nil, nil, text, sealedFor)), nil
}

// unseal returns the pending login of a browser; nil: there is none, or it is too old.
func (l *Login) unseal(sealed string) *pending {
	raw, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil {
		return nil
	}
	text, err := l.sealer.Open(nil, nil, raw, sealedFor)
	if err != nil {
		return nil
	}
	p := new(pending)
	if json.Unmarshal(text, p) != nil || l.o.Now().Sub(p.Began) >= pendingLife {
		return nil
	}
	return p
}

// serves reports whether a pending login has let nobody in yet, and has it serve no
// more. Only who the provider has identified takes room here.
func (l *Login) serves(p *pending) bool {
	now, d := l.o.Now(), digestOf(p.State)
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, served := l.served[d]; served {
		return false
	}
	var oldest digest
	for k, at := range l.served {
		if now.Sub(at) >= pendingLife {
			delete(l.served, k)
		} else if first, is := l.served[oldest]; !is || at.Before(first) {
			oldest = k
		}
	}
	if len(l.served) >= maxServed { // the provider takes a code once
		delete(l.served, oldest)
	}
	l.served[d] = p.Began
	return true
}

// Forget is the cookie that removes the one of a pending login.
func Forget() *http.Cookie { return cookie(PendingCookie, "", 0) }

// Finish ends a login: the browser is back from the provider. It returns the cookie
// of a new session; a session that the browser had ends.
func (l *Login) Finish(r *http.Request) (*http.Cookie, error) {
	c, err := l.finish(r)
	if err != nil {
		if left, is := l.refusals.line(l.o.Now()); is {
			l.o.Log.Warn("a login at the portal failed", "event", "portal_login_refused", "peer", r.RemoteAddr, "error", err.Error(), "others", left)
		}
	}
	return c, err
}

func (l *Login) finish(r *http.Request) (*http.Cookie, error) {
	q := r.URL.Query()
	p := l.unseal(sealedIn(r))
	if p == nil {
		return nil, refuse("Cette connexion a pris trop de temps, ou n'a pas commencé ici. Recommencez.", "no login is pending for this browser")
	}
	if !one(q, "state") || subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(p.State)) != 1 {
		return nil, refuse("Ce retour n'est pas celui de la connexion que vous avez commencée. Recommencez.", "the state is not that of the browser")
	}
	if iss := q.Get("iss"); iss != "" && iss != l.o.Issuer {
		return nil, refuse("Ce retour n'est pas de "+l.o.Name+".", "the return is of another issuer")
	}
	if q.Get("error") != "" {
		return nil, refuse(l.o.Name+" n'a pas permis la connexion, ou vous l'avez abandonnée.", "the provider answers with an error")
	}
	if !one(q, "code") {
		return nil, refuse("Ce retour ne dit rien. Recommencez.", "there is no code")
	}
	var who *verified
	err := l.ask(r.Context(), l.asking, func(ctx context.Context) (err error) { who, err = l.verify(ctx, q.Get("code"), p); return err })
	if err != nil {
		return nil, l.failed(err)
	}
	l.provider.went(nil)
	if !l.serves(p) {
		return nil, refuse("Cette connexion a déjà servi. Recommencez.", "the login has let somebody in already")
	}
	return l.enter(r, who, p.Link)
}

func one(q url.Values, name string) bool { return len(q[name]) == 1 && q[name][0] != "" }

// failed is an error about the provider, as a Problem.
func (l *Login) failed(err error) error {
	var problem *Problem
	if errors.As(err, &problem) {
		return err
	}
	l.provider.went(err)
	l.o.Log.Error("the provider of identities fails", "event", "portal_provider_failed", "error", brief(err).Error())
	return l.unavailable(brief(err))
}

// A verified person is who the provider says, and what it says of it.
type verified struct {
	person, sid string
	claims      claims
}

// verify exchanges the code, and checks all that comes of it.
func (l *Login) verify(ctx context.Context, code string, p *pending) (*verified, error) {
	m, err := l.provider.get(ctx)
	if err != nil {
		return nil, err
	}
	ctx = oidc.ClientContext(ctx, m.client)
	token, err := m.config.Exchange(ctx, code, oauth2.VerifierOption(p.Verifier))
	if err != nil {
		return nil, l.exchangeFailed(err)
	}
	raw, _ := token.Extra("id_token").(string)
	if raw == "" || len(raw) > maxTokenBytes {
		return nil, l.wrong("there is no ID token, or it is too long")
	}
	id, err := m.verifier.Verify(ctx, raw)
	if err != nil {
		return nil, l.wrong(cutText(err.Error()))
	}
	var said struct {
		ACR string `json:"acr"`
		AZP string `json:"azp"`
		SID string `json:"sid"`

		AuthTime int64 `json:"auth_time"`
	}
	if err := id.Claims(&said); err != nil {
		return nil, l.wrong("the ID token cannot be read")
	}
	switch {
	case subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(p.Nonce)) != 1:
		return nil, l.wrong("the nonce is not that of the browser")
	case id.Subject == "" || len(id.Subject) > 255:
		return nil, l.wrong("the ID token names nobody")
	case len(id.Audience) != 1, said.AZP != "" && said.AZP != l.o.ClientID: // another audience is nobody that this trusts
		return nil, l.wrong("the ID token was given to another client")
	case !slices.Contains(l.o.ACR, said.ACR):
		return nil, &Problem{Text: "Vous ne vous êtes pas identifié d'une manière assez sûre pour ces pages. Recommencez avec votre carte ou votre e-CPS.", Cause: errors.New("the acr is none of those demanded")}
	case l.o.MaxAge > 0 && (said.AuthTime <= 0 || l.o.Now().Sub(time.Unix(said.AuthTime, 0)) > l.o.MaxAge+skew || time.Unix(said.AuthTime, 0).After(l.o.Now().Add(skew))):
		return nil, &Problem{Text: "Vous vous êtes identifié auprès de " + l.o.Name + " il y a trop longtemps. Recommencez, en vous identifiant de nouveau.", Cause: errors.New("auth_time is missing, or older than max_age")}
	case id.AccessTokenHash != "" && id.VerifyAccessToken(token.AccessToken) != nil:
		return nil, l.wrong("the access token is not that of the ID token")
	}
	v := &verified{person: l.o.Book.Person(l.o.Issuer, id.Subject), sid: said.SID, claims: claims{}}
	if len(l.o.Structures)+len(l.o.Operators()) == 0 {
		return v, nil
	}
	return v, l.readClaims(ctx, m, id, token, v.claims)
}

// readClaims reads the claims of the ID token and, where the provider has them, of
// userinfo.
func (l *Login) readClaims(ctx context.Context, m *metadata, id *oidc.IDToken, token *oauth2.Token, into claims) error {
	var object json.RawMessage
	if err := id.Claims(&object); err != nil {
		return l.wrong("the ID token cannot be read")
	}
	if err := into.merge(object); err != nil {
		return l.wrong("the ID token cannot be read")
	}
	if m.provider.UserInfoEndpoint() == "" {
		return nil
	}
	info, err := m.provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		var far *url.Error
		if errors.As(err, &far) {
			return err
		}
		return errors.New("userinfo was not answered")
	}
	if info.Subject != id.Subject {
		return l.wrong("userinfo is of another subject")
	}
	if err := info.Claims(&object); err != nil || into.merge(object) != nil {
		return l.wrong("userinfo cannot be read")
	}
	return nil
}

// exchangeFailed tells a code that the provider refuses from a provider that fails.
func (l *Login) exchangeFailed(err error) error {
	var answered *oauth2.RetrieveError
	if errors.As(err, &answered) && answered.ErrorCode == "invalid_grant" {
		return l.wrong(brief(err).Error())
	}
	return err
}

func (l *Login) wrong(cause string) error {
	return &Problem{Text: "La réponse de " + l.o.Name + " ne peut pas être acceptée. Recommencez ; si cela se répète, prévenez l'exploitant du RPN.", Cause: errors.New(cause)}
}

// enter begins a session for a verified person, who may have followed the link of
// an invitation.
func (l *Login) enter(r *http.Request, who *verified, link string) (*http.Cookie, error) {
	first, by := "", "claims"
	if link != "" {
		if _, err := l.Invited(link); err != nil { // what opens nothing now is not used up
			return nil, err
		}
		i, err := l.o.Book.Use(link, who.person)
		if err != nil {
			return nil, notInvited(err)
		}
		first, by = i.ID, "invitation"
	}
	grants := l.identities(who.person, who.claims, first)
	if len(grants) == 0 {
		return nil, &Problem{Text: "Vous êtes identifié, mais aucun établissement ni organisme du RPN ROC ne vous est ouvert. Demandez une invitation à qui tient le certificat de votre établissement ou organisme, ou à l'ANS.", Cause: errors.New("person " + who.person + ": neither its claims nor an invitation open anything")}
	}
	s := &session{person: who.person, sid: who.sid, grants: grants}
	secret, err := l.begin(s)
	if err != nil {
		return nil, err
	}
	if old := secretIn(r, SessionCookie); old != "" {
		l.end(digestOf(old), "another login")
	}
	if g := grants[0]; g.invitation != "" {
		by = "invitation"
	} else if g.identity.Operator.Role != "" {
		by = "operator"
	}
	l.o.Log.Info("a person comes in by OpenID Connect", "event", "portal_login", "person", s.person, "session", s.key, "who", grants[0].name, "by", by)
	return cookie(SessionCookie, secret, l.o.Longest), nil
}

// notInvited says, for people, why an invitation lets nobody in.
func notInvited(err error) *Problem {
	text := "Cette invitation n'est pas de ce portail, ou son adresse est incomplète."
	switch {
	case errors.Is(err, invitation.ErrUsed):
		text = "Cette invitation a déjà servi. Si c'est à vous, connectez-vous sans elle."
	case errors.Is(err, invitation.ErrOver):
		text = "Cette invitation a pris fin, ou a été révoquée. Demandez-en une autre."
	case errors.Is(err, invitation.ErrClosed):
		text = "Les invitations ne peuvent pas être lues pour le moment. Recommencez plus tard."
	}
	return &Problem{Text: text, Cause: err, Later: errors.Is(err, invitation.ErrClosed)}
}

// Invited says to what a link invites, where it may be used.
func (l *Login) Invited(link string) (access.Viewer, error) {
	i, err := l.o.Book.Check(link)
	if err != nil {
		return access.Viewer{}, notInvited(err)
	}
	v, err := l.o.Admit(access.Identity{Party: i.Party}, "")
	return v, asProblem(err)
}

// asProblem has a refusal of the register read as a problem of the login.
func asProblem(err error) error {
	var refusal *access.Refusal
	if errors.As(err, &refusal) {
		return &Problem{Text: refusal.Text, Cause: err}
	}
	return err
}

// EndURL is where a person signs out of the provider too; "": nowhere. It bears no
// token: the provider may ask the person to confirm. It asks nobody: whoever came in
// has had the metadata read.
func (l *Login) EndURL() string {
	l.provider.mu.Lock()
	m := l.provider.known
	l.provider.mu.Unlock()
	if m == nil || m.end == "" {
		return ""
	}
	u, err := url.Parse(m.end)
	if err != nil {
		return ""
	}
	q := u.Query()
	q.Set("client_id", l.o.ClientID)
	q.Set("post_logout_redirect_uri", l.o.Portal+"/")
	u.RawQuery = q.Encode()
	return u.String()
}

// LinkOf is the address of an invitation at that portal: what it bears is known to
// whom it is given, and to nobody else.
func LinkOf(portal, link string) string { return portal + "/invitation?jeton=" + link }

// LinkOf is LinkOf at this portal.
func (l *Login) LinkOf(link string) string { return LinkOf(l.o.Portal, link) }
