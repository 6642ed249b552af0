package report

import (
	"bytes"
	"encoding/csv"
	"flag"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/journal"
)

var update = flag.Bool("update", false, "write docs/indicators.md again")

// docs/indicators.md is made of the cards.
func TestTheCardsAreTheDocumentation(t *testing.T) {
	t.Parallel()
	file := filepath.Join("..", "..", "docs", "indicators.md")
	if *update {
		if err := os.WriteFile(file, []byte(Markdown()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != Markdown() {
		t.Errorf("docs/indicators.md is not what the cards say (%v): go test ./indicators/report -update", err)
	}
}

func TestEveryCardIsWhole(t *testing.T) {
	t.Parallel()
	ids := map[string]bool{}
	for _, c := range Cards() {
		if ids[c.ID] || c.ID == "" || c.Name == "" || c.Unit == "" || c.Numerator == "" || c.Fields == "" || c.Version == 0 || c.Of == nil {
			t.Errorf("the card %q is not whole, or there are two", c.ID)
		}
		ids[c.ID] = true
		if strings.ContainsAny(c.Name+c.Numerator+c.Denominator, ";|") && !strings.Contains(c.Numerator, " ; ") {
			t.Errorf("the card %q breaks its table", c.ID)
		}
	}
}

func TestWeeks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ week, begins, ends string }{
		{"2026-S43", "2026-10-18T22:00:00Z", "2026-10-25T23:00:00Z"}, // 169 hours
		{"2026-S13", "2026-03-22T23:00:00Z", "2026-03-29T22:00:00Z"}, // 167 hours
		{"2026-S01", "2025-12-28T23:00:00Z", "2026-01-04T23:00:00Z"},
		{"2026-S53", "2026-12-27T23:00:00Z", "2027-01-03T23:00:00Z"},
		{"2024-S01", "2023-12-31T23:00:00Z", "2024-01-07T23:00:00Z"},
	} {
		w, err := ParseWeek(c.week)
		if err != nil {
			t.Error(err)
			continue
		}
		b, e := w.Begin().UTC().Format(time.RFC3339), w.End().UTC().Format(time.RFC3339)
		if b != c.begins || e != c.ends || w.String() != c.week {
			t.Errorf("%s: %s to %s, want %s to %s", w, b, e, c.begins, c.ends)
		}
		if WeekOf(w.End().Add(-time.Nanosecond)) != w || WeekOf(w.End()) == w {
			t.Errorf("%s does not end where it ends", w)
		}
	}
	for _, bad := range []string{"2025-S53", "2026-S00", "2026-S54", "2026-43", "S43", "2026-S4"} {
		if w, err := ParseWeek(bad); err == nil {
			t.Errorf("%s is taken for %s", bad, w)
		}
	}
}

// A page is a journal of exchanges.
type page []*journal.Exchange

func (p page) Bounds() (first, end uint64) { return 0, uint64(len(p)) }

func (p page) Checkpoint() (*journal.Checkpoint, error) {
	return &journal.Checkpoint{Origin: "rpn.example/a", Size: uint64(len(p))}, nil
}

func (p page) Entry(i uint64) (journal.Entry, error) {
	return journal.Entry{Index: i, Exchange: p[i]}, nil
}

func (p page) Entries(from uint64) iter.Seq2[journal.Entry, error] {
	return func(yield func(journal.Entry, error) bool) {
		for i := from; i < uint64(len(p)); i++ {
			if !yield(p.Entry(i)) {
				return
			}
		}
	}
}

const chu = roc.StructureID("1010003812")

func exchange(at time.Time, amc roc.NumeroAMC, s roc.Service, amcTime time.Duration, o roc.Outcome, r roc.Reason) *journal.Exchange {
	x := &journal.Exchange{}
	x.From, x.To.AMC, x.Service, x.Version = chu, amc, s, roc.V2
	x.RequestIn, x.Read, x.AMC = at, 10*time.Millisecond, amcTime
	x.RequestOut, x.AnswerOut = at.Add(12*time.Millisecond), at.Add(12*time.Millisecond+amcTime)
	x.Outcome, x.Reason = o, r
	if o == roc.FarFault {
		x.Replayed, x.AnswerCheck, x.AnswerBytes = true, string(roc.BadSignature), 700
	}
	if r != "" {
		x.MustAct = r.Meaning().Responsable
	}
	return x
}

// filled is a store with the week of the night of 25 hours, to its last second.
func filled(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "store.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	w := Week{2026, 43}
	first, last := w.Begin(), w.End().Add(-time.Second)
	p := page{
		exchange(first, "0099000003", roc.IDB, time.Second, roc.Answered, ""),
		exchange(last, "0099000003", roc.IDB, 3*time.Second, roc.Answered, ""),
		exchange(last, "0099000003", roc.IDB, 2*time.Second, roc.FarFault, ""),
		exchange(last, "0012345678", roc.CLC, time.Second, roc.Refused, roc.AMCSilent),
		exchange(last.Add(time.Second), "0099000003", roc.IDB, time.Second, roc.Answered, ""), // the next week
	}
	if err := s.Project(t.Context(), p, nil); err != nil {
		t.Fatal(err)
	}
	return s
}

func written(t *testing.T, f File, s *store.Store, w Week, structures ...roc.StructureID) string {
	t.Helper()
	var b bytes.Buffer
	name := func(n roc.NumeroAMC) string {
		if n == "0099000003" {
			return `=cmd|' /C calc'!A0;"Bleue"`
		}
		return ""
	}
	if err := f.Write(t.Context(), &b, s, structures, w, name); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTheWeeklyFiles(t *testing.T) {
	t.Parallel()
	s := filled(t)
	w := Week{2026, 43}
	scope3 := `2026-S43;"=""010003812""";"=""0099000003""";"'=cmd|' /C calc'!A0;""Bleue""";IDB;V2;`
	scope1 := `2026-S43;"=""010003812""";"=""0012345678""";;CLC;V2;`
	for f, want := range map[File][]string{
		Activity: {
			"semaine;finess;amc;nom_amc;service;version;echanges;reponses;part_reponses;part_refus;part_erreurs_amc;part_abandons;non_remis;part_rejoues",
			scope1 + "1;0;0,0000;1,0000;0,0000;0,0000;0;0,0000",
			scope3 + "3;2;0,6667;0,0000;0,3333;0,0000;0;0,3333",
		},
		Anomalies: {
			"semaine;finess;amc;nom_amc;service;version;code;libelle;echanges;a_faire_par;remede",
			scope1 + "RPN402;", scope3 + "far-fault;",
		},
		Times: {
			"semaine;finess;amc;nom_amc;service;version;echanges;part_2s;part_5s;part_20s;p50_total;",
			scope1 + "1;1,0000;1,0000;1,0000;", scope3 + "3;0,3333;1,0000;1,0000;",
		},
	} {
		got := written(t, f, s, w, chu)
		if !strings.HasPrefix(got, "\uFEFF") || strings.Count(got, "\n") != strings.Count(got, "\r\n") {
			t.Errorf("%s has no mark, or lines that do not end by CRLF", f)
		}
		lines := strings.Split(strings.TrimSuffix(strings.TrimPrefix(got, "\uFEFF"), "\r\n"), "\r\n")
		if len(lines) != len(want) {
			t.Errorf("%s has %d lines:\n%s", f, len(lines), got)
			continue
		}
		for i := range want {
			if !strings.HasPrefix(lines[i], want[i]) {
				t.Errorf("%s, line %d:\n%s\nwant\n%s", f, i+1, lines[i], want[i])
			}
		}
		r := csv.NewReader(strings.NewReader(strings.TrimPrefix(got, "\uFEFF")))
		r.Comma = ';'
		if all, err := r.ReadAll(); err != nil || len(all) != len(want) {
			t.Errorf("%s is not read as CSV: %v", f, err)
		}
	}
	if n := Activity.Name(chu, w); n != "activite_010003812_2026-S43.csv" {
		t.Errorf("its name is %s", n)
	}
}

// A week without activity is files with their headings.
func TestAWeekOfNoActivity(t *testing.T) {
	t.Parallel()
	s := filled(t)
	for _, f := range Files() {
		if got := written(t, f, s, Week{2026, 40}, chu); strings.Count(got, "\r\n") != 1 {
			t.Errorf("%s:\n%s", f, got)
		}
	}
}

// A cell that a spreadsheet would run is text.
func TestNoFormula(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"=1+1": "'=1+1", "+33": "'+33", "-1": "'-1", "@SUM(A1)": "'@SUM(A1)", "-": "-", "": "", "\t=1": " =1", "a;b": `"a;b"`, `a"b`: `"a""b"`, "a\r\n=1": "a  =1",
	} {
		if got := text(in); got != want {
			t.Errorf("%q is written %s, want %s", in, got, want)
		}
	}
	if got := digits(`1"+1`); strings.HasPrefix(got, `"=`) {
		t.Errorf("what is not digits is a formula: %s", got)
	}
}

// What the cards say of a set of exchanges, counted by hand.
func TestTheCards(t *testing.T) {
	t.Parallel()
	s := filled(t)
	w := Week{2026, 43}
	rows, err := s.Figures(t.Context(), store.Query{Grain: store.Day, From: w.Begin(), To: w.End(), Structures: []roc.StructureID{chu}, By: Dimensions})
	if err != nil {
		t.Fatal(err)
	}
	sum := SumOf(rows)
	want := map[string]string{
		"echanges": "4", "reponses": "2", "part_reponses": "0,5000", "part_refus": "0,2500", "part_erreurs_amc": "0,2500", "part_abandons": "0,0000",
		"part_non_abouti_amc": "0,2500", "part_non_abouti_etablissement": "0,0000", "non_remis": "0", "part_2s": "0,5000", "part_20s": "1,0000",
		"idb": "3", "clc": "1", "sim": "0", "clc_par_idb": "0,3333", "part_rejoues": "0,2500", "signatures_mauvaises": "1", "octets_recus": "700",
	}
	for id, w := range want {
		c := CardsOf(id)[0]
		v, known := c.Of(sum)
		if got := number(c.Unit, v, known); got != w {
			t.Errorf("%s is %s, want %s", id, got, w)
		}
	}
	for id, about := range map[string]time.Duration{"p50_amc": time.Second, "p99_amc": 3 * time.Second, "p50_rpn": 2 * time.Millisecond, "p50_appelant": 10 * time.Millisecond} {
		v, _ := CardsOf(id)[0].Of(sum)
		if d := v - about.Seconds(); d > about.Seconds()/99 || d < -about.Seconds()/99 {
			t.Errorf("%s is %v, want %v", id, v, about)
		}
	}
	empty := SumOf(nil)
	for _, c := range Cards() {
		if v, known := c.Of(empty); v != 0 || known && c.Unit != Exchanges && c.Unit != Bytes {
			t.Errorf("%s of nothing is %v, %v", c.ID, v, known)
		}
	}
}

// An exchange with the certificate of a site (EG) is one of its establishment.
func TestTheFilesAreOfAllCertificatesOfTheEstablishment(t *testing.T) {
	t.Parallel()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "store.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	w := Week{2026, 43}
	var p page
	for _, from := range []roc.StructureID{chu, "1010003820", "1020000012"} { // its site, and another establishment
		x := exchange(w.Begin(), "0099000003", roc.IDB, time.Second, roc.Answered, "")
		x.From = from
		p = append(p, x)
	}
	if err := s.Project(t.Context(), p, nil); err != nil {
		t.Fatal(err)
	}
	if got := written(t, Activity, s, w, chu, "1010003820"); strings.Count(got, "010003812") != 1 || !strings.Contains(got, ";IDB;V2;2;2;") {
		t.Errorf("%s", got)
	}
}
