package portal

import (
	"html"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/portal/access"
	"github.com/piano-roc/rpn/portal/invitation"
	"github.com/piano-roc/rpn/portal/login"
	"github.com/piano-roc/rpn/portal/login/logintest"
)

// works is what Pro Santé Connect says of where somebody works.
func works(finess string) map[string]any {
	return map[string]any{"SubjectRefPro": map[string]any{"exercices": []any{map[string]any{"activities": []any{map[string]any{"numeroFinessSite": finess}}}}}}
}

// persons are those whom the provider knows, by who they are in the matrix.
var persons = map[string]logintest.Person{
	"own": {Claims: works(ownEG)}, "other": {Claims: works(otherEJ)}, "amc": {}, "amc2": {},
	"lecture": {Claims: map[string]any{"id": "operator-lecture"}}, "exploitation": {Claims: map[string]any{"id": "operator-exploitation"}}, "administration": {Claims: map[string]any{"id": "operator-administration"}},
}

// An open country is one whose portal also lets persons in.
type openCountry struct {
	*country
	provider *logintest.Provider
	book     *invitation.Book
	cookies  map[string]string // the session of each person
}

const address = "https://portail.example"

func newOpenCountry(t testing.TB) *openCountry {
	t.Helper()
	c := &openCountry{country: newCountry(t), provider: logintest.New(t, address, persons), cookies: map[string]string{}}
	log := slog.New(slog.NewJSONHandler(c.log, nil))
	var err error
	c.book, err = invitation.Open(invitation.Options{File: filepath.Join(c.dir, "invitations"), KeyFile: filepath.Join(c.dir, "key"), Life: time.Hour, Access: time.Hour, Log: log, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	c.invitations.Store(c.book)
	o := login.Options{
		Name: "Fournisseur fictif", Issuer: c.provider.Issuer(), ClientID: logintest.ClientID, Secret: logintest.Secret, Portal: address, Scopes: []string{"openid", "scope_all"}, ACR: []string{logintest.ACR},
		Structures: []login.StructureClaim{{Claim: "SubjectRefPro.exercices.activities.numeroFinessSite", Holds: "finess"}},
		Idle:       time.Hour, Longest: time.Hour, Client: c.provider.Client(), Book: c.book, Admit: c.door.Person, Log: log, Now: time.Now,
	}
	var operators []login.OperatorClaim
	o.Operators = func() []login.OperatorClaim { return operators }
	for _, r := range access.Roles() {
		operators = append(operators, login.OperatorClaim{Name: "exploitant " + string(r), Claim: "id", Value: "operator-" + string(r), Role: r})
	}
	options := c.portal.o
	options.Login = login.New(o)
	c.portal = New(options)
	c.portal.pages = newLimit(10_000, 100_000)
	return c
}

// ask is a request as somebody: by a certificate, or, of "p:who", by a session.
func (c *openCountry) ask(who, method, path string, form url.Values, cookies ...*http.Cookie) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, k := range cookies {
		r.AddCookie(k)
	}
	if person, is := strings.CutPrefix(who, "p:"); is {
		r.AddCookie(&http.Cookie{Name: login.SessionCookie, Value: c.cookies[person]})
	} else {
		r.Header.Set("X-Test-Who", who)
	}
	if form != nil && form.Get("jeton") == "" {
		if v, err := c.portal.admit(r); err == nil {
			form.Set("jeton", c.portal.token(v, noon))
			r.Body = io.NopCloser(strings.NewReader(form.Encode()))
			r.ContentLength = int64(len(form.Encode()))
		}
	}
	w := httptest.NewRecorder()
	c.portal.ServeHTTP(w, r)
	return w
}

// enter is the whole way of a person, by the pages: from there to the provider and
// back.
func (c *openCountry) enter(person, from string) *httptest.ResponseRecorder {
	c.t.Helper()
	w := c.ask("public", http.MethodGet, from, nil)
	if w.Code != http.StatusSeeOther {
		c.t.Fatalf("%s: %d\n%s", from, w.Code, text2(w.Body))
	}
	back := c.provider.Authorize(c.t, w.Header().Get("Location"), person)
	w = c.ask("public", http.MethodGet, back.RequestURI(), nil, w.Result().Cookies()...)
	for _, k := range w.Result().Cookies() {
		if k.Name == login.SessionCookie {
			c.cookies[person] = k.Value
		}
	}
	return w
}

// invite makes an invitation by the page, and returns the path of its link.
func (c *openCountry) invite(who, path string) string {
	c.t.Helper()
	w := c.ask(who, http.MethodPost, path, url.Values{"acte": {"inviter"}, "libelle": {"bureau des entrées"}})
	_, rest, found := strings.Cut(w.Body.String(), address+"/invitation?jeton=")
	link, _, _ := strings.Cut(rest, "<")
	if w.Code != http.StatusOK || !found {
		c.t.Fatalf("%s as %s: %d\n%s", path, who, w.Code, text2(w.Body))
	}
	return "/invitation?jeton=" + link
}

// everybodyIn has every person come in.
func (c *openCountry) everybodyIn() {
	c.t.Helper()
	for _, who := range slices.Sorted(maps.Keys(persons)) {
		from := "/connexion/aller"
		switch who {
		case "amc":
			from += "?" + strings.TrimPrefix(c.invite("amc", "/amc/"+ownAMC+"/acces"), "/invitation?")
		case "amc2":
			from += "?" + strings.TrimPrefix(c.invite("amc2", "/amc/"+otherAMC+"/acces"), "/invitation?")
		}
		if w := c.enter(who, from); w.Code != http.StatusSeeOther || c.cookies[who] == "" {
			c.t.Fatalf("%s: %d\n%s", who, w.Code, text2(w.Body))
		}
	}
}

// wanted is what a route about "own" and "amc" answers to somebody, 0 for any page:
// the table that both ways in are held to.
func wanted(r *route, who string) int {
	person, isPerson := strings.CutPrefix(who, "p:")
	base := strings.TrimPrefix(who, "p:")
	operator := slices.Contains([]string{"lecture", "exploitation", "administration"}, base)
	identified := who != "public" && who != "stranger" && who != "unlisted"
	acces := strings.HasSuffix(r.path, "/acces")
	switch {
	case !identified && !(r.public && who == "public"):
		return http.StatusForbidden
	case r.path == "/moi", r.path == "/deconnexion":
		return 0
	case acces && isPerson && !slices.Contains([]string{"lecture", "exploitation", "administration"}, person):
		return http.StatusNotFound // who was let in lets nobody in
	case acces && operator && r.method == http.MethodPost && base != "administration":
		return http.StatusForbidden
	case r.least != "" && operator && base == "lecture":
		return http.StatusForbidden
	case r.path == "/acces" && operator && r.method == http.MethodPost:
		return http.StatusForbidden // the nation is no party
	case base == "administration":
		return 0
	case mayRead(r, base):
		return 0
	}
	if r.least != "" && operator {
		return 0
	}
	return http.StatusNotFound
}

// Every URL, asked as everybody, by both ways in: the rows are those of the one who
// asks, however it came.
func TestEveryURLByBothWaysIn(t *testing.T) {
	t.Parallel()
	c := newOpenCountry(t)
	c.everybodyIn()
	x := c.one(func(x *roc.Record) bool { return x.From == "1"+ownEJ && x.To.AMC == ownAMC })
	all := slices.Clone(everybody)
	for _, p := range slices.Sorted(maps.Keys(persons)) {
		all = append(all, "p:"+p)
	}
	asked := 0
	for _, r := range c.portal.routes() {
		if r.entrance {
			continue
		}
		id := map[int]string{aboutEtablissement: "1" + ownEJ, aboutAMC: ownAMC}[r.about]
		path := strings.NewReplacer("{$}", "", "{id}", id, "{echange}", string(x.ID), "{semaine}", "2026-S47", "{fichier}", "activite").Replace(r.path)
		for _, who := range all {
			person := strings.HasPrefix(who, "p:")
			switch ours := strings.HasSuffix(r.path, "/acces") || r.path == "/moi" || r.path == "/deconnexion"; {
			case r.path == "/deconnexion" && person:
				continue // below
			case !person && !ours:
				continue // TestEveryURLAsEverybody
			case (who == "p:lecture" || who == "p:exploitation") && !ours && r.method == http.MethodGet:
				continue // what p:administration reads
			}
			var form url.Values
			if r.method == http.MethodPost {
				form = url.Values{"acte": {"inviter"}, "choix": {"0"}} // without what else it needs
			}
			w := c.ask(who, r.method, path, form)
			asked++
			body := w.Body.String()
			good := w.Code == http.StatusOK || w.Code == http.StatusSeeOther || r.method == http.MethodPost && w.Code == http.StatusBadRequest
			want := wanted(&r, who)
			if want == 0 && !good || want != 0 && w.Code != want {
				t.Errorf("%s %s as %s: %d, want %d\n%s", r.method, path, who, w.Code, want, body[:min(700, len(body))])
			}
			if want != 0 && (strings.Contains(body, string(x.ID)) || strings.Contains(body, "bureau des entrées")) {
				t.Errorf("%s %s as %s shows what it may not", r.method, path, who)
			}
		}
	}
	if asked < 250 {
		t.Errorf("only %d were asked", asked)
	}
	// Signed out, nobody reads any more, and the page leads to the provider's own end.
	w := c.ask("p:own", http.MethodPost, "/deconnexion", url.Values{})
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), c.provider.Issuer()+"/end_session?client_id=") || strings.Contains(w.Body.String(), "id_token") {
		t.Errorf("signing out: %d\n%s", w.Code, text2(w.Body))
	}
	if w := c.ask("p:own", http.MethodGet, "/etablissement/1"+ownEJ, nil); w.Code != http.StatusForbidden {
		t.Errorf("signed out: %d", w.Code)
	}
}

