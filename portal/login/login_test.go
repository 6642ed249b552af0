package login

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/portal/access"
	"github.com/piano-roc/rpn/portal/invitation"
	"github.com/piano-roc/rpn/portal/login/logintest"
	"github.com/piano-roc/rpn/register"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const portal = "https://portail.example"

// activity is what Pro Santé Connect says of where somebody works.
func activity(finess string) map[string]any {
	return map[string]any{"exercices": []any{map[string]any{"activities": []any{map[string]any{"numeroFinessSite": finess}}}}}
}

// persons are those whom the provider knows.
var persons = map[string]logintest.Person{
	"alice":   {Claims: map[string]any{"SubjectNameID": "899700000001", "SubjectRefPro": activity("990000011")}},
	"bruno":   {Claims: map[string]any{"SubjectNameID": "899700000002"}},
	"camille": {Claims: map[string]any{"SubjectNameID": "899700000003"}},
	"dominique": {Claims: map[string]any{"SubjectRefPro": map[string]any{"exercices": []any{map[string]any{"activities": []any{
		map[string]any{"numeroFinessSite": "990000011"}, map[string]any{"numeroFinessSite": "990000019"}, map[string]any{"numeroFinessSite": "990000021"}, map[string]any{"numeroFinessSite": "nimporte"}}}}}}},
	"faible": {ACR: "eidas0", Claims: map[string]any{"SubjectRefPro": activity("990000011")}},
}

// A hall is a Login in front of a real provider, with a register and a clock that
// tests change.
type hall struct {
	t testing.TB
	*Login
	provider *logintest.Provider
	door     *access.Door
	log      *lines

	mu   sync.Mutex
	late time.Duration
	list *register.List
	gone atomic.Bool // the operators of the configuration
}

type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.b.Write(p) }
func (l *lines) String() string              { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }

func (h *hall) now() time.Time       { h.mu.Lock(); defer h.mu.Unlock(); return time.Now().Add(h.late) }
func (h *hall) wait(d time.Duration) { h.mu.Lock(); defer h.mu.Unlock(); h.late += d }

// registers replaces the state of the hospital, "" for none of it.
func (h *hall) registers(etat string) {
	h.t.Helper()
	dir := h.t.TempDir()
	es := "etablissements:\n  - {finess_ej: \"990000021\", nom: Clinique fictive, etat: cercle}\n"
	if etat != "" {
		es += "  - {finess_ej: \"990000011\", finess_eg: [\"990000019\"], nom: CHU fictif, etat: " + etat + "}\n"
	}
	amc := "amcs:\n  - {nom: Mutuelle Verte, numeros: [\"0099000002\"], etat: cercle, structures: [\"2099000002\"]}\n"
	for name, text := range map[string]string{"e": es, "a": amc} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			h.t.Fatal(err)
		}
	}
	list, err := register.Load(filepath.Join(dir, "e"), filepath.Join(dir, "a"), time.Now())
	if err != nil {
		h.t.Fatal(err)
	}
	h.mu.Lock()
	h.list = list
	h.mu.Unlock()
}

func newHall(t testing.TB, change ...func(*Options)) *hall {
	t.Helper()
	h := &hall{t: t, provider: logintest.New(t, portal, persons), log: &lines{}}
	h.registers("cercle")
	h.door = &access.Door{Register: func() *register.List { h.mu.Lock(); defer h.mu.Unlock(); return h.list }, Operates: func(access.Identity) bool { return !h.gone.Load() }}
	dir := t.TempDir()
	log := slog.New(slog.NewJSONHandler(h.log, nil))
	book, err := invitation.Open(invitation.Options{File: filepath.Join(dir, "i"), KeyFile: filepath.Join(dir, "k"), Life: time.Hour, Access: 24 * time.Hour, Log: log, Now: h.now})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{
		Name: "Pro Santé Connect", Issuer: h.provider.Issuer(), ClientID: logintest.ClientID, Secret: logintest.Secret, Portal: portal,
		Scopes: []string{"openid", "scope_all"}, ACR: []string{logintest.ACR}, Idle: 15 * time.Minute, Longest: 4 * time.Hour,
		Structures: []StructureClaim{{"SubjectRefPro.exercices.activities.numeroFinessSite", "finess"}},
		Operators: func() []OperatorClaim {
			return []OperatorClaim{{"Camille Exemple", "SubjectNameID", "899700000003", access.Exploitation}}
		},
		Client: h.provider.Client(), Book: book, Admit: h.door.Person, Log: log, Now: h.now,
	}
	for _, c := range change {
		c(&o)
	}
	h.Login = New(o)
	return h
}

