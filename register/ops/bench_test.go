package ops_test

import (
	"fmt"
	"strings"
	"testing"

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
