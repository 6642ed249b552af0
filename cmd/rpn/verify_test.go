package main

import (
	"bytes"
	"context"
	"encoding/json"
	"html"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/internal/xmlsig"
)

// verifyMessage is a good IDB of that establishment, unsigned.
func verifyMessage(ej roc.FINESS) []byte {
	op, _ := message.OperationFor(roc.IDB, roc.V1)
	return message.SampleRequest(op, message.SampleDemande(time.Now(), ej, "0099000001"), soap.SOAP12).Bytes()
}

// verifyFiles makes a PKI and signed messages: good, altered, unsigned.
func verifyFiles(t *testing.T) (dir, trust string) {
	t.Helper()
	dir = t.TempDir()
	pki := igc.New(igc.Options{ECDSA: true})
	if err := pki.Write(dir); err != nil {
		t.Fatal(err)
	}
	_, sign := pki.Establishment("1010003812", "HOPITAL FICTIF")
	good, err := xmlsig.Sign(roc.NewContent(verifyMessage("010003812")), xmlsig.Key{Certificate: sign.Cert, Chain: sign.Chain, Signer: sign.Key}, xmlsig.SignOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"good.xml":     good.Bytes(),
		"altered.xml":  bytes.Replace(good.Bytes(), []byte("FICTIF"), []byte("FICTIVE"), 1),
		"unsigned.xml": verifyMessage("010003812"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir, igc.StoreFile(dir, igc.EtablissementSignature)
}

func runRPN(t *testing.T, args ...string) (code int, out, stderr string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(context.Background(), args, streams{strings.NewReader(""), &o, &e})
	return code, o.String(), e.String()
}

func TestVerifySaysTheVerdictOfEachFile(t *testing.T) {
	t.Parallel()
	dir, trust := verifyFiles(t)
	files := []string{filepath.Join(dir, "good.xml"), filepath.Join(dir, "altered.xml"), filepath.Join(dir, "unsigned.xml")}
	code, out, _ := runRPN(t, append([]string{"verify", "--json", "--trust", trust, "--caller", "1010003812"}, files...)...)
	if code != exitFailed {
		t.Errorf("exit %d, want 1: two messages are refused", code)
	}
	want := []struct {
		verdict, code string
		covered       int
	}{{"accepted", "", 2}, {"refused", "RPN212", 1}, {"refused", "RPN211", 0}}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != len(want) {
		t.Fatalf("%d lines, want one a file:\n%s", len(lines), out)
	}
	for i, w := range want {
		var d verdict
		if err := json.Unmarshal([]byte(lines[i]), &d); err != nil {
			t.Fatal(err)
		}
		if d.Verdict != w.verdict || d.Code != w.code || len(d.Covered) != w.covered || d.File != files[i] || d.Chain != "checked" {
			t.Errorf("%s: %+v, want %+v", files[i], d, w)
		}
	}
	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"accepted", []string{"--trust", trust, "--caller", "1010003812", files[0]}, 0, "  ACCEPTÉ"},
		{"what a flag leaves out is named", []string{"--trust", trust, files[0]}, 0, "RIEN N'EST REFUSÉ"},
		{"the signature alone", []string{"--trust", trust, "--signature-only", files[0]}, 0, "SIGNATURE ACCEPTÉE"},
		{"chain not checked is said", []string{files[0]}, 0, "NON VÉRIFIÉE"},
		{"altered shows both digests", []string{files[1]}, 1, "calculée"},
		{"another caller", []string{"--trust", trust, "--caller", "1010003820", files[0]}, 1, "RPN216"},
		{"another store", []string{"--trust", igc.StoreFile(dir, igc.AMCSignature), files[0]}, 1, "RPN215"},
		{"too late", []string{"--at", time.Now().Add(time.Hour).Format(time.RFC3339), files[0]}, 1, "RPN217"},
	} {
		code, out, _ := runRPN(t, append([]string{"verify"}, c.args...)...)
		if code != c.code || !strings.Contains(out, c.says) {
			t.Errorf("%s: exit %d, want %d and %q in:\n%s", c.name, code, c.code, c.says, out)
		}
	}
}

