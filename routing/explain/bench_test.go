package explain_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/register/history"
	"github.com/piano-roc/rpn/routing/explain"
)

// Two registers of the whole country, one establishment apart.
func BenchmarkCompare(b *testing.B) {
	before, after := wholeCountry(b, "cercle"), wholeCountry(b, "suspendu")
	for b.Loop() {
		if d := explain.Compare(before, after, register.Standard{}); len(d.Lose) != 1 {
			b.Fatal(d)
		}
	}
}

// What a reload costs beside reading: 3 000 establishments, 450 AMCs, and the
// worst change, which is of every row: compared, decided, written down on disk.
func BenchmarkAChangeOfEveryRowIsWrittenDown(b *testing.B) {
	country := func(etat string) *register.List {
		var es, as strings.Builder
		es.WriteString("etablissements:\n")
		for i := range 3000 {
			fmt.Fprintf(&es, "  - {finess_ej: 01%07d, finess_eg: [02%07d], nom: CH fictif %d, etat: %s, motif: %s}\n", i, i, i, etat, etat)
		}
		as.WriteString("amcs:\n")
		for i := range 450 {
			fmt.Fprintf(&as, "  - {nom: Mutuelle %d, numeros: [%010d], etat: cercle, domaines: [amc%d.example]}\n", i, 75500000+i, i)
		}
		l, err := register.Parse("e", []byte(es.String()), "a", []byte(as.String()), today)
		if err != nil {
			b.Fatal(err)
		}
		return l
	}
	before, after := country("cercle"), country("suspendu")
	file := filepath.Join(b.TempDir(), "register.jsonl")
	for b.Loop() {
		d := explain.Compare(before, after, register.Standard{})
		if len(d.Losses(register.Bounds{})) == 0 {
			b.Fatal("nothing is lost")
		}
		if err := history.Append(file, history.Entry{At: today, Event: history.Reloaded, Changes: d.History()}); err != nil {
			b.Fatal(err)
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
