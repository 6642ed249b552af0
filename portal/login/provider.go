package login

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// The bounds of what is asked of the provider.
const (
	maxAnswer     = 512 << 10
	metadataLife  = time.Hour       // then they are read again; the old ones serve while that fails
	afterFailure  = 5 * time.Second // for so long a provider that failed is not asked again
	keysAtMost    = 5 * time.Second // its keys are read at most so often, whoever sends tokens
	maxTokenBytes = 32 << 10
)

// A provider is the far side, known when it is first needed.
type provider struct {
	o *Options

	mu      sync.Mutex // guards the rest
	known   *metadata
	read    time.Time     // when the known ones were
	reading chan struct{} // closed when those that are being read are there, or not; nil: none are
	failed  time.Time
	err     error

	renewed  time.Time // when reading them last failed
	last     error     // of the last question, of any kind
	answered time.Time // when a question was last answered well
	failures uint64
}

// A Provider is how the provider of identities does, by the last question.
type Provider struct {
	Answered time.Time // when it last answered well; zero: never
	Failed   time.Time
	Err      error // of the last question; nil: it answered well, or was not asked
	Failures uint64
}

// Provider says how the provider does: it is asked nothing.
func (l *Login) Provider() Provider {
	p := &l.provider
	p.mu.Lock()
	defer p.mu.Unlock()
	s := Provider{Answered: p.answered, Failed: p.failed, Failures: p.failures}
	if p.failed.After(p.answered) && p.last != nil {
		s.Err = brief(p.last)
	}
	return s
}

// went notes how a question went.
func (p *provider) went(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wentLocked(err)
}

func (p *provider) wentLocked(err error) {
	if p.last = err; err == nil {
		p.answered = p.o.Now()
		return
	}
	p.failures++
	p.failed = p.o.Now()
}

// metadata are what a provider says of itself, and what follows from it.
type metadata struct {
	provider *oidc.Provider
	verifier *oidc.IDTokenVerifier
	config   oauth2.Config
	end      string // end_session_endpoint; "": none
	client   *http.Client
}

