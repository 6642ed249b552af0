package nation

import (
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/piano-roc/rpn/annuaire/fictif"
	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/roc"
	inner "github.com/piano-roc/rpn/nation"
)

// keys are shared by every country of a test program.
var keys = igc.NewKeys()

// A Nation is a country that runs until the end of the test.
type Nation struct {
	*inner.Nation

	t    testing.TB
	log  *Text    // what the RPN has written on its standard output
	rpn  *Process // nil in process
	env  []string // more variables of its environment
	amcs map[string]*AMC

	mu       sync.Mutex // guards welcomed
	welcomed []*Etablissement
}

// An Option says how a country differs from the usual one.
type Option func(*settings)

type settings struct {
	inner.Options
	binary, lazy bool
	env          []string
}

// Binary has the real binary run in the place of the application in process.
func Binary(s *settings) { s.binary = true }

// NotStarted is Binary, and leaves it to Start, once the test has changed the
// files of the country.
func NotStarted(s *settings) { s.binary, s.lazy = true, true }

// Environment adds a variable to the environment of the binary.
func Environment(name, value string) Option {
	return func(s *settings) { s.env = append(s.env, name+"="+value) }
}

// Section replaces a section of rpn.yaml: Section("timeouts", "exchange: 2s").
func Section(name, text string) Option {
	return func(s *settings) { s.Sections[name] = text }
}

// Annuaire adds lines to the section annuaire of rpn.yaml.
func Annuaire(lines string) Option {
	return func(s *settings) { s.Options.Annuaire = lines }
}

// Clock is everybody's clock, in process.
func Clock(now func() time.Time) Option { return func(s *settings) { s.Now = now } }

// Facade lets the RPN rewrite the answers of the annuaire for those
// establishments whose register says so.
func Facade(s *settings) { s.Options.Facade = true }

// Insurer changes an insurer of the country, by its ID.
func Insurer(id string, change func(*inner.Insurer)) Option {
	return func(s *settings) {
		for i := range s.Insurers {
			if s.Insurers[i].ID == id {
				change(&s.Insurers[i])
			}
		}
	}
}

// AnotherInsurer adds one to those of every country.
func AnotherInsurer(i inner.Insurer) Option {
	return func(s *settings) { s.Insurers = append(s.Insurers, i) }
}

// Observer is told of each exchange of an RPN in process.
func Observer(f func(*roc.Record)) Option {
	return func(s *settings) { s.Observers = append(s.Observers, f) }
}

// insurers are those of every country: "bleue" and "verte" in the circle, the
// platform "validation", "grise" which is suspended, and "absente" whose
// server is not there.
func insurers() []inner.Insurer {
	return append(inner.Insurers(), inner.Insurer{
		ID: "absente", Nom: "Mutuelle Absente", Numero: "0099000005", Etat: "cercle", Host: "roc.mutuelle-absente.example", Absent: true,
	})
}

// ej is the FINESS of the nth establishment: department 99 does not exist.
func ej(n int32) roc.FINESS { return roc.FINESS(fmt.Sprintf("%09d", 990000001+10*n)) }

