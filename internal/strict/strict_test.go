package strict_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/strict"
)

var update = flag.Bool("update", false, "rewrite the .want files of testdata")

type mode string

type section struct {
	Timeout time.Duration `yaml:"timeout" strict:"positive"`
	Idle    time.Duration `yaml:"idle"`
	Max     strict.Size   `yaml:"max"`
}

type common struct {
	Name string `yaml:"name" strict:"required"`
}

type site struct {
	FINESS roc.FINESS `yaml:"finess" strict:"required"`
	Nom    string     `yaml:"nom"`
	Etat   mode       `yaml:"etat"`
}

// settings holds one field of each kind.
type settings struct {
	common  `yaml:",inline"`
	Listen  string                   `yaml:"listen" strict:"required"`
	Mode    mode                     `yaml:"mode"`
	On      bool                     `yaml:"on"`
	Count   int                      `yaml:"count" strict:"positive"`
	Small   uint8                    `yaml:"small"`
	Rate    float64                  `yaml:"rate"`
	Section section                  `yaml:"section"`
	Pointer *section                 `yaml:"pointer"`
	Tags    []string                 `yaml:"tags"`
	Sites   []site                   `yaml:"sites"`
	ByAMC   map[roc.NumeroAMC]string `yaml:"by_amc"`
	Plain   map[string]section       `yaml:"plain"`
	NotRead string
}

func options() []strict.Option {
	return []strict.Option{
		strict.Text(roc.ParseFINESS, "010003812"),
		strict.Text(roc.ParseNumeroAMC, "0077565712"),
		strict.OneOf[mode]("a mode", "observe", "enforce", "off"),
	}
}

func TestEveryKindOfFieldIsRead(t *testing.T) {
	t.Parallel()
	got := settings{Count: 7, Rate: 1.5, Section: section{Idle: time.Minute}, NotRead: "kept"}
	err := strict.Decode("ok.yaml", []byte(`
name: CHU fictif
listen: 0123
mode: enforce
on: true
small: 255
section: {timeout: 1m30s, max: 2MiB}
pointer:
  idle: 0s
  max: 10 kB
tags: [yes, "null", 012, '~']
sites:
  - finess: 010000001
    nom: 2A
  - {finess: 2A0000014, etat: off}
by_amc:
  75500017: première
  "0075 500 025": seconde
plain: {a: {timeout: 1s}}
`), &got, options()...)
	if err != nil {
		t.Fatal(err)
	}
	want := settings{
		common: common{"CHU fictif"}, Listen: "0123", Mode: "enforce", On: true, Count: 7, Small: 255, Rate: 1.5,
		Section: section{90 * time.Second, time.Minute, 2 << 20}, NotRead: "kept",
	}
	if got.common != want.common || got.Listen != want.Listen || got.Mode != want.Mode || !got.On ||
		got.Count != 7 || got.Small != 255 || got.Rate != 1.5 || got.Section != want.Section || got.NotRead != "kept" {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if got.Pointer == nil || *got.Pointer != (section{0, 0, 10_000}) {
		t.Errorf("pointer: %+v", got.Pointer)
	}
	if strings.Join(got.Tags, "|") != "yes|null|012|~" {
		t.Errorf("tags: %q", got.Tags)
	}
	if len(got.Sites) != 2 || got.Sites[0] != (site{"010000001", "2A", ""}) || got.Sites[1] != (site{"2A0000014", "", "off"}) {
		t.Errorf("an unquoted FINESS must stay as written: %+v", got.Sites)
	}
	if got.ByAMC["0075500017"] != "première" || got.ByAMC["0075500025"] != "seconde" || len(got.ByAMC) != 2 {
		t.Errorf("by_amc: %v", got.ByAMC)
	}
	if got.Plain["a"].Timeout != time.Second {
		t.Errorf("plain: %v", got.Plain)
	}
}

// Each bad file is named after its fault; the .want beside it is the whole
// message.
func TestBadFilesAreExplained(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/invalid-*.yaml")
	if err != nil || len(files) < 30 {
		t.Fatalf("testdata: %d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var into settings
			err = strict.Decode(filepath.Base(file), data, &into, options()...)
			var all strict.Errors
			if !errors.As(err, &all) {
				t.Fatalf("not refused as a bad file: %v", err)
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".want", err.Error()+"\n")
		})
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s\n--- got\n%s--- want\n%s", file, got, want)
	}
}

