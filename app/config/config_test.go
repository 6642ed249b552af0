package config

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/strict"
)

var update = flag.Bool("update", false, "write the golden files")

// Each testdata/invalid-WHAT-IS-WRONG.yaml is refused with exactly the
// messages of its .golden file: place, excerpt and caret, and what to do.
func TestInvalidConfigurationsSayWhatToDo(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/invalid-*.yaml")
	if err != nil || len(files) < 15 {
		t.Fatalf("%d files, error %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			t.Parallel()
			_, err := Read(file)
			if err == nil {
				t.Fatal("accepted")
			}
			var list strict.Errors
			if !errors.As(err, &list) {
				t.Fatalf("not a strict.Errors: %v", err)
			}
			for _, e := range list {
				if e.Line == 0 || e.Problem == "" || strings.Contains(e.Error(), "\n") {
					t.Errorf("not one line with a place: %q", e.Error())
				}
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(err.Error()+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err2 := os.ReadFile(golden)
			if err2 != nil {
				t.Fatal(err2)
			}
			if got := err.Error() + "\n"; got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestTheSmallestConfigurationHasEveryDefault(t *testing.T) {
	t.Parallel()
	c, err := Read("testdata/smallest.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := defaults()
	got := *c
	if got.Limits != want.Limits || got.Timeouts != want.Timeouts || got.Policies != want.Policies || got.Log != want.Log || got.Admin != want.Admin {
		t.Errorf("got %+v", got)
	}
	if got.Annuaire.TTL != want.Annuaire.TTL || got.Annuaire.Probe != want.Annuaire.Probe {
		t.Errorf("annuaire: got %+v", got.Annuaire)
	}
	if got.Server.Key != filepath.Join("testdata", "files", "a.key") {
		t.Errorf("a relative name is looked for beside the configuration: got %s", got.Server.Key)
	}
}

func TestAMissingConfigurationIsOneLine(t *testing.T) {
	t.Parallel()
	_, err := Read("testdata/no-such-file.yaml")
	var setup *SetupError
	if !errors.As(err, &setup) || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "no-such-file.yaml") {
		t.Errorf("got %v", err)
	}
}

// The configuration is its own manual: each field says what it does, and its
// default or that it is required.
func TestEveryFieldIsDocumented(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	fields := 0
	for _, file := range files {
		fields += documented(t, file)
	}
	if fields < 50 {
		t.Errorf("only %d fields were found", fields)
	}
}

// documented looks at the fields of the configuration that a file declares,
// and returns how many there are.
func documented(t *testing.T, file string) (fields int) {
	t.Helper()
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(source), "\n")
	for i, line := range lines {
		if !strings.Contains(line, " `yaml:\"") {
			continue
		}
		fields++
		name := strings.Fields(line)[0]
		var doc []string
		for j := i - 1; j >= 0 && strings.HasPrefix(strings.TrimSpace(lines[j]), "//"); j-- {
			doc = append([]string{strings.TrimSpace(lines[j])}, doc...)
		}
		text := strings.Join(doc, " ")
		if !strings.HasPrefix(text, "// "+name+" ") {
			t.Errorf("%s:%d: the comment of %s does not begin with its name", file, i+1, name)
		}
		plain := !strings.Contains(line, "Limits ") && !strings.Contains(line, "Timeouts ") && !strings.Contains(line, "Policies ") &&
			!strings.Contains(line, "Network ") && !strings.Contains(line, "Log ") && !strings.Contains(line, "strict:\"required\"")
		structural := map[string]bool{"Server": true, "Client": true, "Trust": true, "Annuaire": true}
		if plain && !structural[name] && !strings.Contains(text, "Default:") {
			t.Errorf("%s:%d: %s does not say its default", file, i+1, name)
		}
		if strings.Contains(line, "required") && !strings.Contains(text, "Required") && name != "Certificate" && name != "Key" {
			t.Errorf("%s:%d: %s does not say that it is required", file, i+1, name)
		}
	}
	return fields
}
