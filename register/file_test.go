package register_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/strict"
	"github.com/piano-roc/rpn/register"
)

var update = flag.Bool("update", false, "rewrite the .want files of testdata")

func TestAGoodRegisterIsRead(t *testing.T) {
	t.Parallel()
	l, err := register.Load("testdata/good-etablissements.yaml", "testdata/good-amc.yaml", today)
	if err != nil {
		t.Fatal(err)
	}
	if es, sites, numeros := l.Size(); es != 5 || sites != 2 || numeros != 4 {
		t.Errorf("size: %d establishments, %d sites, %d numbers", es, sites, numeros)
	}
	chu, ok := l.ByStructure("1010003812")
	if !ok || chu.Structure != "1010003812" || chu.EJ != "010003812" || !slices.Equal(chu.EGs, []roc.FINESS{"010003820", "010003838"}) ||
		chu.Nom != "CHU fictif de l'Ain" || chu.Departement != "01" || chu.Region != "Auvergne-Rhône-Alpes" || chu.GAP != "Logiciel fictif 12" ||
		chu.Etat != register.Cercle || chu.Limite != (register.Limite{ParSeconde: 2.5, Rafale: 10}) || chu.SansTimestamp {
		t.Errorf("chu: %+v", chu)
	}
	if !chu.Mandates("318751275100020") || !chu.Mandates("12A0000014") || chu.Mandates("1690000013") {
		t.Errorf("mandates: %v", chu.Mandats)
	}
	if site, ok := l.ByStructure("1010003838"); !ok || site != chu {
		t.Error("a site is not found under its EJ")
	}
	ch, ok := l.ByStructure("12A0000014")
	if !ok || ch.Miroir != "0075500025" || !ch.SansTimestamp || !ch.Speaks(roc.V1) || ch.Speaks(roc.V2) || ch.Limite != (register.Limite{}) {
		t.Errorf("ch: %+v", ch)
	}
	essai, _ := l.ByStructure("10B0000011")
	if !essai.Speaks(roc.V1) || !essai.Speaks(roc.V2) || essai.Speaks(roc.NoVersion) {
		t.Error("no versions given must mean V1 and V2")
	}
	rhone, ok := l.AMC("0075500033")
	if !ok || rhone.Etat != register.AMCCercle || !rhone.Has("0075500025") || rhone.Has("0075500017") ||
		!slices.Equal(rhone.Domaines, []register.DNSName{"mutuelle-rhone.example", "roc.operateur.example"}) {
		t.Errorf("rhone: %+v", rhone)
	}
	if _, ok := l.AMC("0099999999"); ok {
		t.Error("an AMC that is not in the list was found")
	}
	var names []string
	for a := range l.AMCs() {
		names = append(names, a.Nom)
	}
	for e := range l.Etablissements() {
		names = append(names, string(e.Etat))
	}
	if got := strings.Join(names, ","); got != "Mutuelle ANS (fictive),Mutuelle du Rhône fictive,Prévoyance fictive,cercle,surveillance,accrochage,suspendu,clos" {
		t.Errorf("order: %s", got)
	}
	if len(l.Digest()) != 16 {
		t.Errorf("digest %q", l.Digest())
	}
}

// Each bad file is named after its fault; the .want beside it is the whole
// message. An invalid-amc-* file is read beside a good list of establishments,
// the others beside a good list of AMCs.
func TestBadFilesAreExplained(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/invalid-*.yaml")
	if err != nil || len(files) < 40 {
		t.Fatalf("testdata: %d files, %v", len(files), err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(strings.TrimSuffix(name, ".yaml"), func(t *testing.T) {
			t.Parallel()
			es, amcs := pair(t, file)
			esName, amcName := name, "amc.yaml"
			if strings.HasPrefix(name, "invalid-amc-") {
				esName, amcName = "etablissements.yaml", name
			}
			l, err := register.Parse(esName, es, amcName, amcs, today)
			var all strict.Errors
			if l != nil || !errors.As(err, &all) {
				t.Fatalf("not refused as a bad file: %v", err)
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".want", err.Error()+"\n")
		})
	}
}

func pair(t *testing.T, file string) (es, amcs []byte) {
	t.Helper()
	if strings.HasPrefix(filepath.Base(file), "invalid-amc-") {
		return read(t, "testdata/good-small.yaml"), read(t, file)
	}
	return read(t, file), read(t, "testdata/good-amc.yaml")
}

func read(t testing.TB, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := string(read(t, file)); got != want {
		t.Errorf("%s\n--- got\n%s--- want\n%s", file, got, want)
	}
}

func TestBothFilesAreExplainedAtOnce(t *testing.T) {
	t.Parallel()
	_, err := register.Load("testdata/invalid-unknown-state.yaml", "testdata/invalid-amc-no-number.yaml", today)
	var all strict.Errors
	if !errors.As(err, &all) || len(all) != 3 {
		t.Fatalf("%d errors: %v", len(all), err)
	}
	if filepath.Base(all[0].File) != "invalid-unknown-state.yaml" || filepath.Base(all[2].File) != "invalid-amc-no-number.yaml" {
		t.Errorf("%v", err)
	}
}

// When the list of AMCs itself cannot be read, nothing is said of the AMCs
// miroirs: those errors would be false.
func TestAnUnreadableAMCFileBlamesNoMiroir(t *testing.T) {
	t.Parallel()
	_, err := register.Parse("e.yaml", read(t, "testdata/good-etablissements.yaml"), "a.yaml", []byte("amcs: [{nom: A"), today)
	if err == nil || strings.Contains(err.Error(), "miroir") || !strings.Contains(err.Error(), "a.yaml:1:8") {
		t.Errorf("%v", err)
	}
}

func TestAMissingFileIsNamed(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "none.yaml")
	_, err := register.Load("testdata/good-small.yaml", missing, today)
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), missing) {
		t.Errorf("%v", err)
	}
}

func TestDomains(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		domain, host string
		want         bool
	}{
		{"amc.example", "amc.example", true},
		{"amc.example", "roc.amc.example", true},
		{"amc.example", "a.b.amc.example", true},
		{"amc.example", "xamc.example", false},
		{"amc.example", "amc.example.evil.example", false},
		{"amc.example", "example", false},
		{"roc.amc.example", "amc.example", false},
		{"localhost", "localhost", true},
		{"localhost", "a.localhost", false}, // a single label covers itself only
		{"fr", "mutuelle.fr", false},
		{"", "amc.example", false},
		{"", "", false},
	} {
		if got := register.DNSName(c.domain).Covers(register.DNSName(c.host)); got != c.want {
			t.Errorf("%q covers %q: %t", c.domain, c.host, got)
		}
	}
}
