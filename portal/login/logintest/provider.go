// Package logintest runs a real provider of OpenID Connect (zitadel/oidc) with
// fictitious persons, for the tests of the portal: one that can be told to answer
// wrongly. rpn does not link it.
package logintest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"html/template"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// The client of the provider: the portal.
const (
	ClientID = "rpn-portail"
	Secret   = "secret-fictif"
	ACR      = "eidas1"
)

// A Person is somebody whom the provider knows. All of them are fictitious.
type Person struct {
	Name   string
	Claims map[string]any // of userinfo
	ACR    string         // "": ACR
}

// Faults are what the provider does wrong, of what follows.
type Faults struct {
	Nonce    string
	Audience string
	Issuer   string // of ID tokens
	Expired  bool
	OtherSub bool // userinfo is of somebody else
}

// A Provider is one, on a port of its own, by TLS.
type Provider struct {
	Server *httptest.Server

	mu       sync.Mutex // guards the rest
	portal   string     // the address of its one client
	persons  map[string]Person
	faults   Faults
	requests map[string]*request
	codes    map[string]string
	tokens   map[string]string // of access: the subject
	asked    map[string]int    // by path
	signing  key
	last     string // the code given last
}

// New starts a provider for a portal at that address. Its authority is Server's
// certificate.
func New(t testing.TB, portal string, persons map[string]Person) *Provider {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := &Provider{portal: portal, persons: maps.Clone(persons), requests: map[string]*request{}, codes: map[string]string{}, tokens: map[string]string{}, asked: map[string]int{}, signing: key{private, "clef-1"}}
	mux := http.NewServeMux()
	p.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.asked[r.URL.Path]++
		p.mu.Unlock()
		mux.ServeHTTP(w, r)
	}))
	p.Server.Config.ErrorLog = log.New(io.Discard, "", 0)
	p.Server.StartTLS()
	t.Cleanup(p.Server.Close)
	config := &op.Config{CodeMethodS256: true, AuthMethodPost: true, DefaultLogoutRedirectURI: "/", SupportedScopes: []string{"openid", "scope_all"}}
	rand.Read(config.CryptoKey[:])
	provider, err := op.NewProvider(config, storage{p}, func(bool) (op.IssuerFromRequest, error) {
		return func(r *http.Request) string {
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.faults.Issuer != "" && strings.HasSuffix(r.URL.Path, "/token") {
				return p.faults.Issuer
			}
			return p.Issuer()
		}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	mux.HandleFunc("GET /qui", p.serveWho)
	mux.HandleFunc("POST /qui", p.serveIs(op.AuthCallbackURL(provider)))
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }) // browsers ask
	mux.Handle("/", provider)
	return p
}

// Issuer is the provider, by its name.
func (p *Provider) Issuer() string { return p.Server.URL }

// Moved tells where its client is.
func (p *Provider) Moved(portal string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.portal = portal
}

// Faulty has the provider do wrong, or nothing wrong any more.
func (p *Provider) Faulty(f Faults) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = f
}

// Asked is how often a path was asked for.
func (p *Provider) Asked(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked[path]
}

// LastCode is the code that was given last.
func (p *Provider) LastCode() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

var who = template.Must(template.New("").Parse(`<!DOCTYPE html><html lang="fr"><head><meta charset="utf-8"><title>Fournisseur fictif</title></head><body><main><h1>Qui êtes-vous ?</h1>
<form method="post"><input type="hidden" name="id" value="{{.ID}}">{{range .Persons}}<button name="qui" value="{{.}}">{{.}}</button>{{end}}</form></main></body></html>`))

func (p *Provider) serveWho(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	list := slices.Sorted(maps.Keys(p.persons))
	p.mu.Unlock()
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	who.Execute(w, map[string]any{"ID": r.URL.Query().Get("id"), "Persons": list})
}

func (p *Provider) serveIs(back func(context.Context, string) string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id := r.PostFormValue("id")
		p.mu.Lock()
		if q := p.requests[id]; q != nil {
			q.subject = r.PostFormValue("qui")
			q.acr = p.persons[q.subject].ACR
			if q.acr == "" {
				q.acr = ACR
			}
		}
		p.mu.Unlock()
		http.Redirect(w, r, back(op.ContextWithIssuer(r.Context(), p.Issuer()), id), http.StatusSeeOther)
	}
}

