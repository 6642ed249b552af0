package ops_test

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/register/ops"
	"github.com/piano-roc/rpn/routing/explain"
)

func load(t testing.TB, es, amc string) *register.List {
	t.Helper()
	l, err := register.Load(filepath.Join("testdata", es), filepath.Join("testdata", amc), today)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestACheckSaysWhatIsPlannedAndWhatLooksWrong(t *testing.T) {
	t.Parallel()
	golden(t, "check.want", ops.Check(load(t, "before.yaml", "amc.yaml")).String())
}

func TestRowsAreFoundByWhatPeopleType(t *testing.T) {
	t.Parallel()
	l := load(t, "before.yaml", "amc.yaml")
	for query, want := range map[string]string{
		"010003812": "010003812", "010003820": "010003812", "1010003812": "010003812", "1010003820": "010003812",
		"75500033": "AMC 0075500025", "00 75 50 00 33": "AMC 0075500025",
		"lilas": "010003812", "LILAS": "010003812", "hopital de l'orme": "690000013", "RHONE": "AMC 0075500025",
		"hôpital": "690000013", "fictif": "010003812 2A0000014", "": "", "990000018": "", "personne": "",
	} {
		f := ops.Find(l, query, explain.Reached(l))
		var got []string
		for _, e := range f.Etablissements {
			got = append(got, string(e.EJ))
		}
		for _, a := range f.AMCs {
			got = append(got, "AMC "+string(a.Numeros[0]))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q finds %v, want %q", query, got, want)
		}
	}
	find := func(query string) ops.Found { return ops.Find(l, query, explain.Reached(l)) }
	golden(t, "show.want", find("010003812").String()+find("75500025").String()+find("fictif").String())
}

// A pair is a folder, or one of the lists; anything else is not guessed.
func TestWhatAPathStandsFor(t *testing.T) {
	t.Parallel()
	in := func(name string) string { return filepath.Join("testdata", name) }
	for path, want := range map[string]ops.Pair{
		"testdata":        ops.In("testdata"),
		in("before.yaml"): {Etablissements: in("before.yaml")},
		in("amc.yaml"):    {AMC: in("amc.yaml")},
	} {
		if p, ok, err := ops.PairOf(path); err != nil || !ok || !reflect.DeepEqual(p, want) {
			t.Errorf("%s: %v %t %v", path, p, ok, err)
		}
	}
	if _, ok, err := ops.PairOf(in("states.csv")); ok || err == nil {
		t.Errorf("a CSV file: %t %v", ok, err)
	}
	if _, ok, err := ops.PairOf(in("config.yaml")); ok || err != nil {
		t.Errorf("a configuration: %t %v", ok, err)
	}
}
