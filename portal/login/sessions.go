package login

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/piano-roc/rpn/portal/access"
)

// A digest is what is kept of a secret of a cookie: who reads this memory has not
// the cookie.
type digest [sha256.Size]byte

func digestOf(secret string) digest { return sha256.Sum256([]byte(secret)) }

func newSecret() string {
	var b [32]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// A grant is one thing that a session may read as.
type grant struct {
	identity   access.Identity
	invitation string // its id; "": by claims
	name       string // for people
}

// A session is one person in one browser.
type session struct {
	key    string // names it in the log and in forms, and opens nothing
	person string // a pseudonym
	sid    string // the provider's own session; "": it said none

	grants []grant
	chosen int

	began, seen time.Time
}

// over reports whether the session has lived its life.
func (l *Login) over(s *session, now time.Time) bool {
	return now.Sub(s.seen) >= l.o.Idle || now.Sub(s.began) >= l.o.Longest
}

// cookie makes a cookie of ours; with no value it removes it. Lax, not Strict: the
// return from the provider, and a link in a letter, are navigations from another
// site. What changes anything is a POST, which bears a token of its own.
func cookie(name, value string, life time.Duration) *http.Cookie {
	c := &http.Cookie{Name: name, Value: value, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: int(life.Seconds())}
	if value == "" {
		c.MaxAge = -1
	}
	return c
}

// secretIn is the value of a cookie of a request: of the only one of that name.
func secretIn(r *http.Request, name string) string {
	if all := r.CookiesNamed(name); len(all) == 1 && len(all[0].Value) <= 64 {
		return all[0].Value
	}
	return ""
}

// sealedIn is the sealed login of a request: of the only cookie of that name.
func sealedIn(r *http.Request) string {
	if all := r.CookiesNamed(PendingCookie); len(all) == 1 && len(all[0].Value) <= maxSealed {
		return all[0].Value
	}
	return ""
}

// begin begins a session, under a new secret. The oldest of a person who has many
// ends.
func (l *Login) begin(s *session) (secret string, err error) {
	now := l.o.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	var own []digest
	for d, other := range l.sessions {
		switch {
		case l.over(other, now):
			delete(l.sessions, d)
		case other.person == s.person:
			own = append(own, d)
		}
	}
	slices.SortFunc(own, func(x, y digest) int {
		return cmp.Or(l.sessions[x].began.Compare(l.sessions[y].began), cmp.Compare(l.sessions[x].key, l.sessions[y].key))
	})
	for len(own) >= maxOfPerson {
		delete(l.sessions, own[0])
		own = own[1:]
	}
	if len(l.sessions) >= maxSessions {
		return "", &Problem{Text: "Trop de personnes sont connectées. Recommencez plus tard.", Cause: errors.New("too many sessions"), Later: true}
	}
	var key [16]byte
	rand.Read(key[:])
	secret = newSecret()
	s.key, s.began, s.seen = hex.EncodeToString(key[:]), now, now
	l.sessions[digestOf(secret)] = s
	return secret, nil
}

// Viewer says who a request is of, by its session; the public without one. Of a
// session whose grant is no more, it is the end.
func (l *Login) Viewer(r *http.Request) (access.Viewer, error) {
	v, _, err := l.current(r)
	return v, err
}

// current is the viewer, and a copy of the session; nil: there is none.
func (l *Login) current(r *http.Request) (access.Viewer, *session, error) {
	secret := secretIn(r, SessionCookie)
	if secret == "" {
		return access.Viewer{}, nil, nil
	}
	d, now := digestOf(secret), l.o.Now()
	l.mu.Lock()
	s, known := l.sessions[d]
	if known && l.over(s, now) {
		delete(l.sessions, d)
		known = false
	}
	if !known {
		l.mu.Unlock()
		return access.Viewer{}, nil, nil
	}
	s.seen = now
	copied := *s
	l.mu.Unlock()

	g := copied.grants[copied.chosen]
	v, err := l.admit(&copied, g)
	if err != nil {
		l.end(d, "the access is no more")
		return access.Viewer{}, nil, err
	}
	return v, &copied, nil
}

// admit asks again what a grant is worth.
func (l *Login) admit(s *session, g grant) (access.Viewer, error) {
	if g.invitation != "" && !l.o.Book.Opens(g.invitation, s.person) {
		return access.Viewer{}, &access.Refusal{Text: "Votre invitation a pris fin, ou a été révoquée. Demandez-en une autre.", Cause: errors.New("the invitation is over or revoked")}
	}
	i := g.identity
	i.Person = s.person
	return l.o.Admit(i, s.key)
}

// end ends a session, for the log too.
func (l *Login) end(d digest, why string) {
	l.mu.Lock()
	s, known := l.sessions[d]
	delete(l.sessions, d)
	l.mu.Unlock()
	if known {
		l.o.Log.Info("a session of the portal ends", "event", "portal_logout", "person", s.person, "session", s.key, "why", why)
	}
}

// Leave ends the session of a request, and returns the cookie that removes it.
func (l *Login) Leave(r *http.Request) *http.Cookie {
	if secret := secretIn(r, SessionCookie); secret != "" {
		l.end(digestOf(secret), "asked")
	}
	return cookie(SessionCookie, "", 0)
}

// A Session is what somebody is told of its own.
type Session struct {
	Person  string   // its pseudonym, by which the log names it
	Choices []string // what it may read as
	Chosen  int
	Invited bool // by an invitation, not by claims
	Began   time.Time
	Ends    time.Time // at the latest
}

// Session is that of a request; false: it has none.
func (l *Login) Session(r *http.Request) (Session, bool) {
	_, s, err := l.current(r)
	if s == nil || err != nil {
		return Session{}, false
	}
	t := Session{Person: s.person, Chosen: s.chosen, Invited: s.grants[s.chosen].invitation != "", Began: s.began, Ends: s.began.Add(l.o.Longest)}
	for _, g := range s.grants {
		t.Choices = append(t.Choices, g.name)
	}
	return t, true
}

// Choose has the session of a request read as another of its choices.
func (l *Login) Choose(r *http.Request, i int) error {
	_, s, err := l.current(r)
	if err != nil {
		return err
	}
	if s == nil || i < 0 || i >= len(s.grants) {
		return refuse("Ce choix n'existe pas.", "no such choice")
	}
	v, err := l.admit(s, s.grants[i])
	if err != nil {
		return asProblem(err)
	}
	l.mu.Lock()
	if now := l.sessions[digestOf(secretIn(r, SessionCookie))]; now != nil {
		now.chosen = i
	}
	l.mu.Unlock()
	l.o.Log.Info("a person reads as another of its choices", "event", "portal_login", "person", s.person, "session", s.key, "who", v.Name())
	return nil
}

// endAll ends the sessions that a provider says are over: those of its own session,
// or of a person.
func (l *Login) endAll(person, sid string) (ended int) {
	l.mu.Lock()
	var those []digest
	for d, s := range l.sessions {
		same := sid == "" || s.sid == sid || s.sid == "" && person != "" // it may not have said its sid at the login
		if same && (person == "" || s.person == person) {
			those = append(those, d)
		}
	}
	l.mu.Unlock()
	for _, d := range those {
		l.end(d, "the provider says so")
	}
	return len(those)
}