// Authorize goes to the provider as a browser does, says who it is, and returns the
// address that the provider sends it back to.
func (p *Provider) Authorize(t testing.TB, address, person string) *url.URL {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := p.Server.Client()
	browser := &http.Client{Transport: client.Transport, Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if r.URL.Host != strings.TrimPrefix(p.Server.URL, "https://") {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	resp, err := browser.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	id := resp.Request.URL.Query().Get("id")
	if id == "" {
		t.Fatalf("the provider answers %s at %s", resp.Status, resp.Request.URL)
	}
	if resp, err = browser.PostForm(p.Server.URL+"/qui", url.Values{"id": {id}, "qui": {person}}); err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	to, err := resp.Location()
	if err != nil {
		t.Fatalf("the provider does not send back: %s, %v", resp.Status, err)
	}
	return to
}

// Sign signs claims as the provider does its tokens.
func (p *Provider) Sign(t testing.TB, claims string) string {
	t.Helper()
	signer, err := op.SignerFromKey(p.signing)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign([]byte(claims))
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Client is a client of HTTP that knows the authority of the provider.
func (p *Provider) Client() *http.Client {
	c := p.Server.Client()
	transport := c.Transport.(*http.Transport).Clone()
	transport.DisableKeepAlives = true
	transport.TLSClientConfig = &tls.Config{RootCAs: transport.TLSClientConfig.RootCAs, MinVersion: tls.VersionTLS12}
	transport.DialContext = (&net.Dialer{Timeout: 5 * time.Second}).DialContext
	return &http.Client{Transport: transport, Timeout: 10 * time.Second}
}

type key struct {
	private *ecdsa.PrivateKey
	id      string
}

func (k key) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.ES256 }
func (k key) Algorithm() jose.SignatureAlgorithm          { return jose.ES256 }
func (k key) Use() string                                 { return "sig" }
func (k key) Key() any                                    { return k.private }
func (k key) ID() string                                  { return k.id }

type public struct{ key }

func (k public) Key() any { return &k.private.PublicKey }

// A request is one login at the provider.
type request struct {
	*oidc.AuthRequest
	p            *Provider
	id           string
	subject, acr string
}

func (r *request) GetID() string          { return r.id }
func (r *request) GetACR() string         { return r.acr }
func (r *request) GetScopes() []string    { return r.Scopes }
func (r *request) GetAMR() []string       { return nil }
func (r *request) GetAuthTime() time.Time { return time.Now() }
func (r *request) GetClientID() string    { return ClientID }
func (r *request) GetSubject() string     { return r.subject }
func (r *request) Done() bool             { return r.subject != "" }
func (r *request) GetAudience() []string {
	r.p.mu.Lock()
	defer r.p.mu.Unlock()
	if r.p.faults.Audience != "" {
		return []string{r.p.faults.Audience}
	}
	return []string{ClientID}
}

func (r *request) GetNonce() string {
	r.p.mu.Lock()
	defer r.p.mu.Unlock()
	if r.p.faults.Nonce != "" {
		return r.p.faults.Nonce
	}
	return r.Nonce
}

func (r *request) GetCodeChallenge() *oidc.CodeChallenge {
	return &oidc.CodeChallenge{Challenge: r.CodeChallenge, Method: r.CodeChallengeMethod}
}

// A storage is what the provider remembers.
type storage struct{ p *Provider }

func (s storage) lock() func() { s.p.mu.Lock(); return s.p.mu.Unlock }

var errNone = errors.New("there is none")

func (s storage) CreateAuthRequest(_ context.Context, r *oidc.AuthRequest, _ string) (op.AuthRequest, error) {
	defer s.lock()()
	q := &request{AuthRequest: r, p: s.p, id: rand.Text()}
	s.p.requests[q.id] = q
	return q, nil
}

func (s storage) AuthRequestByID(_ context.Context, id string) (op.AuthRequest, error) {
	defer s.lock()()
	if q := s.p.requests[id]; q != nil {
		return q, nil
	}
	return nil, errNone
}

func (s storage) AuthRequestByCode(_ context.Context, code string) (op.AuthRequest, error) {
	defer s.lock()()
	if q := s.p.requests[s.p.codes[code]]; q != nil {
		return q, nil
	}
	return nil, errNone
}

func (s storage) SaveAuthCode(_ context.Context, id, code string) error {
	defer s.lock()()
	s.p.codes[code], s.p.last = id, code
	return nil
}

func (s storage) DeleteAuthRequest(_ context.Context, id string) error {
	defer s.lock()()
	delete(s.p.requests, id)
	return nil
}

func (s storage) CreateAccessToken(_ context.Context, r op.TokenRequest) (string, time.Time, error) {
	defer s.lock()()
	id := rand.Text()
	s.p.tokens[id] = r.GetSubject()
	return id, time.Now().Add(time.Minute), nil
}

func (s storage) CreateAccessAndRefreshTokens(context.Context, op.TokenRequest, string) (string, string, time.Time, error) {
	return "", "", time.Time{}, errNone
}

func (s storage) TokenRequestByRefreshToken(context.Context, string) (op.RefreshTokenRequest, error) {
	return nil, errNone
}
func (s storage) TerminateSession(context.Context, string, string) error { return nil }
func (s storage) RevokeToken(context.Context, string, string, string) *oidc.Error {
	return oidc.ErrInvalidRequest()
}

func (s storage) GetRefreshTokenInfo(context.Context, string, string) (string, string, error) {
	return "", "", op.ErrInvalidRefreshToken
}
func (s storage) SigningKey(context.Context) (op.SigningKey, error) { return s.p.signing, nil }
func (s storage) SignatureAlgorithms(context.Context) ([]jose.SignatureAlgorithm, error) {
	return []jose.SignatureAlgorithm{jose.ES256}, nil
}
func (s storage) KeySet(context.Context) ([]op.Key, error) {
	return []op.Key{public{s.p.signing}}, nil
}

func (s storage) GetClientByClientID(_ context.Context, id string) (op.Client, error) {
	if id != ClientID {
		return nil, errNone
	}
	return client(s), nil
}

func (s storage) AuthorizeClientIDSecret(_ context.Context, id, secret string) error {
	if id != ClientID || secret != Secret {
		return fmt.Errorf("client %q: wrong secret", id)
	}
	return nil
}

func (s storage) SetUserinfoFromScopes(context.Context, *oidc.UserInfo, string, string, []string) error {
	return nil
}

// SetUserinfoFromRequest adds the session of the provider to ID tokens.
func (s storage) SetUserinfoFromRequest(_ context.Context, info *oidc.UserInfo, r op.IDTokenRequest, _ []string) error {
	info.Subject = r.GetSubject()
	info.AppendClaims("sid", "session-"+r.GetSubject())
	return nil
}

func (s storage) SetUserinfoFromToken(_ context.Context, info *oidc.UserInfo, token, subject, _ string) error {
	defer s.lock()()
	if s.p.tokens[token] != subject {
		return errNone
	}
	info.Subject = subject
	if s.p.faults.OtherSub {
		info.Subject = "quelqu'un d'autre"
	}
	for name, v := range s.p.persons[subject].Claims {
		info.AppendClaims(name, v)
	}
	return nil
}

func (s storage) SetIntrospectionFromToken(context.Context, *oidc.IntrospectionResponse, string, string, string) error {
	return errNone
}

func (s storage) GetPrivateClaimsFromScopes(context.Context, string, string, []string) (map[string]any, error) {
	return nil, nil
}

func (s storage) GetKeyByIDAndClientID(context.Context, string, string) (*jose.JSONWebKey, error) {
	return nil, errNone
}

func (s storage) ValidateJWTProfileScopes(context.Context, string, []string) ([]string, error) {
	return nil, errNone
}
func (s storage) Health(context.Context) error { return nil }

// A client is the portal, as the provider knows it.
type client struct{ p *Provider }

func (c client) address() string {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	return c.p.portal
}
func (c client) GetID() string                       { return ClientID }
func (c client) RedirectURIs() []string              { return []string{c.address() + "/connexion/retour"} }
func (c client) PostLogoutRedirectURIs() []string    { return []string{c.address() + "/"} }
func (c client) ApplicationType() op.ApplicationType { return op.ApplicationTypeWeb }
func (c client) AuthMethod() oidc.AuthMethod         { return oidc.AuthMethodBasic }
func (c client) ResponseTypes() []oidc.ResponseType {
	return []oidc.ResponseType{oidc.ResponseTypeCode}
}
func (c client) GrantTypes() []oidc.GrantType        { return []oidc.GrantType{oidc.GrantTypeCode} }
func (c client) LoginURL(id string) string           { return "/qui?id=" + id }
func (c client) AccessTokenType() op.AccessTokenType { return op.AccessTokenTypeBearer }
func (c client) IDTokenLifetime() time.Duration {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	if c.p.faults.Expired {
		return -time.Minute
	}
	return 5 * time.Minute
}
func (c client) DevMode() bool { return false }
func (c client) RestrictAdditionalIdTokenScopes() func([]string) []string {
	return func(s []string) []string { return s }
}

func (c client) RestrictAdditionalAccessTokenScopes() func([]string) []string {
	return func(s []string) []string { return s }
}
func (c client) IsScopeAllowed(scope string) bool     { return scope == "scope_all" }
func (c client) IDTokenUserinfoClaimsAssertion() bool { return true }
func (c client) ClockSkew() time.Duration             { return 0 }
