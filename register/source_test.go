package register_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
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
	if err := s.Reload(); err != nil {
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
			if err := s.Reload(); err == nil {
				t.Error("no error")
			}
			if err := s.Force(); err == nil {
				t.Error("force must not accept a bad file")
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
	for name, reload := range map[string]func() error{"reload": s.Reload, "force": s.Force} {
		if err := reload(); !errors.Is(err, no) {
			t.Errorf("%s: %v", name, err)
		}
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

func TestAListThatDropsTooMuchIsRefused(t *testing.T) {
	t.Parallel()
	withoutSites := strings.NewReplacer(", finess_eg: [", ", mandats: [\"1").Replace
	sitesGone := func(n, gone int) string {
		lines := strings.SplitAfter(establishments(0, n), "\n")
		for i := 1; i <= gone; i++ {
			lines[i] = strings.Replace(withoutSites(lines[i]), "], nom", "\"], nom", 1)
		}
		return strings.Join(lines, "")
	}
	for _, x := range []struct {
		name     string
		es, amcs string // "" : unchanged
		max      float64
		min      int
		refused  string
	}{
		{"a fifth may go", establishments(20, 100), "", 0, 0, ""},
		{"more than a fifth may not", establishments(21, 100), "", 0, 0, "21 of 100 establishments"},
		{"the same number of others is a drop too", establishments(50, 150), "", 0, 0, "50 of 100 establishments"},
		{"growing is no drop", establishments(0, 300), "", 0, 0, ""},
		{"the share is configurable", establishments(45, 100), "", 0.5, 0, ""},
		{"and the minimum", establishments(45, 100), "", 0, 45, ""},
		{"AMC numbers are counted apart", "", amcs(11, 51), 0, 0, "11 of 51 AMC numbers"},
		{"ten of 51 may go", "", amcs(10, 51), 0, 0, ""},
		{"sites are counted apart", sitesGone(100, 21), "", 0, 0, "21 of 100 sites"},
		{"twenty sites may go", sitesGone(100, 20), "", 0, 0, ""},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			o := country(t, t.TempDir(), 100)
			o.MaxDrop, o.MinDrop = x.max, x.min
			s := open(t, o)
			before := s.Current()
			if x.es != "" {
				write(t, o.Etablissements, x.es)
			}
			if x.amcs != "" {
				write(t, o.AMC, x.amcs)
			}
			err := s.Reload()
			if x.refused == "" {
				if err != nil || s.Current() == before {
					t.Errorf("refused: %v", err)
				}
				return
			}
			if !errors.Is(err, register.ErrTooManyDropped) || !strings.Contains(err.Error(), x.refused) || s.Current() != before {
				t.Errorf("want %q refused, got %v", x.refused, err)
			}
			if err := s.Force(); err != nil || s.Current() == before {
				t.Errorf("force: %v", err)
			}
		})
	}
}

func TestAShortListCanBeEditedByHand(t *testing.T) {
	t.Parallel()
	o := country(t, t.TempDir(), 6)
	s := open(t, o)
	write(t, o.Etablissements, establishments(5, 6))
	if err := s.Reload(); err != nil {
		t.Errorf("five rows may always go: %v", err)
	}
}

// Time is faked: a change is read once it has been still for one period.
func TestWatchReloadsWhatHasChangedAndIsStill(t *testing.T) {
	o := country(t, t.TempDir(), 10)
	synctest.Test(t, func(t *testing.T) {
		s := open(t, o)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		outcomes := make(chan error, 100)
		go s.Watch(ctx, time.Second, func(err error) { outcomes <- err })
		// after lets time pass, and returns the outcomes of the reloads in it.
		after := func(d time.Duration) (all []error) {
			time.Sleep(d)
			synctest.Wait()
			for len(outcomes) > 0 {
				all = append(all, <-outcomes)
			}
			return all
		}

		if got := after(10500 * time.Millisecond); len(got) != 0 {
			t.Fatalf("reloaded without a change: %v", got)
		}
		write(t, o.Etablissements, establishments(0, 11))
		if got := after(time.Second); len(got) != 0 {
			t.Fatalf("read a file that may still be being written: %v", got)
		}
		if got := after(time.Second); len(got) != 1 || got[0] != nil || size(s.Current()) != 11 {
			t.Fatalf("not reloaded: %v", got)
		}
		write(t, o.Etablissements, "etablissements: [")
		if got := after(10 * time.Second); len(got) != 1 || got[0] == nil || size(s.Current()) != 11 {
			t.Fatalf("a bad file is tried once and changes nothing: %v", got)
		}
		os.Remove(o.AMC)
		if got := after(10 * time.Second); len(got) != 1 || got[0] == nil || size(s.Current()) != 11 {
			t.Fatalf("a file that is gone is said once: %v", got)
		}
		write(t, o.AMC, amcs(0, 6))
		write(t, o.Etablissements, establishments(0, 12))
		if got := after(10 * time.Second); len(got) != 1 || got[0] != nil || size(s.Current()) != 12 {
			t.Fatalf("the repaired file is not read: %v", got)
		}
	})
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
		if err := s.Reload(); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
}