func TestRulesOfMeaningAreRefusedAtTheirPlace(t *testing.T) {
	t.Parallel()
	var s settings
	doc := strict.Read("a.yaml", []byte("name: x\nlisten: y\nsites:\n  - finess: 010000001\n  - finess: 01000\n  - finess: 010000001\n"), &s, options()...)
	first := doc.At("sites", 0, "finess")
	doc.Refuse(doc.At("sites", 2, "finess"), "keep one", "%s is given twice: first at %s", s.Sites[2].FINESS, first)
	doc.Refuse(doc.At("sites", 1, "finess"), "", "dropped: this value was refused already")
	doc.Refuse(doc.At("sites", 1, "etat"), "", "there is no state")
	doc.Refuse(doc.At("mode"), "", "no mode")
	want := `a.yaml:1:1: mode: no mode
    1 | name: x
      | ^
a.yaml:5:5: sites[1].etat: there is no state
    5 |   - finess: 01000
      |     ^
a.yaml:5:13: sites[1].finess: "01000": a FINESS has 9 characters, not 5
    5 |   - finess: 01000
      |             ^
      = write it like 010003812
a.yaml:6:13: sites[2].finess: 010000001 is given twice: first at a.yaml:4:13
    6 |   - finess: 010000001
      |             ^
      = keep one`
	if got := doc.Err().Error(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if first.Line() != 4 {
		t.Errorf("line %d", first.Line())
	}
}

func TestASecretIsNotShown(t *testing.T) {
	t.Parallel()
	var s settings
	doc := strict.Read("a.yaml", []byte("name: x\nlisten: https://u:hunter2@a.example\n"), &s, options()...)
	doc.RefuseSecret(doc.At("listen"), "remove it", "the address holds a password")
	if got, want := doc.Err().Error(), "a.yaml:2:9: listen: the address holds a password\n      = remove it"; got != want {
		t.Errorf("got %s", got)
	}
}

func TestAFieldThatSoundsLikeASecretIsNotShown(t *testing.T) {
	t.Parallel()
	for _, field := range []string{"password", "passphrase", "Mot_de_passe", "client_secret"} {
		err := strict.Decode("a.yaml", []byte("name: x\nlisten: y\n"+field+": hunter2\n"), new(settings), options()...)
		if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "a.yaml:3:1: "+field+": unknown field") {
			t.Errorf("%v", err)
		}
	}
}

