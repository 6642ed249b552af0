package portal

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// asked are the pages that read parameters, and as whom they are asked.
var asked = []struct{ who, path string }{
	{"own", "/etablissement/1" + ownEJ + "/echanges"},
	{"lecture", "/national/echanges"},
	{"amc", "/amc/" + ownAMC + "/echanges"},
	{"own", "/etablissement/1" + ownEJ + "/indicateurs"},
	{"own", "/etablissement/1" + ownEJ + "/organismes"},
	{"amc", "/amc/" + ownAMC + "/appelants"},
	{"amc", "/amc/" + ownAMC + "/indicateurs"},
	{"lecture", "/national/indicateurs"},
	{"lecture", "/national/certificats"},
	{"own", "/etablissement/1" + ownEJ + "/certificats"},
	{"lecture", "/registre"},
	{"public", "/meteo"},
}

// Whatever the parameters of a page, it answers with a page of ours: the one that
// was asked for, or one that says what is wrong. What was asked stands in it as
// text, it sends nobody elsewhere, and it shows nothing of another.
func FuzzQuery(f *testing.F) {
	c := newCountry(f)
	c.portal.pages = newLimit(1e6, 1<<40)
	const mark = "<zq"
	f.Fuzz(func(t *testing.T, n byte, query string) {
		page := asked[int(n)%len(asked)]
		r := httptest.NewRequest(http.MethodGet, page.path, nil)
		r.URL.RawQuery = query
		r.Header.Set("X-Test-Who", page.who)
		w := httptest.NewRecorder()
		c.portal.ServeHTTP(w, r)
		c.log.reset()
		body := w.Body.String()
		switch {
		case w.Code == http.StatusSeeOther:
			if to := w.Header().Get("Location"); !strings.HasPrefix(to, strings.TrimSuffix(page.path, "s")+"/") || strings.ContainsAny(to, "\r\n?#") {
				t.Errorf("%s?%s leads to %q", page.path, query, to)
			}
			return
		case w.Code == http.StatusRequestURITooLong, w.Code == http.StatusBadRequest && !readable(r.URL):
			return
		case !slices.Contains([]int{http.StatusOK, http.StatusBadRequest}, w.Code):
			t.Errorf("%s?%s: %d\n%s", page.path, query, w.Code, body)
		}
		if !utf8.ValidString(body) || !strings.HasSuffix(body, "</html>\n") || len(body) > 150<<10 {
			t.Errorf("%s?%s: %d bytes that are no page", page.path, query, len(body))
		}
		if strings.Contains(strings.ToLower(body), mark) {
			t.Errorf("%s?%s: what was asked is a tag of the page", page.path, query)
		}
		if values, _ := url.ParseQuery(query); page.who == "own" && !strings.Contains(strings.Join(values["amc"], ""), otherEJ) && strings.Contains(body, "/etablissement/1"+otherEJ) {
			t.Errorf("%s?%s shows another", page.path, query)
		}
	})
}
