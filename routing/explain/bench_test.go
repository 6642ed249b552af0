package explain_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/routing/explain"
)

// Two registers of the whole country, one establishment apart.
func BenchmarkCompare(b *testing.B) {
	before, after := wholeCountry(b, "cercle"), wholeCountry(b, "suspendu")
	for b.Loop() {
		if d := explain.Compare(before, after); len(d.Lose) != 1 {
			b.Fatal(d)
		}
	}
}

func wholeCountry(b *testing.B, first string) *register.List {
	var es, as strings.Builder
	es.WriteString("etablissements:\n")
	for i := range 3000 {
		state := "cercle"
		if i == 0 {
			state = first
		}
		fmt.Fprintf(&es, "  - {finess_ej: 01%07d, nom: CH fictif %d, etat: %s, finess_eg: [", i, i, state)
		for j := range 20 {
			fmt.Fprintf(&es, "02%07d, ", i*20+j)
		}
		es.WriteString("]}\n")
	}
	as.WriteString("amcs:\n")
	for i := range 2000 {
		fmt.Fprintf(&as, "  - {nom: Mutuelle %d, numeros: [%010d], etat: cercle, domaines: [amc%d.example]}\n", i, 75500000+i, i)
	}
	l, err := register.Parse("e", []byte(es.String()), "a", []byte(as.String()), today)
	if err != nil {
		b.Fatal(err)
	}
	return l
}