// get returns the provider: as it is known, or once its metadata are read. They are
// read for all who wait, in their own time: one who leaves ends it for nobody.
func (p *provider) get(ctx context.Context) (*metadata, error) {
	p.mu.Lock()
	now := p.o.Now()
	fresh := p.known != nil && now.Sub(p.read) < metadataLife
	if !fresh && p.reading == nil && (p.err == nil || now.Sub(p.renewed) >= afterFailure) {
		p.reading = make(chan struct{})
		go p.renew(p.reading)
	}
	known, reading, err := p.known, p.reading, p.err
	p.mu.Unlock()
	switch {
	case known != nil: // older ones serve meanwhile
		return known, nil
	case reading == nil:
		return nil, err
	}
	select {
	case <-reading:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil {
		return nil, p.err
	}
	return p.known, nil
}

// renew reads the metadata, and closes done.
func (p *provider) renew(done chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	m, err := p.discover(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wentLocked(err)
	if p.err = err; err != nil {
		p.renewed = p.failed
	} else {
		p.known, p.read = m, p.o.Now()
	}
	p.reading = nil
	close(done)
}

// discovered are the metadata that are used.
type discovered struct {
	Issuer      string   `json:"issuer"`
	Auth        string   `json:"authorization_endpoint"`
	Token       string   `json:"token_endpoint"`
	UserInfo    string   `json:"userinfo_endpoint"`
	Keys        string   `json:"jwks_uri"`
	EndSession  string   `json:"end_session_endpoint"`
	Algorithms  []string `json:"id_token_signing_alg_values_supported"`
	Challenges  []string `json:"code_challenge_methods_supported"`
	AuthMethods []string `json:"token_endpoint_auth_methods_supported"`
}

// algorithms are those of an ID token that are taken: of a key pair, so that nobody
// who can verify one can make one.
var algorithms = []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA}

// discover reads the metadata. go-oidc reads them at the standard address alone, and
// Pro Santé Connect has them at another, so this asks, and go-oidc does the rest.
func (p *provider) discover(ctx context.Context) (*metadata, error) {
	client := *p.o.Client
	answers := &bounded{next: client.Transport, now: p.o.Now}
	client.Transport = answers
	at := p.o.Discovery
	if at == "" {
		at = strings.TrimSuffix(p.o.Issuer, "/") + "/.well-known/openid-configuration"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the metadata of the provider: %s", resp.Status)
	}
	var d discovered
	if err := json.NewDecoder(resp.Body).Decode(&d); err != nil {
		return nil, fmt.Errorf("the metadata of the provider: %w", err)
	}
	if err := p.check(&d); err != nil {
		return nil, fmt.Errorf("the metadata of the provider: %w", err)
	}
	answers.keys = d.Keys
	var taken []string
	for _, a := range d.Algorithms {
		if slices.Contains(algorithms, a) {
			taken = append(taken, a)
		}
	}
	if len(taken) == 0 {
		return nil, errors.New("the metadata of the provider name no algorithm of a key pair")
	}
	ctx = oidc.ClientContext(context.Background(), &client) // its keys are read later, by other requests
	m := &metadata{client: &client, end: d.EndSession}
	m.provider = (&oidc.ProviderConfig{IssuerURL: d.Issuer, AuthURL: d.Auth, TokenURL: d.Token, UserInfoURL: d.UserInfo, JWKSURL: d.Keys, Algorithms: taken}).NewProvider(ctx)
	m.verifier = m.provider.VerifierContext(ctx, &oidc.Config{ClientID: p.o.ClientID, SupportedSigningAlgs: taken, Now: p.o.Now})
	m.config = oauth2.Config{ClientID: p.o.ClientID, ClientSecret: p.o.Secret, RedirectURL: p.o.Portal + ReturnPath, Scopes: p.o.Scopes, Endpoint: m.provider.Endpoint()}
	m.config.Endpoint.AuthStyle = oauth2.AuthStyleInHeader
	if len(d.AuthMethods) > 0 && !slices.Contains(d.AuthMethods, "client_secret_basic") {
		m.config.Endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	return m, nil
}

// check refuses metadata of another provider, and addresses without TLS: tokens
// and the secret go there.
func (p *provider) check(d *discovered) error {
	if d.Issuer != p.o.Issuer {
		return fmt.Errorf("they are of the issuer %.100q, not of %q", d.Issuer, p.o.Issuer)
	}
	for name, at := range map[string]string{"authorization_endpoint": d.Auth, "token_endpoint": d.Token, "jwks_uri": d.Keys, "userinfo_endpoint": d.UserInfo, "end_session_endpoint": d.EndSession} {
		if at == "" && (name == "userinfo_endpoint" || name == "end_session_endpoint") {
			continue
		}
		if u, err := url.Parse(at); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
			return fmt.Errorf("%s is not an https URL", name)
		}
	}
	if len(d.Challenges) > 0 && !slices.Contains(d.Challenges, "S256") {
		return errors.New("the provider does not know the S256 challenge of PKCE")
	}
	return nil
}

// A bounded transport cuts answers that are too long, and reads the keys of the
// provider at most every few seconds: a token with an unknown key, which anybody can
// send, has them read again.
type bounded struct {
	next http.RoundTripper
	now  func() time.Time
	keys string // their URL; "": not known yet

	mu   sync.Mutex
	last time.Time
}

// RoundTrip implements http.RoundTripper.
func (b *bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	if b.keys != "" && r.URL.String() == b.keys {
		b.mu.Lock()
		now := b.now()
		early := now.Sub(b.last) < keysAtMost
		if !early {
			b.last = now
		}
		b.mu.Unlock()
		if early {
			return nil, errors.New("the keys of the provider were read a moment ago")
		}
	}
	resp, err := b.next.RoundTrip(r)
	if err == nil {
		resp.Body = &cut{resp.Body, io.LimitReader(resp.Body, maxAnswer)}
	}
	return resp, err
}

type cut struct {
	io.Closer
	io.Reader
}

// brief is an error of the provider as the log has it: never what it answered, which
// may name somebody.
func brief(err error) error {
	var answered *oauth2.RetrieveError
	if errors.As(err, &answered) {
		return fmt.Errorf("the token endpoint answered %s, error %.60q", answered.Response.Status, answered.ErrorCode)
	}
	var far *url.Error
	if errors.As(err, &far) {
		return errors.New(far.Err.Error())
	}
	return errors.New(cutText(err.Error()))
}

func cutText(s string) string {
	if len(s) > 200 {
		return s[:200] + "..."
	}
	return s
}
