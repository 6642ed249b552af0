package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/nation"
)

// An operator sees the whole instance on one screen, finds an exchange by its id,
// and each part of /readyz has its name and its remedy in French.
func TestAnOperatorSeesTheInstanceOnOneScreen(t *testing.T) {
	t.Parallel()
	moved := nation.Insurers()
	for i := range moved {
		moved[i].Domain = "ancien.example"
	}
	n, err := nation.New(nation.Options{Dir: t.TempDir(), Insurers: moved})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	chu, _ := n.Etablissement("chu")
	refused := chu.Send(t.Context(), roc.IDB, roc.V2, soap.SOAP12, "bleue")
	id := refused.Header.Get("RPN-Echange")
	code, out, errs := rpn(t, "", "status", "-c", n.ConfigFile())
	if code != 1 {
		t.Errorf("exit %d: a decision waits\n%s%s", code, out, errs)
	}
	for _, want := range []string{"RPN ROC, version", "TRAFIC  ", "FILES   ", "ORGANISMES  ", "FIN PROCHE  ", "DÉCISIONS  1 attendent", "rpn annuaire approve --amc 0099000003 --host ", "décisions : ", "que faire : rpn annuaire held"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if lines := strings.Count(out, "\n"); lines > 50 {
		t.Errorf("%d lines are no screen\n%s", lines, out)
	}
	var s status
	_, asJSON, _ := rpn(t, "", "status", "-c", n.ConfigFile(), "--json")
	if err := json.Unmarshal([]byte(asJSON), &s); err != nil || len(s.Ready.Checks) < 15 {
		t.Fatalf("%v\n%s", err, asJSON)
	}
	named := map[string]bool{}
	for _, h := range s.Ready.Checks {
		if named[h.Name] {
			t.Errorf("/readyz names %s twice", h.Name)
		}
		named[h.Name] = true
		if p := partOf(h.Name); p.remedy == "" || p.remedy == unknownPart {
			t.Errorf("%s has no name or no remedy for an operator", h.Name)
		}
	}
	code, out, errs = rpn(t, "", "exchange", id, "-c", n.ConfigFile())
	for _, want := range []string{"RPN306", "en cause : ", "que faire : "} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("exit %d: %q is not in\n%s%s", code, want, out, errs)
		}
	}
	if code, _, errs := rpn(t, "", "exchange", id, "-c", filepath.Join(n.Dir, "absent.yaml")); code != 2 || !strings.Contains(errs, "absent.yaml") {
		t.Errorf("exit %d %s", code, errs)
	}
	// A warning is a fault with --strict.
	if code, _, errs := rpn(t, "", "check", n.ConfigFile(), "--strict"); code != 1 || !strings.Contains(errs, "warning: register: ") {
		t.Errorf("exit %d %s", code, errs)
	}
	if code, out, errs := rpn(t, "", "check", n.ConfigFile()); code != 0 || !strings.Contains(out, "ok (test)") {
		t.Errorf("exit %d %s%s", code, out, errs)
	}
}

func TestHelpAboutTheConfiguration(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"config", "limits.burst"}, 0, "limits.burst: a whole number"},
		{[]string{"help", "config", "limits.burst"}, 0, "limits.burst: a whole number"},
		{[]string{"help", "config"}, 0, "rpn config schema"},
		{[]string{"help"}, 0, "status"},
		{[]string{"help", "nothing"}, 2, "no command is named"},
		{[]string{"config"}, 0, "revocation.grace\n"},
		{[]string{"config", "burst"}, 2, "did you mean limits.burst?"},
		{[]string{"config", "schema"}, 0, `"$schema": "https://json-schema.org/draft/2020-12/schema"`},
		{[]string{"config", "a", "b"}, 2, "accepts at most 1 arg"},
	} {
		if code, out, errs := rpn(t, "", c.args...); code != c.code || !strings.Contains(out+errs, c.says) {
			t.Errorf("%v: exit %d\n%s%s", c.args, code, out, errs)
		}
	}
}

// A région that the register does not have names those that it has.
func TestAnUnknownRegionNamesTheNearest(t *testing.T) {
	t.Parallel()
	dir, files := smallCountry(t)
	list := strings.Replace(someEstablishments, "etat: cercle", "etat: cercle, region: Auvergne-Rhône-Alpes", 1)
	if err := os.WriteFile(filepath.Join(dir, "etablissements.yaml"), []byte(list), 0o600); err != nil {
		t.Fatal(err)
	}
	for region, want := range map[string]int{"auvergne-rhone-alpes": 0, "rhone": 2, "Auvergne-Rhone-Alpe": 2, "Bretagne": 2} {
		code, out, errs := rpn(t, "", append([]string{"register", "list", "--region", region}, files...)...)
		if code != want || code != 0 && !strings.Contains(errs, "Auvergne-Rhône-Alpes") {
			t.Errorf("%s: exit %d\n%s%s", region, code, out, errs)
		}
	}
}
