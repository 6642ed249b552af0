package portal

import (
	"compress/gzip"
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/portal/incident"
)

// An outage that was told is an incident by itself, with the text that an operator
// gives it; one is opened and closed by hand too. Everybody reads them, and not who
// wrote them.
func TestIncidentsAreToldToEverybody(t *testing.T) {
	t.Parallel()
	c := newOpenCountry(t)
	began := noon.Add(-30 * time.Minute)
	if _, err := c.store.BeginOutage(t.Context(), &store.AnnouncedOutage{AMC: otherAMC, Began: began, Services: []roc.Service{roc.IDB}, Announced: noon}, nil); err != nil {
		t.Fatal(err)
	}
	say := func(who string, more ...string) int {
		form := url.Values{}
		for i := 0; i < len(more); i += 2 {
			form.Set(more[i], more[i+1])
		}
		return c.ask(who, http.MethodPost, "/incidents", form).Code
	}
	id := incident.MeasuredID(otherAMC, began)
	const told, general = "Réseau <coupé> chez l'hébergeur \"fictif\" & remis à 15 h", "Bascule fictive du RPN"
	for _, try := range []struct {
		who  string
		form []string
		want int
	}{
		{"lecture", []string{"acte", "ouvrir", "texte", general}, http.StatusForbidden},
		{"own", []string{"acte", "ouvrir", "texte", general}, http.StatusNotFound},
		{"public", []string{"acte", "ouvrir", "texte", general}, http.StatusForbidden},
		{"exploitation", []string{"jeton", "x", "acte", "ouvrir", "texte", general}, http.StatusBadRequest},
		{"exploitation", []string{"acte", "ouvrir", "texte", "deux\nlignes"}, http.StatusBadRequest},
		{"exploitation", []string{"acte", "ouvrir", "texte", "à l'envers \u202e"}, http.StatusBadRequest},
		{"exploitation", []string{"acte", "ouvrir", "texte", "\xff"}, http.StatusBadRequest},
		{"exploitation", []string{"acte", "ouvrir", "texte", strings.Repeat("x", incident.MaxText+1)}, http.StatusBadRequest},
		{"exploitation", []string{"acte", "ouvrir", "texte", ""}, http.StatusBadRequest},
		{"exploitation", []string{"acte", "ouvrir", "amc", "0099999999", "texte", general}, http.StatusBadRequest},
		{"exploitation", []string{"acte", "clore", "incident", id}, http.StatusBadRequest}, // the figures close it
		{"exploitation", []string{"acte", "texte", "incident", "panne-0099000003-1", "texte", told}, http.StatusBadRequest},
		{"exploitation", []string{"acte", "texte", "incident", id, "texte", told}, http.StatusSeeOther},
		{"second", []string{"acte", "ouvrir", "texte", general}, http.StatusSeeOther},
	} {
		if code := say(try.who, try.form...); code != try.want {
			t.Errorf("%s %v: %d, want %d", try.who, try.form, code, try.want)
		}
	}
	shown := func() (list []incidentView) {
		t.Helper()
		var got struct{ Incidents []incidentView }
		if err := json.Unmarshal(c.get("public", "/meteo.json").Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		return got.Incidents
	}
	list := shown()
	if len(list) != 2 || list[0].Texte != general || list[0].Nom != "RPN ROC" || list[1].Texte != told || list[1].Ouvert != rfc3339(began) || !list[1].Mesure {
		t.Fatalf("the incidents are %+v", list)
	}
	var feed struct {
		Entries []struct {
			ID      string `xml:"id"`
			Summary string `xml:"summary"`
		} `xml:"entry"`
	}
	if err := xml.Unmarshal(c.get("public", "/meteo.atom").Body.Bytes(), &feed); err != nil || len(feed.Entries) < 2 || feed.Entries[1].Summary != told || feed.Entries[1].ID != "urn:rpn:incident:"+id {
		t.Errorf("the feed: %v, %+v", err, feed)
	}
	body := c.page("public", "/meteo")
	if !strings.Contains(body, "Réseau &lt;coupé&gt;") || strings.Contains(body, "exploitant exploitation") || !strings.Contains(c.page("lecture", "/incidents"), "exploitant exploitation") {
		t.Error("the page does not tell the text, or tells everybody who wrote it")
	}
	if code := say("exploitation", "acte", "clore", "incident", list[0].ID); code != http.StatusSeeOther {
		t.Errorf("closed: %d", code)
	}
	if code := say("exploitation", "acte", "texte", "incident", list[0].ID, "texte", "encore"); code != http.StatusBadRequest {
		t.Errorf("told when it is closed: %d", code)
	}
	if list = shown(); len(list) != 2 || list[0].ID != id || list[1].Clos == "" {
		t.Errorf("one is closed: %+v", list)
	}
	if log := c.log.String(); strings.Count(log, `"portal_incident"`) != 3 || !strings.Contains(log, "exploitant second") {
		t.Error("who did what is not logged")
	}
	c.later = 8 * 24 * time.Hour
	again, err := incident.Open(incident.Options{File: filepath.Join(c.dir, "incidents"), Log: c.portal.o.Log, Now: c.now})
	if err != nil || len(again.Of(nil)) != 1 || again.Of(nil)[0].Text != general || again.Of(nil)[0].Closed.IsZero() {
		t.Errorf("read again: %+v, %v", again.Of(nil), err)
	}
	for i := 0; ; i++ {
		if err := again.Begin("", "x", "y"); err != nil {
			if i != 50 {
				t.Errorf("after %d: %v", i, err)
			}
			break
		}
	}
}

// What everybody reads is sent compressed to who takes it: no page with a form is.
func TestWhatEverybodyReadsIsSentCompressed(t *testing.T) {
	t.Parallel()
	c := newCountry(t)
	plainText := c.get("public", "/meteo.json").Body.Bytes()
	for accept, compressed := range map[string]bool{"gzip": true, "br, GZIP;q=0.5": true, "gzip;q=0": false, "gzip; q=0.0": false, "br": false, "": false} {
		r := httptest.NewRequest(http.MethodGet, "/meteo.json", nil)
		r.Header.Set("Accept-Encoding", accept)
		w := httptest.NewRecorder()
		c.portal.ServeHTTP(w, r)
		if (w.Header().Get("Content-Encoding") == "gzip") != compressed {
			t.Errorf("%q: %v", accept, w.Header())
			continue
		}
		body := w.Body.Bytes()
		if compressed {
			z, err := gzip.NewReader(w.Body)
			if err != nil {
				t.Fatal(err)
			}
			if body, err = io.ReadAll(z); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(body, plainText) {
			t.Errorf("%q: another text", accept)
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/decisions", nil)
	r.Header.Set("Accept-Encoding", "gzip")
	r.Header.Set("X-Test-Who", "exploitation")
	w := httptest.NewRecorder()
	if c.portal.ServeHTTP(w, r); w.Header().Get("Content-Encoding") != "" {
		t.Error("a page with the token of a form is compressed: its length tells of it")
	}
}