// New starts a country.
func New(t testing.TB, options ...Option) *Nation {
	t.Helper()
	s := &settings{Options: inner.Options{
		Dir: t.TempDir(), Keys: keys, Insurers: insurers(), Sections: map[string]string{},
		// A register may not be empty.
		Etablissements: []inner.Character{{ID: "premier", Nom: "Hôpital Premier", EJ: ej(0), Etat: "cercle", Sign: []igc.Option{igc.ECDSA()}}},
	}}
	for _, o := range options {
		o(s)
	}
	n := &Nation{t: t, log: &Text{}, env: s.env, amcs: map[string]*AMC{}}
	for i := range s.Insurers {
		a := &AMC{t: t, insurer: s.Insurers[i]}
		n.amcs[a.insurer.ID] = a
		s.Insurers[i].Wrap = a.wrap
	}
	s.WithoutRPN = s.binary
	s.Log = slog.New(slog.NewJSONHandler(n.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	if n.Nation, err = inner.New(s.Options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.close)
	if s.binary {
		n.takeFreePorts()
	}
	if s.binary && !s.lazy {
		n.Start()
	}
	return n
}

func (n *Nation) close() {
	for _, a := range n.amcs {
		a.Release()
	}
	if n.rpn != nil {
		defer n.rpn.kill()
		for _, e := range n.welcomed {
			e.Hangup() // an idle connection is waited for
		}
		n.rpn.Stop()
	}
	if err := n.Nation.Close(); err != nil {
		n.t.Error(err)
	}
	n.checkLog()
	if n.t.Failed() || testing.Verbose() {
		n.t.Logf("the log of the RPN:\n%s", n.log)
		if n.rpn != nil && n.rpn.Errors.String() != "" {
			n.t.Logf("its standard error:\n%s", n.rpn.Errors)
		}
	}
}

// AMC returns an insurer by its ID.
func (n *Nation) AMC(id string) *AMC {
	n.t.Helper()
	a, ok := n.amcs[id]
	if !ok {
		n.t.Fatalf("no insurer %q", id)
	}
	return a
}

// Etablissement welcomes an establishment: in the circle, or as the traits
// say. It has certificates and is in the register.
func (n *Nation) Etablissement(traits ...Trait) *Etablissement {
	n.t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	i := int32(len(n.welcomed) + 1)
	c := inner.Character{
		ID: fmt.Sprintf("etablissement-%d", i), Nom: fmt.Sprintf("Etablissement %d", i), EJ: ej(i), Etat: "cercle",
		Sign: []igc.Option{igc.ECDSA()},
	}
	for _, trait := range traits {
		trait(&c)
	}
	e, err := n.Welcome(c)
	if err != nil {
		n.t.Fatal(err)
	}
	n.Reload()
	n.welcomed = append(n.welcomed, &Etablissement{Etablissement: e, n: n})
	return n.welcomed[len(n.welcomed)-1]
}

// Move changes what the register says of an establishment, and has the RPN
// read it again.
func (n *Nation) Move(e *Etablissement, traits ...Trait) {
	n.t.Helper()
	err := n.Change(e.ID, func(c *inner.Character) {
		for _, trait := range traits {
			trait(c)
		}
	})
	if err != nil {
		n.t.Fatal(err)
	}
	n.Reload()
}

// Reload has the binary read its files again, when it runs; the application in
// process has done so.
func (n *Nation) Reload() {
	n.t.Helper()
	if n.rpn == nil {
		return
	}
	if status, text, err := n.ask(http.MethodPost, "/-/reload"); err != nil || status != http.StatusOK {
		n.t.Fatalf("reload: %d: %s %v", status, text, err)
	}
}

// Rows replaces the rows of the annuaire. AMC stands for the number of the
// insurer "bleue", URL for its address, DEBUT and FIN for a validity of today.
func (n *Nation) Rows(lines ...string) {
	n.t.Helper()
	bleue, now := n.AMC("bleue"), time.Now()
	text := strings.NewReplacer("AMC", string(bleue.insurer.Numero), "URL", n.urlOf(bleue),
		"DEBUT", now.AddDate(-1, 0, 0).Format(time.DateOnly), "FIN", now.AddDate(1, 0, 0).Format(time.DateOnly),
	).Replace("lignes:\n  - " + strings.Join(lines, "\n  - ") + "\n")
	rows, err := fictif.ParseYAML("rows", []byte(text))
	if err != nil {
		n.t.Fatal(err)
	}
	n.Annuaire.Use(rows)
}

// urlOf is where an insurer answers.
func (n *Nation) urlOf(a *AMC) string {
	for _, p := range n.Places() {
		if p.Name == a.insurer.Nom {
			u, _, _ := strings.Cut(p.URL, " ")
			return u
		}
	}
	return "https://" + a.insurer.Host + "/roc"
}

// File is the path of a file of the country.
func (n *Nation) File(name string) string { return filepath.Join(n.Dir, name) }

// Edit replaces a text in a file of the country, in one step; the text must be
// there. The RPN is not told.
func (n *Nation) Edit(file, old, new string) {
	n.t.Helper()
	b, err := os.ReadFile(n.File(file))
	if err != nil {
		n.t.Fatal(err)
	}
	if !strings.Contains(string(b), old) {
		n.t.Fatalf("%s does not hold %q:\n%s", file, old, b)
	}
	next := n.File(file) + ".new"
	if err := os.WriteFile(next, []byte(strings.Replace(string(b), old, new, 1)), 0o644); err != nil {
		n.t.Fatal(err)
	}
	if err := os.Rename(next, n.File(file)); err != nil {
		n.t.Fatal(err)
	}
}
