package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"time"

	"github.com/piano-roc/rpn/tlsconf/expiry"
)

func sortByEnd(list []expiry.Expiry) {
	slices.SortFunc(list, func(x, y expiry.Expiry) int { return cmp.Or(x.End.Compare(y.End), cmp.Compare(x.Serial, y.Serial)) })
}

// A view is a page that is measured.
type view struct{ who, name, path string }

// The targets of a page.
const (
	within   = 100 * time.Millisecond
	maxBytes = 150 << 10
)

// views are every page, of the largest and of the median.
func (w *showcase) views() (list []view) {
	add := func(who, name, path string) { list = append(list, view{who, name, path}) }
	add(nobody, "weather", "/meteo")
	add(nobody, "weather, JSON", "/meteo.json")
	add(nobody, "definitions", "/fiches")
	add(operator, "national situation", "/national")
	add(operator, "live", "/national/direct")
	add(operator, "national figures, 13 months", "/national/indicateurs?periode=13mois")
	add(operator, "register", "/registre")
	add(operator, "what waits", "/decisions")
	add(operator, "certificates", "/national/certificats")
	day := now.Format(time.DateOnly)
	add(operator, "search of today", "/national/echanges?du="+day+"&au="+day)
	for _, e := range []struct {
		of   string
		i, k int
	}{{"largest", 0, 0}, {"median", w.establishments / 2, w.amcs / 2}} {
		at := "/etablissement/" + string(structure(e.i))
		add(operator, e.of+" establishment", at)
		add(operator, e.of+" establishment: figures, 28 days, with the others", at+"/indicateurs")
		add(operator, e.of+" establishment: figures, 13 months", at+"/indicateurs?periode=13mois")
		add(operator, e.of+" establishment: insurers, 7 days", at+"/organismes")
		add(operator, e.of+" establishment: insurers, 28 days", at+"/organismes?periode=28j")
		add(operator, e.of+" establishment: certificates", at+"/certificats")
		add(operator, e.of+" establishment: search of today", at+"/echanges?du="+day+"&au="+day)
		add(operator, e.of+" establishment: a file of a week", at+"/fichiers/2026-S47/activite")
		at = "/amc/" + string(numero(e.k))
		add(operator, e.of+" insurer", at)
		add(operator, e.of+" insurer: figures, 13 months", at+"/indicateurs?periode=13mois")
		add(operator, e.of+" insurer: callers, today", at+"/appelants")
		add(operator, e.of+" insurer: callers, 28 days", at+"/appelants?periode=28j")
	}
	for _, x := range w.records {
		if x.From == structure(ours) {
			add(operator, "an exchange", "/etablissement/"+string(x.From)+"/echange/"+string(x.ID))
			break
		}
	}
	return list
}

// get asks for a page, and measures how long that takes.
func (w *showcase) get(ctx context.Context, who, path string) (*httptest.ResponseRecorder, time.Duration) {
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil)
	rw := httptest.NewRecorder()
	began := time.Now()
	w.as(who).ServeHTTP(rw, r)
	return rw, time.Since(began)
}

// bench writes the table of the pages: how long each takes, later than the
// answers that are kept for ten seconds, and how large it is.
func (w *showcase) bench(ctx context.Context, out io.Writer, rounds int) error {
	fmt.Fprintf(out, "| page | first | median of %d | kB | |\n|---|---|---|---|---|\n", rounds)
	w.get(ctx, operator, "/national") // opens the store; the others of each establishment are summed in the background
	for _, v := range w.views() {
		var times []time.Duration
		var body int
		var head string
		for range rounds {
			w.later.Add(int64(11 * time.Second))
			w.get(ctx, nobody, "/meteo") // as the background does, every 20 s
			rw, took := w.get(ctx, v.who, v.path)
			if rw.Code != http.StatusOK {
				return fmt.Errorf("%s: %d", v.path, rw.Code)
			}
			times, body, head = append(times, took), rw.Body.Len(), rw.Header().Get("Content-Type")
		}
		first := times[0]
		slices.Sort(times)
		verdict := ""
		if page := strings.HasPrefix(head, "text/html"); times[rounds/2] > within || page && body > maxBytes {
			verdict = "**over**"
		}
		fmt.Fprintf(out, "| %s | %s | %s | %.0f | %s |\n", v.name, ms(first), ms(times[rounds/2]), float64(body)/1000, verdict)
	}
	w.later.Add(int64(61 * time.Second))
	_, took := w.get(ctx, nobody, "/meteo")
	fmt.Fprintf(out, "| weather, made again (in the background while somebody reads) | %s | | | |\n", ms(took))
	return ctx.Err()
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }
