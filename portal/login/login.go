// Package login lets persons in by OpenID Connect, beside client certificates: the
// provider says who somebody is, a table of the configuration and the invitations
// say what that one may read as, and a session of this server remembers it. No
// token leaves this server: the browser has a cookie that means nothing.
//
// Everything fails closed. What a session reads is asked of the register and of
// the invitations at each request: who is put out is out at once.
package login

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/piano-roc/rpn/portal/access"
	"github.com/piano-roc/rpn/portal/invitation"
)

// Options are what a Login needs. Every field is required, but where it says
// otherwise.
type Options struct {
	Name string // of the provider, for people: "Pro Santé Connect"

	Issuer    string
	Discovery string // where its metadata are; "": where OpenID Connect Discovery says
	ClientID  string
	Secret    string
	Portal    string   // the address of the portal, without a path: "https://portail.example"
	Scopes    []string // openid is one of them
	ACR       []string // one of them is demanded: none lets nobody in

	Prompt string        // what the provider is to ask of the person: "login"; "": as it likes
	MaxAge time.Duration // since the person identified itself there; 0: any

	Structures []StructureClaim       // which claims name a structure
	Operators  func() []OperatorClaim // which values make an operator, now

	Idle, Longest time.Duration // of a session

	Client *http.Client // goes by the filter of addresses, and is bounded in time
	Book   *invitation.Book
	Admit  func(access.Identity, string) (access.Viewer, error) // access.Door's Person

	Log *slog.Logger
	Now func() time.Time
}

// The bounds.
const (
	pendingLife   = 10 * time.Minute // from the login page to the return
	maxSealed     = 2 << 10          // of the cookie of a login
	maxServed     = 4096             // logins that have let somebody in, and are not too old to do it again
	maxSessions   = 10_000
	maxOfPerson   = 5
	maxIdentities = 50 // that one person may choose from
	maxAsking     = 8  // persons for whom the provider is asked at once
	maxEnding     = 2  // logouts for which it is
	askTime       = 8 * time.Second
	keepJTI       = 10 * time.Minute // how old a logout token may be, and how long it is remembered
	maxJTI        = 4096
)

// The cookies. Their prefix has a browser refuse them from anything but this very
// host, by TLS.
const (
	SessionCookie = "__Host-rpn-session"
	PendingCookie = "__Host-rpn-connexion"
)

// A Login lets persons in. Safe for concurrent use.
type Login struct {
	o        Options
	provider provider
	asking   chan struct{}
	ending   chan struct{} // logouts of the provider, which no login keeps out

	sealer   cipher.AEAD // of the logins that are pending; its key is of this process
	refusals refusals

	mu       sync.Mutex           // guards the rest
	served   map[digest]time.Time // logins that have let somebody in, by their state, with when they began
	sessions map[digest]*session
	jti      map[string]time.Time // logout tokens that came, until they are too old to be taken
}

// New returns a Login. It asks the provider nothing.
func New(o Options) *Login {
	var key [32]byte
	rand.Read(key[:])
	block, _ := aes.NewCipher(key[:]) // no error: 32 bytes are a key, and GCM takes AES
	sealer, _ := cipher.NewGCMWithRandomNonce(block)
	return &Login{
		sealer: sealer,
		o:      o, provider: provider{o: &o}, asking: make(chan struct{}, maxAsking), ending: make(chan struct{}, maxEnding),
		served: map[digest]time.Time{}, sessions: map[digest]*session{}, jti: map[string]time.Time{},
	}
}

// Name is the name of the provider, for people.
func (l *Login) Name() string { return l.o.Name }

// Book is the invitations.
func (l *Login) Book() *invitation.Book { return l.o.Book }

// A Problem is why nobody came in; its text is French, for who reads the page.
type Problem struct {
	Text  string
	Cause error // for the log
	Later bool  // the same may succeed later: it is the provider's, or too many at once
}

func (p *Problem) Error() string {
	if p.Cause == nil {
		return p.Text
	}
	return p.Cause.Error()
}

func (p *Problem) Unwrap() error { return p.Cause }

func refuse(text, cause string) *Problem { return &Problem{Text: text, Cause: errors.New(cause)} }

func (l *Login) unavailable(err error) *Problem {
	return &Problem{Text: l.o.Name + " ne répond pas, ou répond mal. Recommencez dans quelques minutes ; les certificats, eux, permettent d'entrer.", Cause: err, Later: true}
}

// ask has fn ask the provider, within the bounds of time and of places.
func (l *Login) ask(ctx context.Context, places chan struct{}, fn func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	select {
	case places <- struct{}{}:
		defer func() { <-places }()
		return fn(ctx)
	case <-ctx.Done():
		return &Problem{Text: "Trop de personnes se connectent à la fois. Recommencez dans quelques secondes.", Cause: errors.New("too many logins at once"), Later: true}
	}
}

// identities are what a person may read as, by its claims and its invitations: those
// that the register admits now.
func (l *Login) identities(person string, claims claims, first string) (list []grant) {
	var all []grant
	for _, o := range l.o.Operators() {
		if claims.has(o.Claim, o.Value) {
			all = append(all, grant{identity: access.Identity{Operator: access.Listed{Name: o.Name, Role: o.Role}, Claim: o.Ref()}})
		}
	}
	for _, i := range l.o.Book.Of(person) {
		all = append(all, grant{identity: access.Identity{Party: i.Party}, invitation: i.ID})
	}
	for _, c := range l.o.Structures {
		for _, s := range c.read(claims) {
			all = append(all, grant{identity: access.Identity{Party: invitation.Party{Structure: s}}})
		}
	}
	// Who follows an invitation wants what it opens.
	if i := slices.IndexFunc(all, func(g grant) bool { return first != "" && g.invitation == first }); i > 0 {
		all = slices.Insert(slices.Delete(all, i, i+1), 0, all[i])
	}
	seen := map[string]bool{}
	for _, g := range all {
		v, err := l.o.Admit(g.identity, "")
		if err != nil || len(list) == maxIdentities {
			continue
		}
		g.name = v.Name()
		if v.Kind() == access.Operator {
			g.name += ", " + string(v.Role())
		}
		// Two claims of one establishment, of its EJ and of a site, are one choice.
		id := string(rune(v.Kind())) + v.Home() + "\n" + g.name
		if !seen[id] {
			seen[id] = true
			list = append(list, g)
		}
	}
	return list
}
