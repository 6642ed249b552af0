package explain_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/routing/explain"
)

// a country of 100 establishments with one site each, a mirror for those under
// surveillance, and 100 AMCs; edit changes its lines.
func hundred(t testing.TB, edit func(i int, es, amc string) (string, string)) *register.List {
	var es, amcs strings.Builder
	es.WriteString("etablissements:\n  - {finess_ej: 990000000, nom: Z, etat: clos}\n")
	amcs.WriteString("amcs:\n  - {nom: Z, numeros: [0000000999], etat: cercle}\n")
	for i := range 100 {
		e := fmt.Sprintf("finess_ej: 01%07d, nom: E%d, etat: cercle, finess_eg: [02%07d], limite: {par_seconde: 20}", i, i, i)
		a := fmt.Sprintf("nom: M%d, numeros: [%010d], etat: cercle, domaines: [m%d.example]", i, i+1, i)
		if edit != nil {
			e, a = edit(i, e, a)
		}
		if e != "" {
			fmt.Fprintf(&es, "  - {%s}\n", e)
		}
		if a != "" {
			fmt.Fprintf(&amcs, "  - {%s}\n", a)
		}
	}
	l, err := register.Parse("e.yaml", []byte(es.String()), "a.yaml", []byte(amcs.String()), today)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// What a change takes away is counted by what it means, each against those that
// had it: more than a fifth, and more than five, is refused; so is a plan that
// does so at a date.
func TestWhatIsLostIsCountedByWhatItMeans(t *testing.T) {
	t.Parallel()
	bound := register.Bound{Share: 0.2, Least: 5}
	bounds := register.Bounds{Etablissements: bound, Sites: bound, AMCs: bound, Domaines: bound, Limites: bound}
	standard := register.Standard{Etablissement: register.Limite{ParSeconde: 20, Rafale: 40}}
	es := func(n int, old, new string) func(int, string, string) (string, string) {
		return func(i int, e, a string) (string, string) {
			if i < n {
				e = strings.Replace(e, old, new, 1)
			}
			return e, a
		}
	}
	amc := func(n int, old, new string) func(int, string, string) (string, string) {
		return func(i int, e, a string) (string, string) {
			if i < n {
				a = strings.Replace(a, old, new, 1)
			}
			return e, a
		}
	}
	before := hundred(t, nil)
	for _, c := range []struct {
		name string
		edit func(n int) func(int, string, string) (string, string)
		says string
	}{
		{"suspended", func(n int) func(int, string, string) (string, string) { return es(n, "etat: cercle", "etat: suspendu") }, "21 establishments lose access (100 before): 010000000"},
		{"back to accrochage, where nobody answers", func(n int) func(int, string, string) (string, string) {
			return es(n, "etat: cercle", "etat: accrochage")
		}, "21 establishments lose access"},
		{"from the circle to one AMC", func(n int) func(int, string, string) (string, string) {
			return es(n, "etat: cercle", "etat: surveillance, amc_miroir: 0000000999")
		}, "21 establishments reach fewer AMCs (100 before)"},
		{"sites dropped", func(n int) func(int, string, string) (string, string) {
			return func(i int, e, a string) (string, string) {
				if i < n {
					e = strings.Replace(e, fmt.Sprintf(", finess_eg: [02%07d]", i), "", 1)
				}
				return e, a
			}
		}, "21 sites are no longer their establishment's (100 before)"},
		{"AMCs suspended", func(n int) func(int, string, string) (string, string) {
			return amc(n, "etat: cercle", "etat: suspendu")
		}, "21 AMC numbers become unreachable (101 before): 0000000001"},
		{"domains emptied", func(n int) func(int, string, string) (string, string) {
			return func(i int, e, a string) (string, string) {
				if i < n {
					a, _, _ = strings.Cut(a, ", domaines")
				}
				return e, a
			}
		}, "21 AMCs have no known domain any more (100 before)"},
		{"limits cut", func(n int) func(int, string, string) (string, string) {
			return es(n, "par_seconde: 20", "par_seconde: 0.2")
		}, "21 limits are cut"},
		{"a burst cut, against the default", func(n int) func(int, string, string) (string, string) {
			return es(n, "par_seconde: 20", "par_seconde: 20, rafale: 3")
		}, "21 limits are cut"},
		{"a limit where there was none", func(n int) func(int, string, string) (string, string) {
			return amc(n, "etat: cercle", "etat: cercle, limite: {par_seconde: 3}")
		}, "21 limits are cut"},
		{"rows dropped", func(n int) func(int, string, string) (string, string) {
			return func(i int, e, a string) (string, string) {
				if i < n {
					e = ""
				}
				return e, a
			}
		}, "21 establishments are no longer in the register (101 before)"},
		{"AMC rows dropped", func(n int) func(int, string, string) (string, string) {
			return func(i int, e, a string) (string, string) {
				if i < n {
					a = ""
				}
				return e, a
			}
		}, "21 AMC numbers are no longer in the register (101 before)"},
		{"closed tomorrow", func(n int) func(int, string, string) (string, string) {
			return es(n, "etat: cercle", "etats: [{depuis: 2026-01-01, etat: cercle}, {depuis: 2026-11-22, etat: clos}]")
		}, "by 2026-11-22, 21 establishments lose access"},
	} {
		for _, n := range []int{20, 21} {
			after := hundred(t, c.edit(n))
			d := explain.Compare(before, after, standard)
			losses := explain.LossesOf(before, after, d, standard, bounds)
			err := explain.Refuse(losses, "say so")
			if n == 20 {
				if err != nil {
					t.Errorf("%s: a fifth may go: %v", c.name, err)
				}
				continue
			}
			if !errors.Is(err, explain.ErrTooMuchLost) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "say so") {
				t.Errorf("%s: %v; want %q", c.name, err, c.says)
			}
		}
	}
	if d := explain.Compare(before, hundred(t, es(50, "par_seconde: 20", "par_seconde: 50")), standard); len(d.Cut) != 0 || len(d.Losses(register.Bounds{})) != 0 || len(d.Other) != 50 {
		t.Errorf("a limit that is raised: %s", d)
	}
	if d := explain.Compare(before, hundred(t, es(50, ", limite: {par_seconde: 20}", "")), standard); len(d.Cut) != 0 {
		t.Errorf("the default written out is no cut: %s", d)
	}
	if d := explain.Compare(before, hundred(t, nil), standard); len(d.Losses(register.Bounds{})) != 0 {
		t.Errorf("nothing changes, and it loses: %v", d.Losses(register.Bounds{}))
	}
}

func TestABoundIsASharePastTheLeast(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		gone, of int
		want     bool
	}{{5, 6, true}, {6, 6, false}, {20, 100, true}, {21, 100, false}, {0, 0, true}, {6, 30, true}} {
		if got := (register.Bound{Share: 0.2, Least: 5}).Allows(c.gone, c.of); got != c.want {
			t.Errorf("%d of %d: %t", c.gone, c.of, got)
		}
	}
	if (register.Bound{}).Allows(1, 1000) {
		t.Error("a bound of nothing lets one go")
	}
}
