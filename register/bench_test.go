package register_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
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
		if _, err := register.Parse("e", es, "a", amcs, today); err != nil {
			b.Fatal(err)
		}
	}
}

func whole(b *testing.B) *register.List {
	es, amcs := nation()
	l, err := register.Parse("e", es, "a", amcs, today)
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

// The register is taken once per exchange, with a date to come in it: the
// clock is looked at.
func BenchmarkCurrent(b *testing.B) {
	es, amcs := nation()
	dir := b.TempDir()
	o := register.Options{Etablissements: filepath.Join(dir, "e.yaml"), AMC: filepath.Join(dir, "a.yaml")}
	dated := strings.Replace(string(es), "    etat: cercle\n", "    etats:\n      - {depuis: 2020-01-01, etat: cercle}\n      - {depuis: 2999-01-01, etat: clos}\n", 1)
	write(b, o.Etablissements, dated)
	write(b, o.AMC, string(amcs))
	s := open(b, o)
	b.ReportAllocs()
	for b.Loop() {
		if s.Current().Until().IsZero() {
			b.Fatal("no date is to come")
		}
	}
}

// All that the register adds to an exchange: the snapshot, who calls, the
// sites, the AMC.
func BenchmarkExchange(b *testing.B) {
	es, amcs := nation()
	dir := b.TempDir()
	o := register.Options{Etablissements: filepath.Join(dir, "e.yaml"), AMC: filepath.Join(dir, "a.yaml")}
	write(b, o.Etablissements, strings.Replace(string(es), "    etat: cercle\n", "    etats:\n      - {depuis: 2020-01-01, etat: cercle}\n      - {depuis: 2999-01-01, etat: clos}\n", 1))
	write(b, o.AMC, string(amcs))
	s := open(b, o)
	leaves := make([]*x509.Certificate, 3000)
	for i := range leaves {
		leaves[i] = &x509.Certificate{}
		leaves[i].Subject.FillFromRDNSequence(&pkix.RDNSequence{
			rdn(atv{Type: oidC, Value: "FR"}), rdn(atv{Type: oidO, Value: "CHU FICTIF"}), rdn(ou(fmt.Sprintf("101%07d", i))), rdn(cn("gap")),
		})
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		i := (n * 1009) % 3000 // not in the order of memory
		n++
		l := s.Current()
		e, err := l.Caller(leaves[i])
		if err != nil {
			b.Fatal(err)
		}
		if err := l.CheckSites(e, e.Structure, e.EJ, e.EGs[n%20]); err != nil {
			b.Fatal(err)
		}
		if _, ok := l.AMC(roc.NumeroAMC("0075500" + string([]byte{'0' + byte(n/100%10), '0' + byte(n/10%10), '0' + byte(n%10)}))); !ok {
			b.Fatal("no AMC")
		}
	}
}

// A date is reached: the whole register is settled again.
func BenchmarkAt(b *testing.B) {
	l := whole(b)
	at := today
	b.ReportAllocs()
	for b.Loop() {
		at = at.Add(time.Hour)
		if l.At(at) == l {
			b.Fatal("the same list")
		}
	}
}