// A browser keeps the cookies of the portal.
type browser struct {
	h       *hall
	cookies map[string]string
}

func (h *hall) browser() *browser { return &browser{h, map[string]string{}} }

func (b *browser) request(at string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, at, nil)
	for name, v := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: v})
	}
	return r
}

func (b *browser) keep(c *http.Cookie) {
	if c == nil {
		return
	}
	if !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.SameSite != http.SameSiteLaxMode || !strings.HasPrefix(c.Name, "__Host-") {
		b.h.t.Errorf("the cookie %v", c)
	}
	if c.MaxAge < 0 {
		delete(b.cookies, c.Name)
		return
	}
	b.cookies[c.Name] = c.Value
}

// begin goes to the provider, and returns the address that it sends back to.
func (b *browser) begin(person, link string) string {
	b.h.t.Helper()
	to, c, err := b.h.Begin(context.Background(), link)
	if err != nil {
		b.h.t.Fatal(err)
	}
	b.keep(c)
	back := b.h.provider.Authorize(b.h.t, to, person)
	if !strings.HasPrefix(back.String(), portal+ReturnPath+"?") {
		b.h.t.Fatalf("sent back to %s", back)
	}
	return back.RequestURI()
}

func (b *browser) finish(back string) error {
	c, err := b.h.Finish(b.request(back))
	b.keep(c)
	return err
}

// login is the whole way.
func (b *browser) login(person, link string) error { return b.finish(b.begin(person, link)) }

func (b *browser) viewer() (access.Viewer, error) { return b.h.Viewer(b.request("/")) }

// reads fails unless the browser reads as that.
func (b *browser) reads(name string) {
	b.h.t.Helper()
	if v, err := b.viewer(); err != nil || v.Name() != name {
		b.h.t.Errorf("reads as %q, %v; want %q", v.Name(), err, name)
	}
}

func (h *hall) invited(p invitation.Party) (invitation.Invitation, string) {
	h.t.Helper()
	i, link, err := h.Book().Make(p, "bureau des entrées", "un certificat fictif")
	if err != nil {
		h.t.Fatal(err)
	}
	return i, link
}

// Claims make a reader of an establishment, or an operator; an invitation makes one
// of who has no claim. The session is a new one at each login.
func TestAPersonComesInByItsClaimsOrByAnInvitation(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	alice, camille, bruno := h.browser(), h.browser(), h.browser()
	for who, b := range map[string]*browser{"alice": alice, "camille": camille} {
		if err := b.login(who, ""); err != nil {
			t.Fatal(err)
		}
	}
	alice.reads("CHU fictif")
	camille.reads("Camille Exemple")
	if v, _ := camille.viewer(); !v.May(access.Exploitation) || v.May(access.Administration) || v.ByCertificate() {
		t.Errorf("the operator may %v", v.Role())
	}
	before := alice.cookies[SessionCookie]
	old := maps(alice.cookies)
	if err := alice.login("alice", ""); err != nil || alice.cookies[SessionCookie] == before {
		t.Errorf("a second login: %v, the same session %v", err, alice.cookies[SessionCookie] == before)
	}
	(&browser{h, old}).reads("") // the former one is no more

	var problem *Problem
	if err := bruno.login("bruno", ""); !errors.As(err, &problem) || !strings.Contains(problem.Text, "invitation") {
		t.Errorf("nobody: %v", err)
	}
	_, unused := h.invited(invitation.Party{Structure: "1990000011"})
	back := bruno.begin("bruno", unused)
	h.registers("suspendu")
	if err := bruno.finish(back); !errors.As(err, &problem) {
		t.Errorf("invited by who is suspended: %v", err)
	}
	h.registers("cercle")
	if _, err := h.Invited(unused); err != nil {
		t.Errorf("an invitation that opened nothing is used up: %v", err)
	}
	i, link := h.invited(invitation.Party{AMC: "0099000002"})
	if err := bruno.login("bruno", link); err != nil {
		t.Fatal(err)
	}
	bruno.reads("Mutuelle Verte")
	if _, _, err := h.Begin(context.Background(), link); !errors.As(err, &problem) {
		t.Errorf("its link again: %v", err)
	}
	again := h.browser()
	if err := again.login("bruno", ""); err != nil { // without the link, from then on
		t.Error(err)
	}
	again.reads("Mutuelle Verte")
	if _, err := h.Book().Revoke(i.ID, "ANS"); err != nil {
		t.Fatal(err)
	}
	for _, b := range []*browser{bruno, again} {
		var refusal *access.Refusal
		if _, err := b.viewer(); !errors.As(err, &refusal) {
			t.Errorf("revoked: %v", err)
		}
		b.reads("") // the session is gone
	}
	for _, name := range []string{"alice", "bruno", "899700000", link} {
		if strings.Contains(h.log.String(), name) {
			t.Errorf("the log names %q", name)
		}
	}
	for _, event := range []string{"portal_login", "portal_invitation", "portal_logout", "portal_login_refused"} {
		if !strings.Contains(h.log.String(), `"`+event+`"`) {
			t.Errorf("the log has no %s", event)
		}
	}
}