// A message whose signature holds is refused all the same when the RPN would
// refuse it, or its insurer, and each step has its verdict.
func TestVerifyAcceptsOnlyWhatTheRPNWouldAccept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pki := igc.New(igc.Options{ECDSA: true})
	if err := pki.Write(dir); err != nil {
		t.Fatal(err)
	}
	_, key := pki.Establishment("1010003812", "HOPITAL FICTIF")
	for name, text := range map[string]string{
		"etablissements.yaml": "etablissements:\n- {nom: Hôpital fictif, finess_ej: '010003812', finess_eg: ['010003820'], etat: cercle}\n",
		"amc.yaml":            "amcs:\n- {nom: Mutuelle fictive, numeros: ['0099000001'], etat: cercle}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	good := string(verifyMessage("010003812"))
	with := func(old, now string) string {
		t.Helper()
		if !strings.Contains(good, old) {
			t.Fatalf("no %s in the sample", old)
		}
		return strings.Replace(good, old, now, 1)
	}
	const ej = "<finess_ej>010003812</finess_ej>"
	for name, c := range map[string]struct {
		message, says string
		register      bool
		code          int
	}{
		"good":            {good, "ACCEPTÉ", true, 0},
		"own site":        {with(ej, ej+"<finess_eg>010003820</finess_eg>"), "ACCEPTÉ", true, 0},
		"unknown site":    {with(ej, ej+"<finess_eg>010003838</finess_eg>"), "cause finess-eg", true, 1},
		"site unverified": {with(ej, ej+"<finess_eg>010003838</finess_eg>"), "NON VÉRIFIÉE sites", false, 0},
		"another's EJ":    {with(ej, "<finess_ej>010003820</finess_ej>"), "RPN221", false, 1},
		"no such service": {strings.ReplaceAll(good, "urn:roc:idb:1.0.0", "urn:roc:idb:9.0.0"), "RPN204", false, 1},
		"no domaine":      {with("<domaine_conventionnel>HOSP</domaine_conventionnel>", ""), "RPN222", false, 1},
		"no birth date":   {with("<date_naissance>1980-02-29</date_naissance>", ""), "ne suit pas son schéma : champ beneficiaire/date_naissance", false, 1},
	} {
		m, err := xmlsig.Sign(roc.NewContent([]byte(c.message)), xmlsig.Key{Certificate: key.Cert, Chain: key.Chain, Signer: key.Key}, xmlsig.SignOptions{})
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, "m.xml")
		if err := os.WriteFile(file, m.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		args := []string{"verify", "--trust", igc.StoreFile(dir, igc.EtablissementSignature), "--caller", "1010003812", file}
		if c.register {
			args = append(args, "--register", dir)
		}
		code, out, errs := runRPN(t, args...)
		if code != c.code || !strings.Contains(out, c.says) || strings.Contains(out, "FICTIF") && !strings.Contains(out, "HOPITAL FICTIF") {
			t.Errorf("%s: exit %d, want %d and %q in:\n%s%s", name, code, c.code, c.says, out, errs)
		}
	}
}

