package fictif

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/roc"
)

func load(t *testing.T, file string) *Rows {
	t.Helper()
	r, err := Load(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestYAMLAndCSVSayTheSame(t *testing.T) {
	t.Parallel()
	y, c := load(t, "bon.yaml"), load(t, "bon.csv")
	if y.Len() != 7 || !reflect.DeepEqual(y, c) {
		t.Errorf("YAML: %+v\nCSV: %+v", y.rows, c.rows)
	}
}

func TestAnswer(t *testing.T) {
	t.Parallel()
	rows := load(t, "bon.csv")
	june := time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC)
	both := []string{message.TypeURL, message.TypeMEL}
	for _, c := range []struct {
		rule       string
		amc        roc.NumeroAMC
		convention roc.Convention
		csr        roc.CSR
		domaine    roc.Domaine
		types      []string
		at         time.Time
		code       string
		want       string
	}{
		{"every service, version and type has one address", "0077565712", "", "", roc.HOSP, both, june, "00",
			"https://ans.example/roc/v1/idb https://ans.example/roc/v2/idb dre-es@ans.example"},
		{"the most specific row wins, service by service", "0077565712", "RO", "941234567", roc.HOSP, both, june, "00",
			"https://ans.example/roc/94 https://ans.example/roc/v2/idb dre-es@ans.example"},
		{"the domaine counts", "0077565712", "RO", "941234567", roc.EXTE, both, june, "00",
			"https://ans.example/roc/94/externes https://ans.example/roc/v2/idb dre-es@ans.example"},
		{"only URLs", "0077565712", "", "", roc.HOSP, []string{message.TypeURL}, june, "00",
			"https://ans.example/roc/v1/idb https://ans.example/roc/v2/idb"},
		{"no type asks for URLs", "0077565712", "", "", roc.HOSP, nil, june, "00",
			"https://ans.example/roc/v1/idb https://ans.example/roc/v2/idb"},
		{"only the mail address", "0077565712", "", "", roc.HOSP, []string{message.TypeMEL}, june, "00", "dre-es@ans.example"},
		{"an AMC without a row", "0012345678", "", "", roc.HOSP, both, june, "01", ""},
		{"rows that are no longer valid", "0066666666", "", "", roc.HOSP, both, june, "01", ""},
		{"the last day is valid, to its end in Paris", "0066666666", "", "", roc.HOSP, both, time.Date(2020, 12, 31, 22, 59, 59, 0, time.UTC), "00", "https://ancienne.example/roc/clc"},
		{"the day after is not", "0066666666", "", "", roc.HOSP, both, time.Date(2020, 12, 31, 23, 0, 0, 0, time.UTC), "01", ""},
	} {
		a := rows.Answer(message.SearchRequest{
			Adressage: message.Adressage{AMC: c.amc, Convention: c.convention, CSR: c.csr, Domaine: c.domaine}, Types: c.types,
		}, c.at)
		var got []string
		for _, d := range a.Adresses {
			got = append(got, d.Valeur)
		}
		if a.Code != c.code || strings.Join(got, " ") != c.want {
			t.Errorf("%s: code %s, %v; want %s, %s", c.rule, a.Code, got, c.code, c.want)
		}
		if a.Code == "00" && (a.AMC != c.amc || a.Nom == "") {
			t.Errorf("%s: about %s %q", c.rule, a.AMC, a.Nom)
		}
	}
	if a := rows.Answer(message.SearchRequest{Adressage: message.Adressage{AMC: "0088888888"}}, june); a.ROC {
		t.Error("an AMC out of ROC is said to be in it")
	}
}

const header = "numero_amc;nom;roc;convention;csr;domaine;service;version;url;mel;debut;fin\n"

func TestBadCSV(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "f.csv: empty; the first line names the columns"},
		{"header only", header, "f.csv: no row under the header"},
		{"unknown column", "numero_amc;nom;debut;fin;finess\n", `f.csv:1: unknown column "finess"`},
		{"column twice", "numero_amc;nom;debut;fin;nom\n", "f.csv:1: column nom stands twice"},
		{"column missing", "numero_amc;nom;debut\n", "f.csv:1: column fin is missing"},
		{"commas", strings.ReplaceAll(header, ";", ","), "f.csv:1: unknown column"},
		{"a field too few", header + "77565712;M\n", "f.csv:2: 2 fields under 12 columns"},
		{"AMC", header + "12;M;;;;;IDB;V1;https://a.example;;2026-01-01;2026-12-31\n", "f.csv:2: numero_amc: an AMC number is 8 to 10 digits"},
		{"no AMC", header + ";M;;;;;IDB;V1;https://a.example;;2026-01-01;2026-12-31\n", "f.csv:2: numero_amc: is required"},
		{"roc", header + "77565712;M;oui;;;;IDB;V1;https://a.example;;2026-01-01;2026-12-31\n", "f.csv:2: roc: is true or false"},
		{"CSR", header + "77565712;M;;;94*;;IDB;V1;https://a.example;;2026-01-01;2026-12-31\n", "f.csv:2: csr: a CSR is made of"},
		{"domaine", header + "77565712;M;;;;SSR;IDB;V1;https://a.example;;2026-01-01;2026-12-31\n", "f.csv:2: domaine: a domaine conventionnel is HOSP or EXTE"},
		{"day", header + "77565712;M;;;;;IDB;V1;https://a.example;;01/01/2026;2026-12-31\n", "f.csv:2: debut: a day is written YYYY-MM-DD"},
		{"days the wrong way", header + "77565712;M;;;;;IDB;V1;https://a.example;;2026-12-31;2026-01-01\n", "f.csv:2: fin: the last day of validity is before the first"},
		{"no address", header + "77565712;M;;;;;IDB;V1;;;2026-01-01;2026-12-31\n", "f.csv:2: url: a row has an url or a mel"},
		{"two addresses", header + "77565712;M;;;;;IDB;V1;https://a.example;a@a.example;2026-01-01;2026-12-31\n", "f.csv:2: mel: a row has an url or a mel, not both"},
		{"service", header + "77565712;M;;;;;ANNUAIRE;V1;https://a.example;;2026-01-01;2026-12-31\n", "f.csv:2: service: a row with an url has a service"},
		{"version", header + "77565712;M;;;;;IDB;V3;https://a.example;;2026-01-01;2026-12-31\n", "f.csv:2: version: a row with an url has a version"},
		{"mail of a service", header + "77565712;M;;;;;IDB;V1;;a@a.example;2026-01-01;2026-12-31\n", "f.csv:2: service: a mel is the address of DRE V1.0"},
		{"twins", header + strings.Repeat("77565712;M;;;;;IDB;V1;https://a.example;;2026-01-01;2026-12-31\n", 2), "f.csv:3: this row says the same as the one of line 2"},
		{"quotes", header + "77565712;\"M;;;;;IDB;V1;https://a.example;;2026-01-01;2026-12-31\n", "f.csv:2: "},
		{"all at once", header + "12;M;oui;;;;IDB;V1;https://a.example;;2026-01-01;2026-12-31\n77565712;M;;;;;IDB;V9;https://a.example;;2026-01-01;2026-12-31\n",
			"f.csv:2: numero_amc: an AMC number is 8 to 10 digits\nf.csv:2: roc: is true or false\nf.csv:3: version:"},
	} {
		_, err := ParseCSV("f.csv", []byte(c.text))
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
}