// An invitation is made, followed and revoked by the pages; it is no other's, and
// needs the form.
func TestAnInvitationByThePages(t *testing.T) {
	t.Parallel()
	c := newOpenCountry(t)
	acces := "/etablissement/1" + ownEJ + "/acces"
	link := c.invite("own", acces)
	if w := c.ask("public", http.MethodGet, link, nil); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "Sainte-Fiction") {
		t.Errorf("the link: %d", w.Code)
	}
	for _, bad := range []string{"/invitation", link + "x", link[:len(link)-9] + "AAAAAAAAA"} {
		if w := c.ask("public", http.MethodGet, bad, nil); w.Code != http.StatusForbidden || strings.Contains(w.Body.String(), "Sainte-Fiction") {
			t.Errorf("%s: %d", bad, w.Code)
		}
	}
	start := strings.Replace(link, "/invitation", "/connexion/aller", 1)
	if w := c.enter("amc", start); w.Code != http.StatusSeeOther {
		t.Fatalf("by the link: %d\n%s", w.Code, text2(w.Body))
	}
	if w := c.ask("public", http.MethodGet, start, nil); w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "déjà servi") {
		t.Errorf("the link again: %d", w.Code)
	}
	page := "/etablissement/1" + ownEJ
	if w := c.ask("p:amc", http.MethodGet, page, nil); w.Code != http.StatusOK {
		t.Errorf("by the invitation: %d", w.Code)
	}
	id := c.book.All()[0].ID
	for who, want := range map[string]int{"other": http.StatusNotFound, "p:amc": http.StatusNotFound, "amc": http.StatusNotFound, "lecture": http.StatusForbidden, "public": http.StatusForbidden} {
		if w := c.ask(who, http.MethodPost, acces, url.Values{"acte": {"revoquer"}, "invitation": {id}}); w.Code != want {
			t.Errorf("revoked as %s: %d, want %d", who, w.Code, want)
		}
	}
	// Of its own party, but by the page of another.
	if w := c.ask("other", http.MethodPost, "/etablissement/1"+otherEJ+"/acces", url.Values{"acte": {"revoquer"}, "invitation": {id}}); w.Code != http.StatusNotFound {
		t.Errorf("by the page of another: %d", w.Code)
	}
	if w := c.ask("own", http.MethodPost, acces, url.Values{"jeton": {"x"}, "acte": {"revoquer"}, "invitation": {id}}); w.Code != http.StatusBadRequest {
		t.Errorf("without the token of the form: %d", w.Code)
	}
	if w := c.ask("p:amc", http.MethodGet, page, nil); w.Code != http.StatusOK {
		t.Errorf("nobody has revoked it: %d", w.Code)
	}
	if w := c.ask("own", http.MethodPost, acces, url.Values{"acte": {"revoquer"}, "invitation": {id}}); w.Code != http.StatusSeeOther {
		t.Errorf("revoked: %d", w.Code)
	}
	if w := c.ask("p:amc", http.MethodGet, page, nil); w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "révoquée") {
		t.Errorf("after that: %d", w.Code)
	}
	jeton := strings.TrimPrefix(link, "/invitation?jeton=")
	if log := c.log.String(); strings.Contains(log, jeton) || strings.Count(log, `"portal_invitation"`) != 3 {
		t.Error("the log has the link, or not the three acts")
	}
}

