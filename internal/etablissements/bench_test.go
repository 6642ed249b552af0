package etablissements_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/etablissements"
)

// nation makes the files of the whole country: 3 000 establishments, 60 000
// sites, 2 000 AMCs. Wanted: read in less than a second, looked up in less than
// a microsecond.
func nation() (es, amcs []byte) {
	var b strings.Builder
	b.WriteString("etablissements:\n")
	for i := range 3000 {
		fmt.Fprintf(&b, "  - finess_ej: 01%07d\n    nom: Centre hospitalier fictif numéro %d\n    departement: \"01\"\n    region: Auvergne-Rhône-Alpes\n    gap: Logiciel fictif\n    etat: cercle\n    versions: [V1, V2]\n    limite: {par_seconde: 20, rafale: 40}\n    finess_eg:\n", i, i)
		for j := range 20 {
			fmt.Fprintf(&b, "      - 02%07d\n", i*20+j)
		}
	}
	var a strings.Builder
	a.WriteString("amcs:\n")
	for i := range 2000 {
		fmt.Fprintf(&a, "  - nom: Mutuelle fictive numéro %d\n    numeros: [%010d]\n    etat: cercle\n    domaines: [amc%d.example, roc%d.operateur.example]\n", i, 75500000+i, i, i)
	}
	return []byte(b.String()), []byte(a.String())
}

func BenchmarkLoad(b *testing.B) {
	es, amcs := nation()
	b.SetBytes(int64(len(es) + len(amcs)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := etablissements.Parse("e", es, "a", amcs, today); err != nil {
			b.Fatal(err)
		}
	}
}

func whole(b *testing.B) *etablissements.List {
	es, amcs := nation()
	l, err := etablissements.Parse("e", es, "a", amcs, today)
	if err != nil {
		b.Fatal(err)
	}
	return l
}

func BenchmarkCaller(b *testing.B) {
	l := whole(b)
	c := &x509.Certificate{}
	c.Subject.FillFromRDNSequence(&pkix.RDNSequence{
		rdn(atv{Type: oidC, Value: "FR"}), rdn(atv{Type: oidO, Value: "CHU FICTIF"}), rdn(ou("1020030011")), rdn(cn("gap")),
	})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.Caller(c); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAMCAndSites(b *testing.B) {
	l := whole(b)
	es, _ := l.ByStructure("1010001500")
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := l.AMC("0075501999"); !ok {
			b.Fatal("no AMC")
		}
		if err := l.CheckSites(es, "1010001500", "010001500", "020030011"); err != nil {
			b.Fatal(err)
		}
	}
}
