package ops_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/register/ops"
)

// big writes the extract of the whole country as it is published, about 100 000
// sites, and the states of 3 000 establishments with 20 sites each.
func big() (extract, states string) {
	var x, s strings.Builder
	x.WriteString("finess;etalab;104;2026-11-01\n")
	for i := range 100_000 {
		fmt.Fprintf(&x, "structureet;02%07d;01%07d;ETABLISSEMENT FICTIF %d;ETABLISSEMENT FICTIF NUMERO %d;;;12;RUE;DES LILAS;;BP 12;004;01;AIN;01000 VILLE FICTIVE;0400000000;0400000001;355;Centre Hospitalier (C.H.);1102;Centres Hospitaliers;00000000000000;8610Z;03;ARS;1;Etablissement public;1979-02-13;1979-02-13;2020-02-04;\n", i, i/20, i, i)
	}
	s.WriteString("finess_ej;etat;depuis\n")
	for i := range 3000 {
		fmt.Fprintf(&s, "01%07d;cercle;2026-11-01\n", i)
	}
	return x.String(), s.String()
}

func BenchmarkImport(b *testing.B) {
	extract, states := big()
	list := amcs(b)
	b.SetBytes(int64(len(extract) + len(states)))
	for b.Loop() {
		m, err := ops.Import(ops.Sources{FINESS: ops.File{Name: "x", Data: []byte(extract)}, States: &ops.File{Name: "s", Data: []byte(states)}, AMCs: list, At: today})
		if err != nil || len(m.Rows) != 3000 {
			b.Fatal(err)
		}
	}
}

// Two registers of the whole country, one establishment apart.
func BenchmarkCompare(b *testing.B) {
	before, after := wholeCountry(b, "cercle"), wholeCountry(b, "suspendu")
	for b.Loop() {
		if d := ops.Compare(before, after); len(d.Lose) != 1 {
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
