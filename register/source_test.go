package register_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/strict"
	"github.com/piano-roc/rpn/register"
)

// country writes a register of n establishments with one site each, and n/2
// AMCs, and returns the options to open it.
func country(t testing.TB, dir string, n int) register.Options {
	t.Helper()
	o := register.Options{Etablissements: filepath.Join(dir, "etablissements.yaml"), AMC: filepath.Join(dir, "amc.yaml")}
	write(t, o.Etablissements, establishments(0, n))
	write(t, o.AMC, amcs(0, n/2+1))
	return o
}

func establishments(from, to int) string {
	var b strings.Builder
	b.WriteString("etablissements:\n")
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, "  - {finess_ej: 01%07d, finess_eg: [02%07d], nom: Hôpital fictif %d, etat: cercle}\n", i, i, i)
	}
	return b.String()
}

func amcs(from, to int) string {
	var b strings.Builder
	b.WriteString("amcs:\n")
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, "  - {nom: AMC fictive %d, numeros: [%010d], etat: cercle, domaines: [amc%d.example]}\n", i, 75500000+i, i)
	}
	return b.String()
}

// write replaces a file at once, as an editor or a deployment does.
func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, o register.Options) *register.Source {
	t.Helper()
	s, err := register.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func size(l *register.List) int { n, _, _ := l.Size(); return n }

func TestAReloadReplacesTheWholeList(t *testing.T) {
	t.Parallel()
	o := country(t, t.TempDir(), 10)
	s := open(t, o)
	before := s.Current()
	write(t, o.Etablissements, establishments(0, 12))
	if err := s.Reload(nil); err != nil {
		t.Fatal(err)
	}
	if size(s.Current()) != 12 || size(before) != 10 || s.Current().Digest() == before.Digest() {
		t.Errorf("%d establishments now, %d in the list taken before", size(s.Current()), size(before))
	}
}

func TestABadFileChangesNothing(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(t *testing.T, o register.Options){
		"bad content": func(t *testing.T, o register.Options) {
			write(t, o.Etablissements, "etablissements:\n  - {finess_ej: 1}\n")
		},
		"bad AMC list": func(t *testing.T, o register.Options) { write(t, o.AMC, "amcs: [\n") },
		"cut in half": func(t *testing.T, o register.Options) {
			s := establishments(0, 10)
			write(t, o.Etablissements, s[:len(s)-5])
		},
		"empty":    func(t *testing.T, o register.Options) { write(t, o.Etablissements, "") },
		"gone":     func(t *testing.T, o register.Options) { os.Remove(o.AMC) },
		"a folder": func(t *testing.T, o register.Options) { os.Remove(o.AMC); os.Mkdir(o.AMC, 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := country(t, t.TempDir(), 10)
			s := open(t, o)
			before := s.Current()
			spoil(t, o)
			if err := s.Reload(nil); err == nil {
				t.Error("no error")
			}
			if s.Current() != before {
				t.Error("the list in force was replaced")
			}
		})
	}
}

func TestAListThatIsNotAcceptedChangesNothing(t *testing.T) {
	t.Parallel()
	o := country(t, t.TempDir(), 3)
	no := errors.New("not this one")
	o.Accept = func(l *register.List) error {
		if size(l) > 3 {
			return no
		}
		return nil
	}
	s := open(t, o)
	before := s.Current()
	write(t, o.Etablissements, establishments(0, 4))
	if err := s.Reload(nil); !errors.Is(err, no) {
		t.Errorf("reload: %v", err)
	}
	if s.Current() != before {
		t.Error("the list in force was replaced")
	}
	if _, err := register.Open(o); !errors.Is(err, no) {
		t.Errorf("at the start: %v", err)
	}
}

func TestABadFileAtTheStartIsAnError(t *testing.T) {
	t.Parallel()
	o := country(t, t.TempDir(), 3)
	write(t, o.AMC, "amcs: []\n")
	_, err := register.Open(o)
	var all strict.Errors
	if !errors.As(err, &all) {
		t.Errorf("%v", err)
	}
}

// The review sees what is in force and what would be, as both are now, and its
// error refuses the reload; without one nothing is reviewed.
func TestAReloadIsReviewed(t *testing.T) {
	t.Parallel()
	o := country(t, t.TempDir(), 10)
	write(t, o.Etablissements, "etablissements: [{finess_ej: 010000000, nom: A, etats: [{depuis: 2026-01-01, etat: cercle}, {depuis: 2026-06-01, etat: clos}]}]")
	now := moment(t, "2026-02-01")
	o.Now = func() time.Time { return now }
	s := open(t, o)
	before := s.Current()
	write(t, o.Etablissements, establishments(0, 3))
	now = moment(t, "2026-07-01")
	no := errors.New("no")
	err := s.Reload(func(was, is *register.List) error {
		if e, _ := was.BySite("010000000"); e.Etat != register.Clos || !was.Moment().Equal(now) || size(was) != 1 || size(is) != 3 || !is.Moment().Equal(now) {
			t.Errorf("reviewed: %d establishments, %s at %v; then %d", size(was), e.Etat, was.Moment(), size(is))
		}
		return no
	})
	if !errors.Is(err, no) || size(s.Current()) != 1 || s.Current().Digest() != before.Digest() {
		t.Errorf("refused: %v, %d establishments", err, size(s.Current()))
	}
	if err := s.Reload(nil); err != nil || size(s.Current()) != 3 {
		t.Errorf("not reviewed: %v, %d establishments", err, size(s.Current()))
	}
	es, amc := s.Current().Sums()
	if es != sha256.Sum256(read(t, o.Etablissements)) || amc != sha256.Sum256(read(t, o.AMC)) {
		t.Error("the sums are not those of the files")
	}
}

func TestReadersAndReloadsMayRunTogether(t *testing.T) {
	t.Parallel()
	o := country(t, t.TempDir(), 50)
	s := open(t, o)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 500 {
				l := s.Current()
				if e, ok := l.ByStructure("1020000007"); !ok || e.EJ != "010000007" {
					t.Error("a reader saw half a list")
				}
			}
		})
	}
	for range 5 {
		if err := s.Reload(nil); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
}
