package live

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/piano-roc/rpn/internal/roc"
)

func structure(id roc.StructureID) (string, bool) { return string(id), id == "1990000011" }

func structures(yield func(label, nom string)) { yield("1990000011", "CHU de Sainte-Fiction") }

func pageOf(e *Etablissements) string {
	w := httptest.NewRecorder()
	e.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics/etablissements", nil))
	return w.Body.String()
}

func TestEachEstablishmentOfTheRegisterHasItsSeries(t *testing.T) {
	t.Parallel()
	e := NewEtablissements(structure, structures)
	want := func(lines ...string) {
		t.Helper()
		text := pageOf(e)
		for _, line := range lines {
			if !strings.Contains(text, line+"\n") {
				t.Errorf("there is no %s", line)
			}
		}
	}
	want(`rpn_etablissement_exchanges_total{responsable="rpn",structure="1990000011"} 0`, `rpn_etablissement_info{nom="CHU de Sainte-Fiction",structure="1990000011"} 1`)
	rec := record(roc.Refused, roc.TooMany, numero(0))
	rec.From, rec.Waited = "1990000011", 4*time.Millisecond
	e.Observe(rec)
	rec.From = "1999999999" // of no register
	e.Observe(rec)
	want(`rpn_etablissement_exchanges_total{responsable="etablissement",structure="1990000011"} 1`,
		`rpn_etablissement_exchanges_total{responsable="personne",structure="1990000011"} 0`,
		`rpn_etablissement_limited_total{structure="1990000011"} 1`,
		`rpn_etablissement_seconds_total{part="total",structure="1990000011"} 0.1`,
		`rpn_etablissement_seconds_total{part="amc",structure="1990000011"} 0.09`,
		`rpn_etablissement_seconds_total{part="rpn",structure="1990000011"} 0.005999`) // 100 ms - 90 - 4, and 1 µs of the annuaire
	if strings.Contains(pageOf(e), "1999999999") {
		t.Error("a structure that is not registered has series")
	}
	problems, err := testutil.GatherAndLint(e.Gatherer())
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}

// Three thousand establishments are 33 000 series, whatever is sent.
func TestTheSeriesOfEstablishmentsStayWithinTheBudget(t *testing.T) {
	t.Parallel()
	e := NewEtablissements(func(id roc.StructureID) (string, bool) { return string(id), strings.HasPrefix(string(id), "1990") }, func(yield func(label, nom string)) {
		for i := range 3000 {
			yield(fmt.Sprintf("1990%06d", i), fmt.Sprint("Hôpital fictif ", i))
		}
	})
	for i := range 6000 {
		for _, r := range roc.Reasons() {
			rec := record(roc.Refused, r, numero(i%7))
			rec.From = roc.StructureID(fmt.Sprintf("199%07d", i))
			e.Observe(rec)
		}
	}
	n := 0
	for line := range strings.Lines(pageOf(e)) {
		if !strings.HasPrefix(line, "#") {
			n++
		}
	}
	if n != 33_000 {
		t.Errorf("%d series, want 11 for each of 3000", n)
	}
}

// What the RPN added is what is left once the time of each other one is taken
// away.
func TestWhatTheRPNAddsIsNobodyElsesTime(t *testing.T) {
	t.Parallel()
	rec := record(roc.Answered, "", numero(0)) // 100 ms, of which 90 of the insurer, 1 µs of the annuaire
	rec.Lookup, rec.Waited = 2*time.Millisecond, 3*time.Millisecond
	if got, want := rec.Added(), 5*time.Millisecond-time.Microsecond; got != want {
		t.Errorf("added %s, want %s", got, want)
	}
	rec.Waited = time.Second
	if rec.Added() != 0 {
		t.Error("less than nothing was added")
	}
	l := full(t, 1)
	abandoned := record(roc.Abandoned, "", numero(0))
	l.Observe(abandoned)
	if !strings.Contains(scrape(l), "rpn_added_seconds_count 0\n") {
		t.Error("an exchange that its caller left counts")
	}
}