func maps(m map[string]string) map[string]string {
	c := map[string]string{}
	for k, v := range m {
		c[k] = v
	}
	return c
}

// Who works in two places chooses, and sees one at a time.
func TestAPersonOfTwoEstablishmentsChooses(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	b := h.browser()
	if err := b.login("dominique", ""); err != nil {
		t.Fatal(err)
	}
	b.reads("CHU fictif")
	s, _ := h.Session(b.request("/"))
	if !slices.Equal(s.Choices, []string{"CHU fictif", "Clinique fictive"}) {
		t.Fatalf("the choices are %v", s.Choices)
	}
	if err := h.Choose(b.request("/"), 1); err != nil {
		t.Fatal(err)
	}
	b.reads("Clinique fictive")
	for _, i := range []int{-1, 2} {
		if h.Choose(b.request("/"), i) == nil {
			t.Errorf("choice %d", i)
		}
	}
}

// Each thing that is wrong with what comes back lets nobody in.
func TestAWrongAnswerLetsNobodyIn(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	for what, f := range map[string]logintest.Faults{
		"nonce": {Nonce: "un-autre"}, "audience": {Audience: "une-autre-application"}, "issuer": {Issuer: "https://autre.example"},
		"expired": {Expired: true}, "subject": {OtherSub: true},
	} {
		h.provider.Faulty(f)
		b := h.browser()
		if err := b.login("alice", ""); err == nil {
			t.Errorf("wrong %s: it comes in", what)
		}
		b.reads("")
	}
	h.provider.Faulty(logintest.Faults{})
	b := h.browser()
	var problem *Problem
	if err := b.login("faible", ""); !errors.As(err, &problem) || !strings.Contains(problem.Error(), "acr") {
		t.Errorf("too weak: %v", err)
	}
	if err := b.login("alice", ""); err != nil {
		t.Errorf("nothing wrong: %v", err)
	}
}

// The way back is of one browser, serves once, and not for long.
func TestTheWayBackIsOfOneBrowserAndServesOnce(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	alice := h.browser()
	back := alice.begin("alice", "")
	if err := h.browser().finish(back); err == nil {
		t.Error("another browser, without a cookie, comes in")
	}
	mallory := h.browser()
	mallory.begin("bruno", "")
	if err := mallory.finish(back); err == nil {
		t.Error("another browser, with the cookie of its own login, comes in")
	}
	pending := maps(alice.cookies)
	if err := alice.finish(back); err != nil {
		t.Fatal(err)
	}
	if err := (&browser{h, pending}).finish(back); err == nil {
		t.Error("the same return serves twice")
	}
	// The code alone, in a login of one's own: the provider has given it for another.
	code := h.provider.LastCode()
	replay := h.browser()
	own, _ := url.Parse(replay.begin("bruno", ""))
	q := own.Query()
	q.Set("code", code)
	if err := replay.finish(own.Path + "?" + q.Encode()); err == nil {
		t.Error("a code serves twice")
	}
	for what, change := range map[string]func(url.Values){
		"another state": func(q url.Values) { q.Set("state", "x") }, "two states": func(q url.Values) { q.Add("state", q.Get("state")) },
		"no code": func(q url.Values) { q.Del("code") }, "another issuer": func(q url.Values) { q.Set("iss", "https://autre.example") },
		"an error": func(q url.Values) { q.Set("error", "access_denied") },
	} {
		b := h.browser()
		own, _ := url.Parse(b.begin("alice", ""))
		q := own.Query()
		change(q)
		if err := b.finish(own.Path + "?" + q.Encode()); err == nil {
			t.Errorf("%s: it comes in", what)
		}
	}
	late := h.browser()
	back = late.begin("alice", "")
	h.wait(pendingLife)
	if err := late.finish(back); err == nil {
		t.Error("too late, it comes in")
	}
}

// A session ends when it is not used, at its longest, when it is left, and when what
// it reads is no more.
func TestASessionEnds(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	in := func() *browser {
		b := h.browser()
		if err := b.login("alice", ""); err != nil {
			t.Fatal(err)
		}
		b.reads("CHU fictif")
		return b
	}
	b := in()
	h.wait(14 * time.Minute)
	b.reads("CHU fictif")
	h.wait(15 * time.Minute)
	b.reads("")
	h.wait(-29 * time.Minute)

	b = in()
	for range 17 { // used every 14 minutes: 3 h 58
		h.wait(14 * time.Minute)
		b.reads("CHU fictif")
	}
	h.wait(3 * time.Minute)
	b.reads("")
	h.wait(-241 * time.Minute)

	b = in()
	b.keep(h.Leave(b.request("/")))
	b.reads("")
	if b.cookies[SessionCookie] != "" {
		t.Error("the cookie stays")
	}
	for _, etat := range []string{"suspendu", "clos", ""} {
		b = in()
		h.registers(etat)
		var refusal *access.Refusal
		if _, err := b.viewer(); !errors.As(err, &refusal) {
			t.Errorf("%q: %v", etat, err)
		}
		if err := h.browser().login("alice", ""); err == nil {
			t.Errorf("%q: somebody comes in", etat)
		}
		h.registers("cercle")
		b.reads("") // it does not come back by itself
	}

	camille := h.browser()
	if err := camille.login("camille", ""); err != nil {
		t.Fatal(err)
	}
	camille.reads("Camille Exemple")
	h.gone.Store(true) // taken out of the configuration, and reloaded
	var refusal *access.Refusal
	if _, err := camille.viewer(); !errors.As(err, &refusal) {
		t.Errorf("an operator who was taken out: %v", err)
	}
	h.gone.Store(false)
	camille.reads("")
}

// Nobody has more sessions or pending logins than enough.
func TestSessionsAreBounded(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	var all []*browser
	for range maxOfPerson + 1 {
		b := h.browser()
		if err := b.login("alice", ""); err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
		h.wait(time.Second)
	}
	all[0].reads("") // the oldest made room
	all[1].reads("CHU fictif")
	// However many logins others begin, from wherever: they take the room of nobody.
	first := h.browser()
	back := first.begin("alice", "")
	for range 5000 {
		if _, _, err := h.Begin(context.Background(), ""); err != nil {
			t.Fatal(err)
		}
	}
	if err := first.finish(back); err != nil || len(h.served) > maxOfPerson+2 {
		t.Errorf("pushed out: %v; %d are remembered", err, len(h.served))
	}
	// What a browser brings is ours, whole, or nothing.
	for what, change := range map[string]func(string) string{
		"cut": func(s string) string { return s[:len(s)-4] }, "changed": func(s string) string { return s[:40] + "AAAA" + s[44:] }, "of another process": func(string) string {
			_, c, err := newHall(t).Begin(context.Background(), "")
			if err != nil {
				t.Fatal(err)
			}
			return c.Value
		}, "none": func(string) string { return "" },
	} {
		b := h.browser()
		back := b.begin("alice", "")
		b.cookies[PendingCookie] = change(b.cookies[PendingCookie])
		if err := b.finish(back); err == nil {
			t.Errorf("a login that is %s lets somebody in", what)
		}
	}
}

// The provider is asked to ask again, and how long ago it did is looked at.
func TestHowLongAgoThePersonIdentifiedItself(t *testing.T) {
	t.Parallel()
	h := newHall(t, func(o *Options) { o.Prompt, o.MaxAge = "login", time.Minute })
	to, _, err := h.Begin(context.Background(), "")
	if u, bad := url.Parse(to); err != nil || bad != nil || u.Query().Get("prompt") != "login" || u.Query().Get("max_age") != "60" {
		t.Errorf("the question is %s, %v", to, err)
	}
	if err := h.browser().login("alice", ""); err != nil {
		t.Errorf("a moment ago: %v", err)
	}
	h.wait(3 * time.Minute) // our clock is later than that of the provider
	if err := h.browser().login("alice", ""); err == nil || !strings.Contains(err.Error(), "auth_time") {
		t.Errorf("too long ago: %v", err)
	}
}