// What was done to a message after it was signed is found.
func TestVerifyFindsWhatChangedTheMessage(t *testing.T) {
	t.Parallel()
	dir, trust := verifyFiles(t)
	good, err := os.ReadFile(filepath.Join(dir, "good.xml"))
	if err != nil {
		t.Fatal(err)
	}
	body := bytes.Index(good, []byte("Body"))
	indented := append(bytes.Clone(good[:body]), bytes.ReplaceAll(good[body:], []byte("><"), []byte(">\r\n  <"))...)
	file := filepath.Join(dir, "indented.xml")
	if err := os.WriteFile(file, indented, 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, _ := runRPN(t, "verify", "--trust", trust, file)
	if code != 1 || !strings.Contains(out, "le message a été réindenté après la signature") {
		t.Errorf("exit %d:\n%s", code, out)
	}
	if code, out, _ := runRPN(t, "verify", "--trust", trust, filepath.Join(dir, "altered.xml")); code != 1 || strings.Contains(out, "trouvé") {
		t.Errorf("a letter was changed, exit %d:\n%s", code, out)
	}
}

func TestVerifyWritesCanonicalBytesAndTheirDigest(t *testing.T) {
	t.Parallel()
	dir, _ := verifyFiles(t)
	code, out, stderr := runRPN(t, "verify", "--c14n", "SignedInfo", filepath.Join(dir, "good.xml"))
	if code != 0 || !strings.HasPrefix(out, `<ds:SignedInfo xmlns:ds="`) || !strings.Contains(stderr, "SHA-256") {
		t.Errorf("exit %d, canonical form %.60q, digest %q", code, out, stderr)
	}
	signed, err := os.ReadFile(filepath.Join(dir, "altered.xml"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(signed), `URI="#corps`)
	id, _, _ := strings.Cut(after, `"`)
	code, out, stderr = runRPN(t, "verify", "--c14n", "corps"+id, filepath.Join(dir, "altered.xml"))
	if code != exitFailed || !strings.Contains(out, "FICTIVE") || !strings.Contains(stderr, "diffèrent") {
		t.Errorf("exit %d, %q, %q: the altered Body has another digest than stated", code, out, stderr)
	}
}

func TestVerifyRefusesABadCommandLine(t *testing.T) {
	t.Parallel()
	dir, trust := verifyFiles(t)
	good := filepath.Join(dir, "good.xml")
	for _, args := range [][]string{
		{}, {filepath.Join(dir, "nowhere.xml")}, {"--at", "yesterday", good}, {"--caller", "hopital", good},
		{"--trust", good, good}, {"--crl", trust, good}, {"--trust", trust, "--crl", good, good}, {"--nonsense", good},
	} {
		if code, _, stderr := runRPN(t, append([]string{"verify"}, args...)...); code != exitUsage || stderr == "" {
			t.Errorf("verify %q: exit %d, want 2 and a reason; got %q", args, code, stderr)
		}
	}
}

// Both verdicts are shown, of good messages and of bad ones.
func TestVerifyShowsASecondOpinion(t *testing.T) {
	t.Parallel()
	attacks := filepath.Join("..", "..", "internal", "xmlsig", "testdata", "attacks")
	for name, want := range map[string]struct{ json, text, first string }{
		"ok-plain":                     {"holds", "signature conforme", "SIGNATURE ACCEPTÉE"},
		"value-changed":                {"does-not-hold: ", "SIGNATURE NON CONFORME", "REFUSÉ"},
		"key-issuer-serial-of-another": {"holds", "signature conforme", "REFUSÉ"},
	} {
		file := filepath.Join(t.TempDir(), "m.xml")
		data, err := os.ReadFile(filepath.Join(attacks, name+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		_, m, _ := bytes.Cut(data, []byte("\n---\n"))
		if err := os.WriteFile(file, m, 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := verifyCommand()
		var out bytes.Buffer
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		cmd.SetArgs([]string{"--second-opinion", "--signature-only", "--json", "--at", "2026-11-21T09:30:00Z", file})
		cmd.Execute()
		if !strings.Contains(out.String(), `"second":"`+want.json) {
			t.Errorf("%s: %s", name, out.String())
		}
		out.Reset()
		cmd = verifyCommand()
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		cmd.SetArgs([]string{"--second-opinion", "--signature-only", "--at", "2026-11-21T09:30:00Z", file})
		cmd.Execute()
		if text := out.String(); !strings.Contains(text, "2e avis    "+want.text) || !strings.Contains(text, want.first) {
			t.Errorf("%s: %s", name, text)
		}
	}
}

// What `rpn verify` says of a message that it refuses is what the fault of the
// RPN says, in French: never the cause of the log, which is in English.
func TestVerifySaysInFrenchWhatTheFaultSays(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("..", "..", "internal", "xmlsig", "testdata", "attacks", "*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		head, m, _ := bytes.Cut(data, []byte("\n---\n"))
		_, at, _ := bytes.Cut(head, []byte("\nat: "))
		at, _, _ = bytes.Cut(at, []byte("\n"))
		v, err := newVerification(verifyOptions{at: string(at), caller: "1010003812", signature: true})
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		report, err := v.check(roc.NewContent(m))
		if err == nil {
			continue
		}
		refused++
		refusal := roc.RefusalOf(err)
		var out bytes.Buffer
		v.print(&out, v.verdict(filepath.Base(file), report, err), report, err)
		text := out.String()
		if refusal.CauseCode == "" || !strings.Contains(text, "cause "+string(refusal.CauseCode)+"\n") {
			t.Errorf("%s: the cause %q has no name in\n%s", file, refusal.CauseCode, text)
		}
		if c := refusal.Cause; c != nil && strings.Contains(c.Error(), " ") && strings.Contains(text, c.Error()) { // one word may be a name of both
			t.Errorf("%s: the cause of the log, %q, is in\n%s", file, refusal.Cause, text)
		}
		fault := string(soap.Fault(soap.SOAP12, "id", refusal).Bytes())
		element := func(name string) string {
			_, rest, _ := strings.Cut(fault, "<rpn:"+name+">")
			text, _, _ := strings.Cut(rest, "</rpn:"+name+">")
			return html.UnescapeString(text)
		}
		if !strings.Contains(text, "libellé    "+element("Libelle")+"\n") || !strings.Contains(text, "remède     "+element("Remede")+"\n") {
			t.Errorf("%s: the fault says\n%s\nand this was printed:\n%s", file, fault, text)
		}
	}
	if refused < 200 {
		t.Errorf("only %d of %d messages were refused", refused, len(files))
	}
}
