package nation

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func start(t *testing.T, o Options) *Nation {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	n, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// The day goes as it says, and goes so again in the same directory; the files
// of the first day are not made again.
func TestTheDayGoesAsExpectedTwice(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var before []byte
	for range 2 {
		n, err := New(Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range Day() {
			p, err := n.Play(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			if !p.AsExpected() {
				t.Errorf("scene %d, %s %s %s to %s: want %s, got %s: %s", i+1, s.Who, s.Service, s.Version, s.AMC, s.Want, p.Got(), p.Outcome)
			}
		}
		if err := n.Close(); err != nil {
			t.Error(err)
		}
		key, err := os.ReadFile(n.Files("chu").SignKey)
		if err != nil {
			t.Fatal(err)
		}
		if before != nil && string(before) != string(key) {
			t.Error("the key of the first day was replaced")
		}
		before = key
	}
}

// AsExpected must be able to say no.
func TestASceneThatGoesOtherwiseIsSeen(t *testing.T) {
	t.Parallel()
	n := start(t, Options{})
	for _, s := range []Scene{
		{Who: "chu", Service: roc.IDB, Version: roc.V2, SOAP: soap.SOAP12, AMC: "bleue", Want: "RPN303"},
		{Who: "chu", Service: roc.IDB, Version: roc.V2, SOAP: soap.SOAP12, AMC: "bleue", Want: Handshake},
		{Who: "clinique", Service: roc.IDB, Version: roc.V2, SOAP: soap.SOAP12, AMC: "bleue", Want: "00"},
		{Who: "ailleurs", Service: roc.IDB, Version: roc.V2, SOAP: soap.SOAP12, AMC: "bleue", Want: "00"},
		{Who: "ailleurs", Service: roc.IDB, Version: roc.V2, SOAP: soap.SOAP12, AMC: "bleue", Want: code(roc.UntrustedSigner)},
		{Who: "hetre", Service: roc.IDB, Version: roc.V2, SOAP: soap.SOAP12, AMC: "bleue", before: exclude("hetre"), Want: Handshake}, // nothing was open
		{Who: "chu", Service: roc.IDB, Version: roc.V2, SOAP: soap.SOAP12, AMC: "bleue", before: hangup("chu"), after: showsRenewed(false), Want: "00"},
	} {
		p, err := n.Play(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		if p.AsExpected() {
			t.Errorf("%s wanted %s, got %s: taken as expected", s.Who, s.Want, p.Outcome)
		}
	}
	if _, err := n.Play(t.Context(), Scene{Who: "personne"}); err == nil {
		t.Error("an unknown character was played")
	}
}

// What is not our nation's directory is not written into.
func TestADirectoryOfSomethingElseIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "thesis.txt"), []byte("three years of work"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := New(Options{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("got %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("the directory was changed: %v", entries)
	}
}

func TestATemporaryNationLeavesNothing(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	n, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !n.Temporary() || !strings.HasPrefix(n.Dir, tmp) {
		t.Errorf("got %s", n.Dir)
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
	if entries, _ := os.ReadDir(tmp); len(entries) > 0 {
		t.Errorf("left: %v", entries)
	}
}

// A new establishment may call as soon as it is in the register.
func TestANewcomerIsWelcome(t *testing.T) {
	t.Parallel()
	n := start(t, Options{})
	e, err := n.Welcome(Character{ID: "neuve", Nom: "Clinique Neuve", EJ: "990000071", Etat: "cercle", Sign: []igc.Option{igc.ECDSA()}})
	if err != nil {
		t.Fatal(err)
	}
	if o := e.Send(t.Context(), roc.CLC, roc.V1, soap.SOAP11, "verte"); !o.Answered("00") {
		t.Errorf("got %s", o)
	}
	if err := n.Change("neuve", func(c *Character) { c.Etat, c.Miroir = "surveillance", "bleue" }); err != nil {
		t.Fatal(err)
	}
	if o := e.Send(t.Context(), roc.CLC, roc.V1, soap.SOAP11, "verte"); !o.Refused(roc.OutsideCircle) {
		t.Errorf("got %s", o)
	}
}

func TestEveryMessageToSendByHandIsAnswered(t *testing.T) {
	t.Parallel()
	n := start(t, Options{})
	e, _ := n.Etablissement("chu")
	files, err := filepath.Glob(filepath.Join(n.Dir, "messages", "*.xml"))
	if err != nil || len(files) != 4 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(f), ".xml")
		s, v, sv := roc.IDB, roc.V1, soap.SOAP11
		if strings.HasPrefix(name, "clc") {
			s = roc.CLC
		}
		if strings.HasSuffix(name, "v2") {
			v, sv = roc.V2, soap.SOAP12
		}
		o := e.Send(t.Context(), s, v, sv, "bleue", With(func(d *Draft) {
			d.Body = func(*Draft) roc.Content { return roc.NewContent(text) }
		}))
		if !o.Answered("00") {
			t.Errorf("%s: %s", name, o)
		}
	}
}