// The way in takes no turn of the pages, is offered where somebody is not known, and
// is begun by no other site. Its cookies are removed when it fails.
func TestTheWayIn(t *testing.T) {
	t.Parallel()
	c := newOpenCountry(t)
	for range made {
		c.portal.turns <- struct{}{}
	}
	if w := c.ask("public", http.MethodGet, "/connexion", nil); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "/connexion/aller") {
		t.Errorf("the page, while pages are made: %d", w.Code)
	}
	if w := c.enter("own", "/connexion/aller"); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/" {
		t.Errorf("the whole way, while pages are made: %d", w.Code)
	}
	for range made {
		<-c.portal.turns
	}
	if w := c.ask("public", http.MethodGet, "/national", nil); w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "/connexion/aller") {
		t.Errorf("a page for nobody: %d", w.Code)
	}
	r := httptest.NewRequest(http.MethodGet, "/connexion/aller", nil)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	w := httptest.NewRecorder()
	if c.portal.ServeHTTP(w, r); w.Header().Get("Location") != "/connexion" || len(w.Result().Cookies()) > 0 {
		t.Errorf("begun by another site: %v", w.Header())
	}
	w = c.ask("public", http.MethodGet, login.ReturnPath+"?code=x&state=y", nil, &http.Cookie{Name: login.PendingCookie, Value: "z"})
	if k := w.Result().Cookies(); w.Code != http.StatusForbidden || len(k) != 1 || k[0].Name != login.PendingCookie || k[0].MaxAge >= 0 {
		t.Errorf("a return of nothing: %d, %v", w.Code, k)
	}
	if w := c.ask("public", http.MethodPost, login.LogoutPath, url.Values{"logout_token": {"x"}}); w.Code != http.StatusBadRequest {
		t.Errorf("a logout of nothing: %d", w.Code)
	}
	// A certificate goes before a session, and one that is refused may log in.
	c.revoked["other"] = true
	if w := c.ask("other", http.MethodGet, "/connexion", nil); w.Code != http.StatusOK {
		t.Errorf("refused by its certificate: %d", w.Code)
	}
	if w := c.ask("p:own", http.MethodGet, "/moi", nil); !strings.Contains(w.Body.String(), "Fournisseur fictif") || strings.Contains(w.Body.String(), c.cookies["own"]) {
		t.Errorf("who am I: %s", text2(w.Body))
	}
}