func TestBadYAML(t *testing.T) {
	t.Parallel()
	const good = "{numero_amc: 77565712, nom: M, service: IDB, version: V1, url: 'https://a.example', debut: 2026-01-01, fin: 2026-12-31}\n"
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "f.yaml:1:1"},
		{"unknown field", "lignes:\n  - " + strings.Replace(good, "nom:", "name:", 1), "f.yaml:2:28"},
		{"AMC", "lignes:\n  - " + strings.Replace(good, "77565712", "775", 1), "an AMC number is 8 to 10 digits"},
		{"version", "lignes:\n  - " + good + "  - " + strings.Replace(good, "V1", "V7", 1), "f.yaml:3:59: lignes[1].version: a row with an url has a version: V1 or V2"},
		{"twins", "lignes:\n  - " + good + "  - " + good, "f.yaml:3:5: lignes[1]: this row says the same as the one of line 2"},
	} {
		_, err := ParseYAML("f.yaml", []byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
}

func TestLoadReadsKnownKindsOfFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "rows.txt")
	if err := os.WriteFile(file, []byte(header), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(file); err == nil || !strings.Contains(err.Error(), ".yaml, .yml or .csv") {
		t.Errorf("a .txt: %v", err)
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none.csv")); err == nil || !strings.Contains(err.Error(), "none.csv") {
		t.Errorf("a missing file: %v", err)
	}
}

func TestRowsOfAProgramAreChecked(t *testing.T) {
	t.Parallel()
	day, _ := ParseDay("2026-01-01")
	good := Row{AMC: "0077565712", Nom: "M", Service: "IDB", Version: "V1", URL: "https://a.example", Debut: day, Fin: day}
	if r, err := NewRows([]Row{good}); err != nil || r.Len() != 1 {
		t.Errorf("good rows: %v", err)
	}
	if _, err := NewRows([]Row{good, good}); err == nil || err.Error() != "row 1 says the same as row 0" {
		t.Errorf("twins: %v", err)
	}
	bad := good
	bad.URL = ""
	if _, err := NewRows([]Row{bad}); err == nil || err.Error() != "row 0: url: a row has an url or a mel" {
		t.Errorf("no address: %v", err)
	}
}
