package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/tlsconf/expiry"
)

// fictive are the parts of a listener whose RPN does nothing.
func fictive() Parts {
	return Parts{
		Version: "1.2.3", Socket: "/run/rpn/admin.sock", Log: slog.New(slog.DiscardHandler),
		Metrics:   http.NotFoundHandler(),
		EachES:    http.NotFoundHandler(),
		Readiness: func() Readiness { return Ready(nil, time.Time{}) },
		Clocks:    func() any { return nil },
		Top: func(by string, lines int) (any, error) {
			if by == "taille" {
				return nil, errors.New("tri: none of")
			}
			return map[string]any{"tri": by, "lignes": lines}, nil
		},
		Certificates: func() (c Certificates) {
			for _, k := range expiry.Kinds() {
				c.Certificates = append(c.Certificates, expiry.Expiry{Kind: k, Subject: "CN=" + string(k), Days: 90})
			}
			return c
		},
		Reload:     func(string, bool, bool) ([]string, error) { return nil, nil },
		Explain:    func(context.Context, url.Values) (any, error) { return nil, errors.New("no question") },
		Held:       func() any { return nil },
		Decide:     func(bool, roc.NumeroAMC, string, string, string, bool) (int, error) { return 0, nil },
		Revalidate: func() {},
		Upgrade:    func(context.Context, string, func(string)) error { return nil },
	}
}

func answer(p Parts, method, target string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	Handler(p).ServeHTTP(w, httptest.NewRequest(method, target, nil))
	return w
}

// What the first page lists is there, and the rest of what acts is listed.
func TestTheFirstPageListsWhatIsThere(t *testing.T) {
	t.Parallel()
	p := fictive()
	p.Metrics = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	p.EachES = p.Metrics
	lines := strings.Split(strings.TrimSpace(answer(p, http.MethodGet, "/").Body.String()), "\n")
	if lines[0] != "rpn 1.2.3" || len(lines) != 13 {
		t.Fatalf("the first page: %q", lines)
	}
	for _, line := range lines[1:] {
		method, path := http.MethodGet, line
		if post, ok := strings.CutPrefix(line, "POST "); ok {
			method, path = http.MethodPost, post
		}
		want := http.StatusOK
		if path == "/-/upgrade" { // it runs a program: by the socket alone
			want = http.StatusForbidden
		}
		if w := answer(p, method, path+"?amc=0077565712"); w.Code != want {
			t.Errorf("%s %s: %d", method, path, w.Code)
		}
	}
}

// How many lines and in which order is what was asked for, or it is said what is
// wrong with it.
func TestTopIsAskedForSoManyLines(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{"": `"lignes": 100`, "?tri=p95&lignes=7": `"tri": "p95"`, "?lignes=0": "400", "?lignes=-1": "400", "?lignes=x": "400", "?tri=taille": "400"} {
		w := answer(fictive(), http.MethodGet, "/-/top"+query)
		if got := fmt.Sprint(w.Code) + w.Body.String(); !strings.Contains(got, want) {
			t.Errorf("%q: %s, want %s", query, got, want)
		}
	}
}

// A kind of certificate without a French name would be an empty cell.
func TestThePageOfCertificatesNamesEveryKind(t *testing.T) {
	t.Parallel()
	page := answer(fictive(), http.MethodGet, "/certificats").Body.String()
	for _, k := range expiry.Kinds() {
		if k.Nom() == "" || !strings.Contains(page, "<td>"+k.Nom()+"</td>") {
			t.Errorf("%s has no name on the page", k)
		}
	}
}

// Each force is asked for by its own name, and no other name forces anything.
func TestAReloadForcesOnlyWhatIsNamed(t *testing.T) {
	t.Parallel()
	for query, want := range map[string][2]bool{
		"": {}, "?force=": {}, "?force=register": {true, false}, "?force=certificates": {false, true}, "?force=register&force=certificates": {true, true},
	} {
		var got [2]bool
		p := fictive()
		p.Reload = func(_ string, register, certificates bool) ([]string, error) {
			got = [2]bool{register, certificates}
			return nil, nil
		}
		if w := answer(p, http.MethodPost, "/-/reload"+query); w.Code != http.StatusOK || got != want {
			t.Errorf("%q: %d, register and certificates forced: %v", query, w.Code, got)
		}
	}
	p := fictive()
	p.Reload = func(string, bool, bool) ([]string, error) { t.Error("an unknown force reloads"); return nil, nil }
	if w := answer(p, http.MethodPost, "/-/reload?force=all"); w.Code != http.StatusBadRequest {
		t.Errorf("force=all: %d", w.Code)
	}
}
