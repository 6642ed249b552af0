package explain_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/routing"
	"github.com/piano-roc/rpn/routing/explain"
)

var update = flag.Bool("update", false, "rewrite the .want files of testdata")

var today = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

// registers is where the registers of these tests are.
const registers = "../../register/ops/testdata"

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

func load(t testing.TB, es, amc string) *register.List {
	t.Helper()
	l, err := register.Load(filepath.Join(registers, es), filepath.Join(registers, amc), today)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestNothingChanges(t *testing.T) {
	t.Parallel()
	l := load(t, "before.yaml", "amc.yaml")
	d := explain.Compare(l, load(t, "before.yaml", "amc.yaml"), register.Standard{})
	if !d.Empty() || d.String() != "nothing changes\n" {
		t.Errorf("%s", d)
	}
}

func TestWhoGainsAndLosesAccess(t *testing.T) {
	t.Parallel()
	d := explain.Compare(load(t, "before.yaml", "amc.yaml"), load(t, "after.yaml", "amc-after.yaml"), register.Standard{})
	golden(t, "diff.want", d.String())
	back := explain.Compare(load(t, "after.yaml", "amc-after.yaml"), load(t, "before.yaml", "amc.yaml"), register.Standard{})
	if len(d.Lose) != len(back.Gain) || len(d.Gain) != len(back.Lose) || len(d.Unreachable) != len(back.Reachable) || len(d.SitesLost) != len(back.SitesGained)+1 || len(d.Planned) != len(back.Cancelled) {
		t.Errorf("the way back is not the reverse:\n%s", back)
	}
}

// The same two registers at another date do not say the same.
func TestADiffIsThatOfADate(t *testing.T) {
	t.Parallel()
	later := time.Date(2027, 6, 1, 0, 0, 0, 0, time.UTC)
	golden(t, "diff-2027.want", explain.Compare(load(t, "before.yaml", "amc.yaml").At(later), load(t, "after.yaml", "amc-after.yaml").At(later), register.Standard{}).String())
}

// For random registers: an establishment loses access when by the naive
// reading of the table (routing.Choose for each pair) it reached somebody and
// reaches nobody, and likewise for the rest.
func TestADiffAgreesWithTheTablePairByPair(t *testing.T) {
	t.Parallel()
	states := []register.Etat{register.Accrochage, register.Surveillance, register.Cercle, register.Suspendu, register.Clos}
	amcStates := []register.EtatAMC{register.AMCValidation, register.AMCCercle, register.AMCSuspendu}
	random := func(t *rapid.T, name string) *register.List {
		var es, as strings.Builder
		es.WriteString("etablissements:\n  - {finess_ej: 990000001, nom: Z, etat: clos}\n")
		as.WriteString("amcs:\n  - {nom: M9, numeros: [0000000009], etat: cercle}\n")
		for i := range 4 {
			if rapid.Bool().Draw(t, name+"amc") {
				fmt.Fprintf(&as, "  - {nom: M%d, numeros: [%010d], etat: %s}\n", i, i, rapid.SampledFrom(amcStates).Draw(t, name+"amc state"))
			}
			if rapid.Bool().Draw(t, name+"es") {
				fmt.Fprintf(&es, "  - {finess_ej: 01000000%d, nom: E%d, etat: %s, amc_miroir: 0000000009}\n", i, i, rapid.SampledFrom(states).Draw(t, name+"state"))
			}
		}
		return parse(t, es.String(), as.String())
	}
	naive := func(l *register.List) (by map[roc.FINESS]int, amcs map[roc.NumeroAMC]bool) {
		by, amcs = map[roc.FINESS]int{}, map[roc.NumeroAMC]bool{}
		for e := range l.Etablissements() {
			for a := range l.AMCs() {
				if routing.Reaches(e, a, roc.IDB) {
					by[e.EJ]++
					amcs[a.Numeros[0]] = true
				}
			}
		}
		return by, amcs
	}
	rapid.Check(t, func(t *rapid.T) {
		before, after := random(t, "before "), random(t, "after ")
		d := explain.Compare(before, after, register.Standard{})
		was, amcWas := naive(before)
		is, amcIs := naive(after)
		for i := range 4 {
			ej := roc.FINESS(fmt.Sprintf("01000000%d", i))
			want := [2]bool{was[ej] > 0 && is[ej] == 0, was[ej] == 0 && is[ej] > 0}
			if got := [2]bool{has(d.Lose, string(ej)), has(d.Gain, string(ej))}; got != want {
				t.Fatalf("%s loses, gains: %v, want %v\n%s", ej, got, want, d)
			}
			n := roc.NumeroAMC(fmt.Sprintf("%010d", i))
			want = [2]bool{amcWas[n] && !amcIs[n], !amcWas[n] && amcIs[n]}
			if got := [2]bool{has(d.Unreachable, string(n)), has(d.Reachable, string(n))}; got != want {
				t.Fatalf("%s unreachable, reachable: %v, want %v\n%s", n, got, want, d)
			}
		}
		if same := explain.Compare(after, after, register.Standard{}); !same.Empty() {
			t.Fatalf("a register differs from itself: %s", same)
		}
	})
}

func has(changes []explain.Change, who string) bool {
	for _, c := range changes {
		if c.Who == who {
			return true
		}
	}
	return false
}

func parse(t rapid.TB, es, amcs string) *register.List {
	l, err := register.Parse("e.yaml", []byte(es), "a.yaml", []byte(amcs), today)
	if err != nil {
		t.Fatal(err)
	}
	return l
}
