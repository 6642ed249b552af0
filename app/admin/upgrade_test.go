package admin

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
)

// An upgrade is asked by the unix socket alone, and says at its end what came of
// it.
func TestAnUpgradeIsAskedByTheSocketAlone(t *testing.T) {
	t.Parallel()
	asked := 0
	p := fictive()
	p.Upgrade = func(_ context.Context, program string, progress func(string)) error {
		asked++
		progress("starting " + program)
		if program == "/broken" {
			return errors.New("the fictitious reason")
		}
		return nil
	}
	for program, want := range map[string]string{
		"/good":   "starting /good\n" + Upgraded + "\n",
		"/broken": "starting /broken\n" + NotUpgraded + " the fictitious reason\n",
	} {
		r := httptest.NewRequest(http.MethodPost, "/-/upgrade?program="+program, nil)
		w := httptest.NewRecorder()
		Handler(p).ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), peerKey{}, "rpn")))
		if w.Code != http.StatusOK || w.Body.String() != want {
			t.Errorf("%s: %d %q, want %q", program, w.Code, w.Body, want)
		}
	}
	if w := answer(p, http.MethodPost, "/-/upgrade?program=/good"); w.Code != http.StatusForbidden || asked != 2 {
		t.Errorf("not by the socket: %d, asked %d times", w.Code, asked)
	}
}