// The invitations that open the pages of an insurer are all shown to it: those by
// another of its numbers, and by its structure. It revokes them; another does not
// see them.
func TestAnInsurerSeesAllThatOpensItsPages(t *testing.T) {
	t.Parallel()
	c := newOpenCountry(t)
	acces := "/amc/" + ownAMC + "/acces"
	for label, party := range map[string]invitation.Party{"par l'autre numéro": {AMC: "0099000012"}, "par la structure": {Structure: ownSIREN}} {
		i, _, err := c.book.Make(party, label, "exploitant")
		if err != nil {
			t.Fatal(err)
		}
		if w := c.ask("amc", http.MethodGet, acces, nil); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), html.EscapeString(label)) {
			t.Errorf("%s: %d, it is not shown", label, w.Code)
		}
		w := c.ask("amc2", http.MethodGet, "/amc/"+otherAMC+"/acces", nil)
		if w.Code != http.StatusOK || strings.Contains(w.Body.String(), html.EscapeString(label)) {
			t.Errorf("%s: %d, it is shown on the page of another", label, w.Code)
		}
		if w := c.ask("amc", http.MethodPost, acces, url.Values{"acte": {"revoquer"}, "invitation": {i.ID}}); w.Code != http.StatusSeeOther {
			t.Errorf("%s: revoked: %d", label, w.Code)
		}
	}
}