func TestAnErrorOnOneLine(t *testing.T) {
	t.Parallel()
	var all strict.Errors
	if !errors.As(strict.Decode("a.yaml", []byte("name: x\nlisten: y\non: yes\nsection: {idle: cinq}\n"), new(settings), options()...), &all) || len(all) != 2 {
		t.Fatal(all)
	}
	if got, want := all[0].Error(), `a.yaml:3:5: on: "yes" is not true or false (did you mean "true"?)`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := all[1].Error(), `a.yaml:4:17: section.idle: "cinq" is not a duration; a duration is written like 20s, 5m or 1h30m`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestOnlyTheFirstErrorsArePrinted(t *testing.T) {
	t.Parallel()
	data := "name: x\nlisten: y\nsites:\n" + strings.Repeat("  - {finess: bad}\n", 250)
	err := strict.Decode("a.yaml", []byte(data), new(settings), options()...)
	var all strict.Errors
	if !errors.As(err, &all) || len(all) != 250 {
		t.Fatalf("%d errors", len(all))
	}
	if !strings.HasSuffix(err.Error(), "... and 150 more errors") {
		t.Error(err.Error()[len(err.Error())-80:])
	}
}

// What the program got wrong is said whatever the file holds.
func TestATypeThatNothingReadsIsAnError(t *testing.T) {
	t.Parallel()
	type odd string
	for name, into := range map[string]any{
		"a named text without a parser": new(struct {
			A odd `yaml:"a"`
		}),
		"deep inside": new(struct {
			A []map[string]*struct {
				B roc.Service `yaml:"b"`
			} `yaml:"a"`
		}),
		"an interface": new(struct {
			A any `yaml:"a"`
		}),
		"a misspelt rule": new(struct {
			A string `yaml:"a" strict:"requierd"`
		}),
		"a name used twice": new(struct {
			A string `yaml:"a"`
			B string `yaml:"a"`
		}),
		"not a pointer": struct{}{},
		"nothing":       nil,
	} {
		err := strict.Decode("a.yaml", []byte("{}"), into)
		var all strict.Errors
		if err == nil || errors.As(err, &all) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"0": 0, "65536": 65536, "1KiB": 1024, "2MiB": 2 << 20, "3GiB": 3 << 30, "4kB": 4000, "5MB": 5e6, "6GB": 6e9, "7B": 7, "8 MiB": 8 << 20,
		"": -1, "MiB": -1, "-1": -1, "1.5MiB": -1, "1mb": -1, "01": -1, "9999999999GiB": -1, "1 0": -1, "٣": -1,
	} {
		got, err := strict.ParseSize(text)
		if (want < 0) != (err != nil) || err == nil && int64(got) != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
}

// Whatever the file, strict answers, and each error has its place in it.
func FuzzDecode(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.yaml")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var s settings
		doc := strict.Read("f.yaml", data, &s, options()...)
		doc.Refuse(doc.At("sites", 0, "finess"), "", "x")
		err := doc.Err()
		if err == nil {
			if s.Name == "" || s.Listen == "" {
				t.Fatal("accepted without its required fields")
			}
			return
		}
		var all strict.Errors
		if !errors.As(err, &all) {
			t.Fatalf("not an Errors: %v", err)
		}
		lines := strings.Count(string(data), "\n") + strings.Count(string(data), "\r") + strings.Count(string(data), "\u0085") + strings.Count(string(data), "\u2028") + strings.Count(string(data), "\u2029") + 1
		for _, e := range all {
			if e.Line < 1 || e.Line > lines+1 || e.Column < 1 || e.Problem == "" {
				t.Fatalf("%+v in a file of %d lines", e, lines)
			}
		}
		_ = err.Error()
	})
}

// A field may be required only where another is not given, and a value alone
// may stand for a struct.
func TestOneOrTheOtherAndShortForms(t *testing.T) {
	t.Parallel()
	type dated struct {
		Name  string `yaml:"name" strict:"required"`
		Since string `yaml:"since"`
	}
	type file struct {
		State  string  `yaml:"state" strict:"required,unless=states"`
		States []dated `yaml:"states" strict:"required,unless=state"`
	}
	for text, want := range map[string]string{
		"state: a":                         "",
		"states: [a, {name: b, since: c}]": "",
		"states:\n  - a\n":                 "",
		"states: [{since: c}]":             "f:1:10: states[0]: the field name is missing; add a line `name: ...`",
		"states: ['']":                     "f:1:10: states[0]: the text is empty; write a value",
		"{}":                               "f:1:1: the field state is missing; add a line `state: ...`",
		"states: []":                       "f:1:9: states: the list is empty; give at least one item",
		"statees: [a]":                     "f:1:1: statees: unknown field (did you mean \"states\"?); the fields here are state or states",
		"states: [[a]]":                    "f:1:10: states[0]: a list is where a mapping is expected; write its fields: name or since",
	} {
		var f file
		err := strict.Decode("f", []byte(text), &f, strict.Short[dated]("name"))
		var all strict.Errors
		got := ""
		if errors.As(err, &all) && len(all) == 1 {
			got = all[0].Error()
		} else if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
		if strings.Contains(text, "since: c}]") && err == nil && (len(f.States) != 2 || f.States[0] != (dated{Name: "a"}) || f.States[1] != (dated{"b", "c"})) {
			t.Errorf("%s: %v", text, f.States)
		}
	}
	type wrong struct {
		States []dated `yaml:"states"`
	}
	if err := strict.Decode("f", []byte("states: [a]"), new(wrong), strict.Short[dated]("none")); err == nil {
		t.Error("a short form that is no field must be a mistake of the program")
	}
}
