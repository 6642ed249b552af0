package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register/attempts"
)

const (
	someAMCs = `amcs:
  - {nom: Mutuelle ANS (fictive), numeros: [0075500017], etat: validation, domaines: [validation.example]}
  - {nom: Mutuelle du Rhône fictive, numeros: [0075500025], etat: cercle, domaines: [rhone.example, {nom: ancien.example, jusque: 2026-10-31}]}
`
	someEstablishments = `etablissements:
  - {finess_ej: 010003812, finess_eg: [010003820], nom: CH fictif des Lilas, etat: cercle}
  - {finess_ej: 2A0000014, finess_eg: [2A0000022], nom: Clinique fictive d'Ajaccio, etat: accrochage}
`
)

// country writes files in a directory of its own.
func country(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func smallCountry(t *testing.T) (dir string, files []string) {
	dir = country(t, map[string]string{"etablissements.yaml": someEstablishments, "amc.yaml": someAMCs})
	return dir, []string{"--etablissements", filepath.Join(dir, "etablissements.yaml"), "--amc", filepath.Join(dir, "amc.yaml")}
}

// One line per thing an operator types: what it exits with and what it says.
func TestWhatAnOperatorAsksOfTheRegister(t *testing.T) {
	t.Parallel()
	dir, files := smallCountry(t)
	suspended := filepath.Join(dir, "new.yaml")
	if err := os.WriteFile(suspended, []byte(strings.Replace(someEstablishments, "etat: cercle", "etat: suspendu", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(dir, "bad.yaml")
	if err := os.WriteFile(bad, []byte(strings.Replace(someEstablishments, "etat: cercle", "etat: cerlce", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"check"}, 0, "2 establishments (1 accrochage, 1 cercle), 2 sites"},
		{[]string{"check", "--json"}, 0, `"etablissements": 2`},
		{[]string{"check", "--etablissements", bad}, 2, `did you mean "cercle"?`},
		{[]string{"check", "--amc", filepath.Join(dir, "none.yaml")}, 2, "none.yaml"},
		{[]string{"check", "--at", "demain"}, 2, "write it like 2026-11-01"},
		{[]string{"show", "lilas"}, 0, "reaches        the circle: 1 AMC"},
		{[]string{"show", "010003820"}, 0, "010003812  CH fictif des Lilas: cercle"},
		{[]string{"show", "--json", "75500025"}, 0, `"nom": "Mutuelle du Rhône fictive"`},
		{[]string{"show", "personne"}, 1, "nobody in the register"},
		{[]string{"show"}, 2, "accepts 1 arg"},
	} {
		args := append([]string{"register", c.args[0]}, append(append([]string{}, files...), c.args[1:]...)...)
		code, out, errs := rpn(t, "", args...)
		if code != c.code || !strings.Contains(out+errs, c.says) {
			t.Errorf("%v: exit %d\n%s%s", c.args, code, out, errs)
		}
	}
	for _, c := range []struct {
		from, to string
		code     int
		says     string
	}{
		{files[1], suspended, 1, "1 establishment loses access:\n  010003812 CH fictif des Lilas: cercle -> suspendu"},
		{suspended, files[1], 1, "1 establishment gains access"},
		{dir, dir, 0, "nothing changes"},
		{dir, suspended, 1, "loses access"},
		{files[1], bad, 2, `did you mean "cercle"?`},
		{files[1], filepath.Join(dir, "none"), 2, "none"},
	} {
		code, out, errs := rpn(t, "", "register", "diff", c.from, c.to)
		if code != c.code || !strings.Contains(out+errs, c.says) {
			t.Errorf("diff %s %s: exit %d\n%s%s", c.from, c.to, code, out, errs)
		}
	}
	code, out, _ := rpn(t, "", "register", "diff", "--json", files[1], suspended)
	var d struct {
		Lose []struct{ Who string } `json:"lose_access"`
	}
	if err := json.Unmarshal([]byte(out), &d); code != 1 || err != nil || len(d.Lose) != 1 || d.Lose[0].Who != "010003812" {
		t.Errorf("exit %d, %v\n%s", code, err, out)
	}
}

const someExtract = `finess;etalab;104;2026-11-01
structureet;010003820;010003812;CH FICTIF DES LILAS;;;;;;;;;004;01;AIN
structureet;010003838;010003812;CH FICTIF ANNEXE;;;;;;;;;004;01;AIN
structureet;2A0000022;2A0000014;CLINIQUE FICTIVE;;;;;;;;;004;2A;CORSE
`

func TestAnImportIsCheckedComparedAndWrittenWhole(t *testing.T) {
	t.Parallel()
	dir := country(t, map[string]string{"extract.csv": someExtract, "amc.yaml": someAMCs, "states.csv": "finess_ej,etat,depuis\n010003812,cercle,2026-11-01\n2A0000014,accrochage,\n", "one.csv": "finess_ej;etat\n010003812;suspendu\n", "bad.csv": "finess_ej;etat\n010003812;cerlce\n"})
	in := func(name string) string { return filepath.Join(dir, name) }
	out := in("etablissements.yaml")
	imported := func(states string, more ...string) (int, string) {
		code, stdout, errs := rpn(t, "", append([]string{"register", "import", "--finess", in("extract.csv"), "--states", in(states), "--out", out}, more...)...)
		return code, stdout + errs
	}
	if code, text := imported("bad.csv"); code != 2 || !strings.Contains(text, "bad.csv:2:11: etat") || exists(out) {
		t.Fatalf("exit %d\n%s", code, text)
	}
	if code, text := imported("states.csv"); code != 0 || !strings.Contains(text, "2 establishments, 3 sites") {
		t.Fatalf("exit %d\n%s", code, text)
	}
	first, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if code, text, _ := rpn(t, "", "register", "check", "--etablissements", out, "--amc", in("amc.yaml")); code != 0 || !strings.Contains(text, "1 accrochage, 1 cercle") {
		t.Errorf("exit %d\n%s", code, text)
	}
	// One is suspended, one left out: said, and written.
	if code, text := imported("one.csv"); code != 0 || !strings.Contains(text, "2 establishments lose access") {
		t.Errorf("exit %d\n%s", code, text)
	}
	if now, err := os.ReadFile(out); err != nil || string(now) == string(first) {
		t.Errorf("not written: %v", err)
	}
	if code, text := imported("states.csv", "--amc", in("none.yaml")); code != 2 || !strings.Contains(text, "none.yaml") {
		t.Errorf("exit %d\n%s", code, text)
	}
	code, stdout, errs := rpn(t, "", "register", "import", "--finess", in("extract.csv"), "--states", in("states.csv"), "--amc", in("amc.yaml"), "--out", "-")
	if code != 0 || !strings.HasPrefix(stdout, "# Made by rpn register import") || !strings.Contains(stdout, "finess_ej: \"2A0000014\"") {
		t.Errorf("exit %d\n%s%s", code, stdout, errs)
	}
	if rest, _ := filepath.Glob(in(".*")); len(rest) > 0 {
		t.Errorf("left behind: %v", rest)
	}
}

// A list that drops most rows of the one it replaces must be forced.
func TestAnImportThatDropsManyRowsMustBeForced(t *testing.T) {
	t.Parallel()
	var old strings.Builder
	old.WriteString("etablissements:\n")
	for i := range 30 {
		old.WriteString("  - {finess_ej: 0100000" + string(rune('0'+i/10)) + string(rune('0'+i%10)) + ", nom: A, etat: cercle}\n")
	}
	dir := country(t, map[string]string{"extract.csv": someExtract, "amc.yaml": someAMCs, "states.csv": "finess_ej;etat\n010003812;cercle\n", "etablissements.yaml": old.String()})
	args := []string{"register", "import", "--finess", filepath.Join(dir, "extract.csv"), "--states", filepath.Join(dir, "states.csv"), "--out", filepath.Join(dir, "etablissements.yaml")}
	code, out, errs := rpn(t, "", args...)
	if code != 2 || !strings.Contains(errs, "30 establishments lose access (30 before)") || !strings.Contains(errs, "--force") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	if now, err := os.ReadFile(filepath.Join(dir, "etablissements.yaml")); err != nil || string(now) != old.String() {
		t.Errorf("the file was touched: %v", err)
	}
	if code, _, errs := rpn(t, "", append(args, "--force")...); code != 0 {
		t.Errorf("exit %d\n%s", code, errs)
	}
}

// What an import may drop is what the configuration says.
func TestAnImportIsBoundedByTheConfiguration(t *testing.T) {
	t.Parallel()
	dir := country(t, map[string]string{"extract.csv": someExtract, "amc.yaml": someAMCs, "states.csv": "finess_ej;etat\n010003812;suspendu\n", "a.pem": "", "a.key": "", "b.pem": "", "b.key": "", "ca": "",
		"etablissements.yaml": "etablissements:\n  - {finess_ej: 010003812, nom: A, etat: cercle}\n"})
	list := filepath.Join(dir, "etablissements.yaml")
	with := func(losses string) []string {
		name := filepath.Join(dir, "rpn.yaml")
		text := `environment: test
listen: 127.0.0.1:8443
server: {certificate: a.pem, key: a.key}
client: {certificate: b.pem, key: b.key}
trust: {etablissements_tls: ca, etablissements_signature: ca, amc_tls: ca, amc_signature: ca}
annuaire: {url: "https://annuaire.example/roc", signer: "300000000000018"}
etablissements: etablissements.yaml
amc: amc.yaml
register_losses: ` + losses + "\n"
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return []string{"register", "import", "--finess", filepath.Join(dir, "extract.csv"), "--states", filepath.Join(dir, "states.csv"), "--out", list, "-c", name}
	}
	if code, _, errs := rpn(t, "", with("{etablissements: {share: 0, least: 0}}")...); code != 2 || !strings.Contains(errs, "1 establishment loses access (1 before)") {
		t.Errorf("with no loss allowed: exit %d\n%s", code, errs)
	}
	if code, _, errs := rpn(t, "", with("{etablissements: {share: 1, least: 0}}")...); code != 0 {
		t.Errorf("with every loss allowed: exit %d\n%s", code, errs)
	}
}

// An import into a base keeps its comments.
func TestAnImportIntoABaseKeepsItsComments(t *testing.T) {
	t.Parallel()
	const base = "# Tenu à la main.\netablissements:\n  # le premier\n  - finess_ej: 010003812 # vérifié\n    nom: CH fictif des Lilas\n    etat: cercle\n"
	dir := country(t, map[string]string{"extract.csv": someExtract, "amc.yaml": someAMCs, "etablissements.yaml": base})
	list := filepath.Join(dir, "etablissements.yaml")
	if code, _, errs := rpn(t, "", "register", "import", "--finess", filepath.Join(dir, "extract.csv"), "--base", list, "--out", list); code != 0 {
		t.Fatalf("exit %d\n%s", code, errs)
	}
	got, err := os.ReadFile(list)
	if err != nil || !strings.HasPrefix(string(got), strings.TrimSuffix(base, "    etat: cercle\n")) || !strings.Contains(string(got), "finess_eg: [") {
		t.Errorf("%v\n%s", err, got)
	}
}

func TestDomainsAsTableCSVAndDelta(t *testing.T) {
	t.Parallel()
	dir, files := smallCountry(t)
	hosts := filepath.Join(dir, "hotes.jsonl")
	if err := os.WriteFile(hosts, []byte(`{"amc":"0075500025","hote":"roc.rhone.example","premiere":"2026-11-02T08:00:00Z","derniere":"2026-11-20T08:00:00Z"}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--at", "2026-11-21", "--csv"}, "amc;nom;domaine;source;connu;depuis;jusque;derniere\r\n0075500017;Mutuelle ANS (fictive);validation.example;registre;oui;;;\r\n0075500025;Mutuelle du Rhône fictive;rhone.example;registre;oui;;;\r\n0075500025;Mutuelle du Rhône fictive;roc.rhone.example;annuaire;oui;2026-11-02;;2026-11-20\r\n"},
		{[]string{"--since", "2026-10-31", "--at", "2026-11-21", "--csv"}, "changement;amc;nom;domaine;source;connu;depuis;jusque;derniere\r\najout;0075500025;Mutuelle du Rhône fictive;roc.rhone.example;annuaire;oui;2026-11-02;;2026-11-20\r\nretrait;0075500025;Mutuelle du Rhône fictive;ancien.example;registre;oui;;2026-10-31;\r\n"},
		{[]string{"--since", "2026-11-21", "--at", "2026-11-21", "--csv"}, "changement;amc;nom;domaine;source;connu;depuis;jusque;derniere\r\n"},
	} {
		code, out, errs := rpn(t, "", append(append([]string{"domains", "--hosts", hosts}, files...), c.args...)...)
		if code != 0 || out != c.want {
			t.Errorf("%v: exit %d\n%q\nwant\n%q\n%s", c.args, code, out, c.want, errs)
		}
	}
	if code, out, _ := rpn(t, "", append([]string{"domains", "--hosts", hosts, "--json"}, files...)...); code != 0 || !json.Valid([]byte(out)) {
		t.Errorf("exit %d\n%s", code, out)
	}
	if code, _, errs := rpn(t, "", append([]string{"domains", "--since", "hier"}, files...)...); code != 2 || !strings.Contains(errs, "2026-11-01") {
		t.Errorf("exit %d\n%s", code, errs)
	}
}

func TestAttemptsInAccrochageAreListed(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	s := attempts.Open(attempts.Options{Dir: filepath.Join(state, "accrochages")})
	at := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	for i, who := range []roc.StructureID{"1990000031", "1990000031", "1990000021"} {
		r := &roc.Record{ID: roc.ExchangeID("echange-" + string(rune('a'+i))), From: who, Service: roc.IDB, Version: roc.V1, RequestIn: at.Add(time.Duration(i) * time.Hour), Outcome: roc.Answered, Origin: roc.FromAMC}
		if i == 1 {
			r.Outcome, r.Origin, r.Reason = roc.Refused, roc.FromRPN, roc.OutsideCircle
		}
		s.Keep(attempts.Of(who, r))
	}
	s.Close()
	for _, c := range []struct {
		args []string
		code int
		says []string
		not  string
	}{
		{[]string{"--state", state}, 0, []string{"echange-a", "RPN303 outside-circle", "echange-c", "attempts: 3, of which answered by the validation platform: 2"}, ""},
		{[]string{"--state", state, "--structure", "990000021"}, 0, []string{"echange-c"}, "echange-a"},
		{[]string{"--state", state, "--since", "2026-11-21T10:30:00Z", "--json"}, 0, []string{"echange-c"}, "echange-b"},
		{[]string{"--state", filepath.Join(state, "none")}, 0, []string{"attempts: 0"}, ""},
		{[]string{"--state", state, "--structure", "12"}, 2, []string{"--structure"}, ""},
		{nil, 2, []string{"config"}, ""},
	} {
		code, out, errs := rpn(t, "", append([]string{"register", "accrochages"}, c.args...)...)
		if code != c.code || c.not != "" && strings.Contains(out, c.not) {
			t.Errorf("%v: exit %d\n%s%s", c.args, code, out, errs)
		}
		for _, s := range c.says {
			if !strings.Contains(out+errs, s) {
				t.Errorf("%v does not say %q\n%s%s", c.args, s, out, errs)
			}
		}
	}
}

func TestAQuestionThatIsMistypedIsNamed(t *testing.T) {
	t.Parallel()
	good := []string{"explain", "-c", "none.yaml", "--structure", "1010003812", "--amc", "0075500025", "--domaine", "HOSP", "--service", "IDB", "--version", "V1"}
	for change, want := range map[string]string{"--amc=12": "--amc", "--structure=4": "--structure", "--domaine=hosp": "--domaine", "--service=ANNUAIRE": "--service", "--version=3": "--version", "--at=hier": "none.yaml"} {
		if code, _, errs := rpn(t, "", append(append([]string{}, good...), change)...); code != 2 || !strings.Contains(errs, want) {
			t.Errorf("%s: exit %d, %s", change, code, errs)
		}
	}
}
