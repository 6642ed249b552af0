package portal

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
)

// everybody is each identity that may come.
var everybody = []string{"public", "own", "site", "other", "amc", "amc2", "lecture", "exploitation", "stranger", "unlisted"}

// mayRead says who may read a route about the establishment "own" and the insurer
// "amc": the table that the pages are held to.
func mayRead(r *route, who string) bool {
	operator := who == "lecture" || who == "exploitation"
	switch {
	case who == "stranger", who == "unlisted":
		return false
	case r.least != "":
		return who == "exploitation"
	case r.public:
		return true
	case r.about == aboutEtablissement:
		return operator || who == "own" || who == "site"
	case r.about == aboutAMC:
		return operator || who == "amc"
	}
	return operator
}

// Every URL, asked as everybody: who may not see it gets nothing, and who has a
// certificate of the register cannot tell whether it exists.
func TestEveryURLAsEverybody(t *testing.T) {
	t.Parallel()
	c := newCountry(t)
	x := c.one(func(x *roc.Record) bool { return x.From == "1"+ownEJ && x.To.AMC == ownAMC })
	for _, r := range c.portal.routes() {
		id := map[int]string{aboutEtablissement: "1" + ownEJ, aboutAMC: ownAMC}[r.about]
		path := strings.NewReplacer("{$}", "", "{id}", id, "{echange}", string(x.ID), "{semaine}", "2026-S47", "{fichier}", "activite").Replace(r.path)
		for _, who := range everybody {
			var code int
			var body string
			if r.method == http.MethodPost {
				w := c.post(who, path, url.Values{"jeton": {"x"}}, nil)
				code, body = w.Code, w.Body.String()
			} else {
				w := c.get(who, path)
				code, body = w.Code, w.Body.String()
			}
			want := http.StatusNotFound
			switch {
			case who == "public", who == "stranger", who == "unlisted", who == "lecture" && r.least != "":
				want = http.StatusForbidden
			}
			switch may := mayRead(&r, who); {
			case may && code != http.StatusOK && code != http.StatusSeeOther && !(r.method == http.MethodPost && code == http.StatusBadRequest):
				t.Errorf("%s %s as %s: %d\n%s", r.method, path, who, code, body[:min(800, len(body))])
			case !may && code != want:
				t.Errorf("%s %s as %s: %d, want %d", r.method, path, who, code, want)
			case !may && (strings.Contains(body, string(x.ID)) || strings.Contains(body, "Sainte-Fiction") && who != "own" && who != "site"):
				t.Errorf("%s %s as %s shows what it may not", r.method, path, who)
			}
		}
	}
}

// What belongs to another is not told apart from what does not exist, whatever
// the address.
func TestAnExchangeOfAnotherDoesNotExist(t *testing.T) {
	t.Parallel()
	c := newCountry(t)
	foreign := c.one(func(x *roc.Record) bool { return x.From == "1"+otherEJ && x.To.AMC == otherAMC })
	nowhere := "01890a5d-ac96-774b-bcce-b302099a8057"
	for _, suffix := range []string{"", "/preuve"} {
		for who, base := range map[string]string{"own": "/etablissement/1" + ownEJ, "amc": "/amc/" + ownAMC} {
			a, b := c.get(who, base+"/echange/"+string(foreign.ID)+suffix), c.get(who, base+"/echange/"+nowhere+suffix)
			if a.Code != http.StatusNotFound || a.Code != b.Code || strings.ReplaceAll(a.Body.String(), string(foreign.ID), "") != strings.ReplaceAll(b.Body.String(), nowhere, "") {
				t.Errorf("%s of another as %s: %d, of nobody: %d", suffix, who, a.Code, b.Code)
			}
			if found := c.page(who, base+"/echanges?du=2026-11-01&message="+foreign.MessageID); strings.Contains(found, string(foreign.ID)) {
				t.Errorf("a search as %s finds the exchange of another", who)
			}
		}
		if w := c.get("lecture", "/national/echange/"+string(foreign.ID)+suffix); w.Code != http.StatusOK {
			t.Errorf("an operator gets %d", w.Code)
		}
	}
}

// Who is revoked is out at the next request, and so is who left the register.
func TestWhoIsPutOutIsOutAtOnce(t *testing.T) {
	t.Parallel()
	c := newCountry(t)
	for who, path := range map[string]string{"own": "/etablissement/1" + ownEJ, "amc": "/amc/" + ownAMC, "lecture": "/national"} {
		c.page(who, path)
		c.revoked[who] = true
		if w := c.get(who, path); w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "certificat") {
			t.Errorf("%s, revoked: %d", who, w.Code)
		}
	}
}