// What strangers fail to do fills no log: so many lines a minute, and how many more.
func TestFailedReturnsAreGroupedInTheLog(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	for range 100 {
		h.browser().finish(ReturnPath + "?code=x&state=y")
	}
	first := strings.Count(h.log.String(), `"portal_login_refused"`)
	h.wait(2 * time.Minute)
	h.browser().finish(ReturnPath + "?code=x&state=y")
	if log := h.log.String(); first > 2*refusalLines || strings.Count(log, `"portal_login_refused"`) != first+1 || !strings.Contains(log, fmt.Sprintf(`"others":%d`, 100-first)) {
		t.Errorf("%d lines, then %s", first, log[max(0, len(log)-300):])
	}
}

// A logout token ends the sessions that it names, once; every other ends none.
func TestTheProviderEndsSessions(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	n := 0
	token := func(change func(map[string]any)) string {
		n++
		c := map[string]any{
			"iss": h.provider.Issuer(), "aud": logintest.ClientID, "iat": h.now().Unix(), "exp": h.now().Add(2 * time.Minute).Unix(), "jti": fmt.Sprint("jti-", n),
			"sub": "alice", "events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
		}
		change(c)
		text, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		return h.provider.Sign(t, string(text))
	}
	alice, camille := h.browser(), h.browser()
	if err := errors.Join(alice.login("alice", ""), camille.login("camille", "")); err != nil {
		t.Fatal(err)
	}
	good := token(func(map[string]any) {})
	for what, raw := range map[string]string{
		"no token": "", "not signed": strings.TrimRight(good, "AQgw") + "AAAA", "no jwt": "a.b.c",
		"another issuer": token(func(c map[string]any) { c["iss"] = "https://autre.example" }), "another audience": token(func(c map[string]any) { c["aud"] = "autre" }),
		"no event": token(func(c map[string]any) { delete(c, "events") }), "a nonce": token(func(c map[string]any) { c["nonce"] = "x" }),
		"no jti": token(func(c map[string]any) { delete(c, "jti") }), "nobody": token(func(c map[string]any) { delete(c, "sub") }),
		"over": token(func(c map[string]any) { c["exp"] = h.now().Add(-time.Minute).Unix() }), "old": token(func(c map[string]any) { c["iat"] = h.now().Add(-time.Hour).Unix() }),
		"of the future": token(func(c map[string]any) { c["iat"] = h.now().Add(time.Hour).Unix() }), "too long": strings.Repeat("x", maxTokenBytes+1),
	} {
		if err := h.Logout(context.Background(), raw); err == nil {
			t.Errorf("%s is taken", what)
		}
	}
	alice.reads("CHU fictif")
	if err := h.Logout(context.Background(), token(func(c map[string]any) { c["sid"] = "session-autre" })); err != nil {
		t.Error(err)
	}
	alice.reads("CHU fictif") // another session of the provider
	if err := h.Logout(context.Background(), good); err != nil {
		t.Fatal(err)
	}
	alice.reads("")
	camille.reads("Camille Exemple")
	if err := alice.login("alice", ""); err != nil {
		t.Fatal(err)
	}
	if err := h.Logout(context.Background(), good); err == nil {
		t.Error("the same token ends sessions again")
	}
	alice.reads("CHU fictif")
	if err := h.Logout(context.Background(), token(func(c map[string]any) { c["sid"] = "session-alice"; delete(c, "sub") })); err != nil {
		t.Error(err)
	}
	alice.reads("")
}

