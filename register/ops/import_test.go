package ops_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/strict"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/register/ops"
)

var update = flag.Bool("update", false, "rewrite the .want files of testdata")

var today = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

func file(t testing.TB, name string) ops.File {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return ops.File{Name: name, Data: data}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s\n--- got\n%s--- want\n%s", name, got, want)
	}
}

func amcs(t testing.TB) *register.List {
	t.Helper()
	l, err := register.LoadAMCs("testdata/amc.yaml", today)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// made imports, and reads what it made back as the RPN does.
func made(t testing.TB, s ops.Sources) (*ops.Imported, *register.List) {
	t.Helper()
	s.AMCs, s.At = amcs(t), today
	m, err := ops.Import(s)
	if err != nil {
		t.Fatal(err)
	}
	l, err := register.Parse("out.yaml", ops.YAML(m.Rows, ""), "amc.yaml", file(t, "amc.yaml").Data, today)
	if err != nil {
		t.Fatal(err)
	}
	return m, l
}

func TestARegisterIsMadeOfTheExtractAndTheStates(t *testing.T) {
	t.Parallel()
	states := file(t, "states.csv")
	m, _ := made(t, ops.Sources{FINESS: file(t, "extract.csv"), States: &states})
	golden(t, "import.want", strings.Join(m.Notes, "\n")+"\n"+string(ops.YAML(m.Rows, "Made for a test.")))
}

// Every field of a limit has its column, named as in the register: over a base,
// those that are given replace what stood there and no other.
func TestEveryFieldOfALimitHasItsColumn(t *testing.T) {
	t.Parallel()
	fields := reflect.TypeFor[register.Limite]()
	var names, values []string
	for i := range fields.NumField() {
		f := fields.Field(i)
		value := "7"
		if f.Type.Kind() == reflect.String {
			value = string(register.Shape)
		}
		names, values = append(names, f.Tag.Get("yaml")), append(values, value)
	}
	read := func(base *register.List, names, values []string) (register.Limite, *register.List) {
		states := ops.File{Name: "s.csv", Data: []byte("finess_ej;etat;" + strings.Join(names, ";") + "\n010003812;cercle;" + strings.Join(values, ";") + "\n")}
		m, l := made(t, ops.Sources{FINESS: file(t, "extract.csv"), States: &states, Base: base})
		e, ok := l.ByStructure("1010003812")
		if !ok || strings.Contains(strings.Join(m.Notes, ""), "not read") {
			t.Fatalf("not imported, or a column is not read: %v", m.Notes)
		}
		return e.Limite, l
	}
	all, base := read(nil, names, values)
	for v, i := reflect.ValueOf(all), 0; i < v.NumField(); i++ {
		if v.Field(i).IsZero() {
			t.Errorf("the column %s changes nothing: %+v", names[i], all)
		}
	}
	want := all
	want.OctetsParSeconde, want.Mode = 16<<20, register.Observe
	if got, _ := read(base, []string{"octets_par_seconde", "mode"}, []string{"16MiB", "observe"}); got != want {
		t.Errorf("over the base: %+v, want %+v", got, want)
	}
}

// The same sites, however the extract is written.
func TestTheExtractInAllItsForms(t *testing.T) {
	t.Parallel()
	published := file(t, "extract.csv").Data
	_, rows, _ := bytes.Cut(published, []byte("\n"))
	latin1 := func(b []byte) []byte {
		var out []byte
		for _, r := range string(b) {
			out = append(out, byte(r))
		}
		return out
	}
	states := file(t, "states.csv")
	want, _ := made(t, ops.Sources{FINESS: ops.File{Name: "x", Data: published}, States: &states})
	for name, data := range map[string][]byte{
		"ISO-8859-1":                    latin1(published),
		"a byte order mark":             append([]byte("\ufeff"), published...),
		"lines of Windows":              bytes.ReplaceAll(published, []byte("\n"), []byte("\r\n")),
		"without its first line":        rows,
		"with the names of its columns": file(t, "extract-header.csv").Data,
		"with commas":                   file(t, "extract-commas.csv").Data,
	} {
		got, _ := made(t, ops.Sources{FINESS: ops.File{Name: "x", Data: data}, States: &states})
		if string(ops.YAML(got.Rows, "")) != string(ops.YAML(want.Rows, "")) {
			t.Errorf("%s:\n%s\nwant\n%s", name, ops.YAML(got.Rows, ""), ops.YAML(want.Rows, ""))
		}
	}
}

func TestWithoutStatesAnImportOpensNothing(t *testing.T) {
	t.Parallel()
	m, l := made(t, ops.Sources{FINESS: file(t, "extract.csv")})
	n := 0
	for e := range l.Etablissements() {
		n++
		if e.Etat != register.Suspendu {
			t.Errorf("%s is %s", e.EJ, e.Etat)
		}
	}
	if n != 3 || !strings.Contains(strings.Join(m.Notes, "\n"), "suspendu") {
		t.Errorf("%d establishments, %q", n, m.Notes)
	}
}

// What the extract and the table do not say is kept from the base.
func TestABaseIsKept(t *testing.T) {
	t.Parallel()
	base, err := register.Load("testdata/base.yaml", "testdata/amc.yaml", today)
	if err != nil {
		t.Fatal(err)
	}
	states := ops.File{Name: "s.csv", Data: []byte("finess_ej;etat;depuis\n010003812;suspendu;2026-11-21\n2A0000014;cercle;2027-01-01\n")}
	m, l := made(t, ops.Sources{FINESS: file(t, "extract.csv"), States: &states, Base: base})
	golden(t, "import-base.want", strings.Join(m.Notes, "\n")+"\n"+string(ops.YAML(m.Rows, "")))
	if es, _ := l.BySite("010003812"); es.Etat != register.Suspendu {
		t.Errorf("today it is %s", es.Etat)
	}
	if es, _ := l.At(today.AddDate(0, 0, -10)).BySite("010003812"); es.Etat != register.Surveillance {
		t.Errorf("ten days ago it was %s", es.Etat)
	}
	// A state without a date keeps what is in force today until the new one.
	if es, _ := l.BySite("2A0000014"); es.Etat != register.Accrochage {
		t.Errorf("until 2027 it is %s", es.Etat)
	}
}

// An insurer that is on trial may be an AMC miroir from the day on which its
// trials end.
func TestAMiroirMayBeAnInsurerOnTrial(t *testing.T) {
	t.Parallel()
	l, err := register.Parse("e", []byte("etablissements: [{finess_ej: 010003812, nom: A, etat: cercle}]\n"), "a", []byte(`amcs:
  - {nom: B, numeros: [0075500025], essais_avec: [010003812], etats: [{depuis: 2026-01-01, etat: validation}, {depuis: 2027-01-01, etat: cercle}]}
`), today)
	if err != nil {
		t.Fatal(err)
	}
	states := ops.File{Name: "s.csv", Data: []byte("finess_ej;etat;depuis;amc_miroir\n010003812;surveillance;2027-02-01;0075500025\n")}
	if _, err := ops.Import(ops.Sources{FINESS: file(t, "extract.csv"), States: &states, AMCs: l, At: today}); err != nil {
		t.Error(err)
	}
}

// Each bad file is named after its fault; the .want beside it is the whole
// message. The bad-states-* are read beside a good extract.
func TestBadFilesAreExplained(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/bad-*.csv")
	if err != nil || len(files) < 12 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, path := range files {
		name := filepath.Base(path)
		t.Run(strings.TrimSuffix(name, ".csv"), func(t *testing.T) {
			t.Parallel()
			s := ops.Sources{FINESS: file(t, name), AMCs: amcs(t), At: today}
			if strings.HasPrefix(name, "bad-states-") {
				states := file(t, name)
				s.FINESS, s.States = file(t, "extract.csv"), &states
			}
			m, err := ops.Import(s)
			var all strict.Errors
			if m != nil || !errors.As(err, &all) {
				t.Fatalf("not refused as a bad file: %v", err)
			}
			golden(t, strings.TrimSuffix(name, ".csv")+".want", err.Error()+"\n")
		})
	}
}

// Whatever a register holds, what YAML writes of it reads back the same.
func TestWhatIsWrittenReadsBackTheSame(t *testing.T) {
	t.Parallel()
	text := rapid.StringMatching(`[ -~éèÀ’«»\t\x{85}\x{a0}\x{2028}:#'"\\\[\]{}|>&*!%@-]{1,30}`).Filter(func(s string) bool { return strings.TrimSpace(s) != "" })
	moments := []string{"2026-01-01", "2026-06-30T22:00:00Z", "2026-11-01T08:00:00+01:00", "2027-01-01"}
	rapid.Check(t, func(t *rapid.T) {
		moment := func(i int) register.Moment {
			m, err := register.ParseMoment(moments[i])
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
		e := register.Etablissement{EJ: "010003812", Nom: text.Draw(t, "nom"), Region: rapid.OneOf(text, rapid.Just("")).Draw(t, "region"), GAP: rapid.OneOf(text, rapid.Just("")).Draw(t, "gap")}
		for i := range rapid.IntRange(0, 3).Draw(t, "sites") {
			e.EGs = append(e.EGs, roc.FINESS(fmt.Sprintf("0%d0003820", i+1)))
		}
		if rapid.Bool().Draw(t, "simple") {
			e.Etats = []register.Changement{{Etat: register.Surveillance, Miroir: "0075500025"}}
		} else {
			for i := range rapid.IntRange(1, 4).Draw(t, "states") {
				e.Etats = append(e.Etats, register.Changement{Depuis: moment(i), Etat: register.Cercle, Motif: rapid.OneOf(text, rapid.Just("")).Draw(t, "motif")})
			}
		}
		e.Versions = rapid.SampledFrom([][]roc.Version{nil, {roc.V1}, {roc.V1, roc.V2}}).Draw(t, "versions")
		e.Limite = rapid.SampledFrom([]register.Limite{{}, {ParSeconde: 0.25}, {Rafale: 3}, {ParSeconde: 1e5, Rafale: 1}, {EnCours: 2, Connexions: 5, Octets: 1 << 20, ParOrganisme: 3}}).Draw(t, "limit")
		e.SansTimestamp = rapid.Bool().Draw(t, "timestamp")
		if rapid.Bool().Draw(t, "mandate") {
			e.Delegations = []register.Mandat{{Structure: "318751275100020", Period: register.Period{Depuis: moment(0), Jusque: moment(3)}}, {Structure: "12A0000014"}}
			e.Contacts = []register.Contact{{Nom: text.Draw(t, "contact"), Courriel: "a@b.example"}}
			e.Contrat = moment(0)
			e.Alertes = []register.Alerte{{Courriel: "a@b.example"}, {Webhook: "https://b.example/rpn?a=b#", Organismes: []roc.NumeroAMC{"0075500025"}}}
		}
		first := ops.YAML([]register.Etablissement{e}, "")
		l, err := register.Parse("f.yaml", first, "amc.yaml", []byte("amcs: [{nom: A, numeros: [0075500025], etat: cercle}]"), today)
		if err != nil {
			t.Fatalf("%v\n%s", err, first)
		}
		back, _ := l.BySite("010003812")
		if back.Limite != e.Limite {
			t.Fatalf("the limit %+v is read back as %+v", e.Limite, back.Limite)
		}
		if again := ops.YAML([]register.Etablissement{*back}, ""); string(again) != string(first) {
			t.Fatalf("wrote\n%s\nread back as\n%s", first, again)
		}
		if !slices.EqualFunc(back.Alertes, e.Alertes, func(a, b register.Alerte) bool { return fmt.Sprint(a) == fmt.Sprint(b) }) {
			t.Fatalf("the alerts %+v are read back as %+v", e.Alertes, back.Alertes)
		}
		if back.Nom != e.Nom || back.GAP != e.GAP {
			t.Fatalf("%q became %q", e.Nom, back.Nom)
		}
	})
}

// Whatever the bytes: an import says what is wrong, or makes a register that
// reads back.
func FuzzImport(f *testing.F) {
	for _, name := range []string{"extract.csv", "extract-header.csv", "states.csv"} {
		f.Add(file(f, name).Data, file(f, "states.csv").Data)
	}
	list := amcs(f)
	amcData := file(f, "amc.yaml").Data
	f.Fuzz(func(t *testing.T, extract, states []byte) {
		m, err := ops.Import(ops.Sources{FINESS: ops.File{Name: "x.csv", Data: extract}, States: &ops.File{Name: "s.csv", Data: states}, AMCs: list, At: today})
		if err != nil {
			return
		}
		data := ops.YAML(m.Rows, "")
		// A rule of the register may still be broken (a site that is an EJ): that
		// is said when the result is read back. Its form never is.
		_, err = register.Parse("out.yaml", data, "amc.yaml", amcData, today)
		if err != nil && len(m.Rows) > 0 && (strings.Contains(err.Error(), "YAML") || strings.Contains(err.Error(), "unknown field") || strings.Contains(err.Error(), "UTF-8")) {
			t.Fatalf("%v\n%s", err, data)
		}
	})
}