// A decision needs the role, the token of the form, and a page of ours.
func TestADecisionNeedsItsForm(t *testing.T) {
	t.Parallel()
	c := newCountry(t)
	body := c.page("exploitation", "/decisions")
	_, rest, found := strings.Cut(body, `name="jeton" value="`)
	if !found || strings.Contains(c.page("lecture", "/decisions"), `name="jeton"`) {
		t.Fatal("the form is not there for who may decide, or is there for who may not")
	}
	token, _, _ := strings.Cut(rest, `"`)
	form := func(token string) url.Values {
		return url.Values{"jeton": {token}, "amc": {otherAMC}, "hote": {"nulle-part.example"}, "acte": {"rejeter"}, "motif": {"essai fictif"}}
	}
	ours := map[string]string{"Sec-Fetch-Site": "same-origin"}
	for _, try := range []struct {
		what, who string
		form      url.Values
		header    map[string]string
		want      int
	}{
		{"no token", "exploitation", form(""), ours, http.StatusBadRequest},
		{"another's token", "exploitation", form(strings.Repeat("0", len(token))), ours, http.StatusBadRequest},
		{"another site", "exploitation", form(token), map[string]string{"Sec-Fetch-Site": "cross-site"}, http.StatusForbidden},
		{"another origin", "exploitation", form(token), map[string]string{"Origin": "https://ailleurs.example"}, http.StatusForbidden},
		{"too low a role", "lecture", form(token), ours, http.StatusForbidden},
		{"an establishment", "own", form(token), ours, http.StatusNotFound},
		{"no reason", "exploitation", url.Values{"jeton": {token}, "amc": {otherAMC}, "hote": {"nulle-part.example"}, "acte": {"rejeter"}}, ours, http.StatusBadRequest},
	} {
		if w := c.post(try.who, "/decisions", try.form, try.header); w.Code != try.want {
			t.Errorf("%s: %d, want %d", try.what, w.Code, try.want)
		}
	}
	if len(c.decided) > 0 {
		t.Fatalf("a refused form has decided: %v", c.decided)
	}
	if w := c.post("exploitation", "/decisions", form(token), ours); w.Code != http.StatusSeeOther || len(c.decided) != 1 {
		t.Errorf("the right form: %d, %v", w.Code, c.decided)
	}
	if !strings.Contains(c.log.String(), `"portal_act"`) || !strings.Contains(c.decided[0], "exploitant exploitation") {
		t.Errorf("who decided is not written down: %v", c.decided)
	}
}

// What no route is for is answered in French, in a page of ours; a page that only
// reads says so.
func TestWhatIsNotThereIsAnsweredInFrench(t *testing.T) {
	t.Parallel()
	c := newCountry(t)
	form := url.Values{"jeton": {"x"}}
	for _, try := range []struct {
		method, path string
		want         int
		say          string
	}{
		{http.MethodGet, "/nulle-part", http.StatusNotFound, "Rien à cette adresse"},
		{http.MethodGet, "/theme/nulle-part.css", http.StatusNotFound, "Rien à cette adresse"},
		{http.MethodPost, "/nulle-part", http.StatusNotFound, "Rien à cette adresse"},
		{http.MethodPost, "/national", http.StatusMethodNotAllowed, "Rien ne peut être envoyé"},
		{http.MethodGet, "/decisions/proposition", http.StatusMethodNotAllowed, "Elle reçoit un formulaire"},
	} {
		w := c.get("lecture", try.path)
		if try.method == http.MethodPost {
			w = c.post("lecture", try.path, form, map[string]string{"Sec-Fetch-Site": "same-origin"})
		}
		if w.Code == http.StatusMethodNotAllowed && strings.Contains(w.Header().Get("Allow"), try.method) || w.Code == http.StatusMethodNotAllowed && w.Header().Get("Allow") == "" {
			t.Errorf("%s %s: allowed is %q", try.method, try.path, w.Header().Get("Allow"))
		}
		if body := w.Body.String(); w.Code != try.want || !strings.Contains(body, try.say) || !strings.Contains(body, `lang="fr"`) {
			t.Errorf("%s %s: %d\n%s", try.method, try.path, w.Code, body)
		}
	}
	if w := c.get("public", "/nulle-part"); w.Code != http.StatusForbidden {
		t.Errorf("who has no certificate is told what is not there: %d", w.Code)
	}
}

// What cannot be decided by a button says what is to be done.
func TestWhatWaitsSaysWhatToDo(t *testing.T) {
	t.Parallel()
	c := newCountry(t)
	body := c.page("exploitation", "/decisions")
	for _, say := range []string{"à décider par commande (--removed)", "à inscrire dans amc.yaml", "--removed --why", "Chaque instance"} {
		if !strings.Contains(body, say) {
			t.Errorf("the page does not say %q", say)
		}
	}
}

// One who asks too much waits, and the others do not.
func TestOneWhoAsksTooMuchWaits(t *testing.T) {
	t.Parallel()
	c := newCountry(t)
	c.portal.pages = newLimit(pagesPerSecond, pagesAtOnce)
	codes := map[int]int{}
	for range pagesAtOnce + 20 {
		codes[c.get("own", "/fiches").Code]++
	}
	if codes[http.StatusOK] != pagesAtOnce || codes[http.StatusTooManyRequests] != 20 {
		t.Errorf("the answers are %v", codes)
	}
	if w := c.get("other", "/fiches"); w.Code != http.StatusOK {
		t.Errorf("another one gets %d", w.Code)
	}
	if w := c.get("own", "/fiches"); w.Header().Get("Retry-After") == "" {
		t.Error("who must wait is not told how long")
	}
}

// Every answer has the headers that keep a page to itself, and no cookie.
func TestEveryAnswerIsGuarded(t *testing.T) {
	t.Parallel()
	c := newCountry(t)
	for _, path := range []string{"/national", "/style.css", "/meteo", "/nulle-part", "/etablissement/x"} {
		h := c.get("lecture", path).Header()
		csp := h.Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || strings.Contains(csp, "script-src") || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", path, h)
		}
		if len(h.Values("Set-Cookie")) > 0 {
			t.Errorf("%s sets a cookie", path)
		}
	}
	for _, path := range []string{"/national", "/meteo"} {
		body := c.page("lecture", path)
		for _, bad := range []string{"<script", " style=", " onclick=", "http://", "https://"} {
			if strings.Contains(body, bad) {
				t.Errorf("%s holds %q", path, bad)
			}
		}
		if c.get("lecture", path).Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s may be kept", path)
		}
	}
}