// A provider that is away, or answers without end, or for another issuer, is asked
// seldom, and found again.
func TestAProviderThatFailsIsAskedSeldom(t *testing.T) {
	t.Parallel()
	far := &failing{}
	h := newHall(t, func(o *Options) {
		far.next, o.Client.Transport = o.Client.Transport, far
	})
	var problem *Problem
	for _, how := range []string{"away", "endless", "other"} {
		far.as(how)
		before := far.count()
		for range 5 {
			if _, _, err := h.Begin(context.Background(), ""); !errors.As(err, &problem) || !problem.Later {
				t.Errorf("%s: %v", how, err)
			}
		}
		if n := far.count() - before; n != 1 {
			t.Errorf("%s: it was asked %d times", how, n)
		}
		h.wait(afterFailure)
	}
	far.as("")
	b := h.browser()
	if err := b.login("alice", ""); err != nil {
		t.Fatal(err)
	}
	if h.EndURL() != h.provider.Issuer()+"/end_session?client_id="+logintest.ClientID+"&post_logout_redirect_uri="+url.QueryEscape(portal+"/") {
		t.Errorf("to sign out: %s", h.EndURL())
	}
	// Strangers who send tokens of unknown keys do not have the keys read each time.
	read := h.provider.Asked("/keys")
	for range 5 {
		h.Logout(context.Background(), strings.Replace(h.provider.Sign(t, `{}`), ".", "x.", 1))
		h.Logout(context.Background(), unknownKey)
	}
	if n := h.provider.Asked("/keys") - read; n > 1 {
		t.Errorf("the keys were read %d times", n)
	}
	b.reads("CHU fictif")
}

// One who asks and leaves ends nothing for those who wait for the provider, and
// nobody waits for it who has no need to.
func TestWhoLeavesEndsNothingForTheOthers(t *testing.T) {
	t.Parallel()
	far := &failing{hold: make(chan struct{})}
	h := newHall(t, func(o *Options) {
		far.next, o.Client.Transport = o.Client.Transport, far
	})
	far.as("held")
	leaves, leave := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	waiting.Go(func() {
		if _, _, err := h.Begin(leaves, ""); err == nil {
			t.Error("it began, and had left")
		}
	})
	await.Until(t, "the provider is asked", func() bool { return far.count() == 1 })
	leave()
	waiting.Wait()
	if h.EndURL() != "" {
		t.Error("an end is known of a provider that has not answered")
	}
	waiting.Go(func() {
		if _, _, err := h.Begin(t.Context(), ""); err != nil {
			t.Error(err)
		}
	})
	far.as("")
	close(far.hold)
	waiting.Wait()
	if n := far.count(); n != 1 {
		t.Errorf("the provider was asked %d times", n)
	}
}

// unknownKey is a token of no key of the provider.
const unknownKey = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImF1dHJlIn0.e30.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

// A failing transport fails as it is told.
type failing struct {
	next http.RoundTripper
	hold chan struct{} // until it is closed, what is held gets no answer

	mu  sync.Mutex
	how string
	n   int
}

func (f *failing) as(how string) { f.mu.Lock(); defer f.mu.Unlock(); f.how = how }
func (f *failing) count() int    { f.mu.Lock(); defer f.mu.Unlock(); return f.n }

func (f *failing) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	f.n++
	how := f.how
	f.mu.Unlock()
	w := httptest.NewRecorder()
	switch how {
	case "away":
		return nil, errors.New("nobody is there")
	case "held":
		select {
		case <-f.hold:
			return f.next.RoundTrip(r)
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	case "endless":
		w.WriteString(`{"issuer":"` + strings.Repeat("x", 2*maxAnswer))
	case "other":
		w.WriteString(`{"issuer":"https://autre.example"}`)
	default:
		return f.next.RoundTrip(r)
	}
	return w.Result(), nil
}

// Values are read where the path says, and nowhere else.
func TestClaimsAreReadByTheirPath(t *testing.T) {
	t.Parallel()
	c := claims{}
	if err := c.merge([]byte(`{"sub":"a","n":990000011,"s":"1990000011","o":{"p":[{"q":"990000011"},{"q":["990000019",""]},[{"q":"990000021"}],"x"]}}`)); err != nil {
		t.Fatal(err)
	}
	if err := c.merge([]byte(`{"sub":"b","more":"c"}`)); err != nil || !c.has("sub", "a") || c.has("sub", "b") || !c.has("more", "c") {
		t.Errorf("what comes later replaces what was there: %v, %v", c, err)
	}
	for _, try := range []struct {
		claim, holds string
		want         int
	}{{"o.p.q", "finess", 2}, {"s", "structure", 1}, {"s", "finess", 0}, {"n", "finess", 0}, {"o.p", "finess", 0}, {"o.p.q.r", "finess", 0}, {"absent", "siret", 0}, {"s", "autre", 0}} {
		if got := (StructureClaim{try.claim, try.holds}).read(c); len(got) != try.want {
			t.Errorf("%s as %s: %v", try.claim, try.holds, got)
		}
	}
}
