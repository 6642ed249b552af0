package scenarios

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

// An insurer gets its kit, is tried, and is drained for a while: nothing is sent
// to it, and whoever writes to it reads until when.
func TestAnAMCIsTriedAndDrained(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	e, bleue := n.Etablissement(), n.AMC("bleue")
	e.Send(roc.IDB, "bleue").WantAnswer()
	rpn := func(code int, args ...string) string {
		t.Helper()
		p := nation.Run(t, args...)
		p.WantExit(code)
		return p.Output.String() + p.Errors.String()
	}

	kit := filepath.Join(t.TempDir(), "kit")
	rpn(0, "amc", "kit", "-c", n.ConfigFile(), "--amc", string(bleue.Numero()), "--out", kit, "--source", "192.0.2.10")
	for file, want := range map[string]string{"LISEZMOI.md": "192.0.2.10", "certificat-rpn.pem": "BEGIN CERTIFICATE", "rpn-roc-v1.wsdl": "RocIdbV1", "exemples/clc-v2-soap12.xml": string(bleue.Numero())} {
		b, err := os.ReadFile(filepath.Join(kit, file))
		if err != nil || !strings.Contains(string(b), want) || strings.Contains(string(b), "PRIVATE KEY") {
			t.Errorf("%s (%v): want %s in\n%.2000s", file, err, want, b)
		}
	}

	url, connect := n.URLOf("bleue"), ""
	_, port, _ := strings.Cut(strings.TrimPrefix(url, "https://"), ":")
	port, _, _ = strings.Cut(port, "/")
	connect = "127.0.0.1:" + port
	report := filepath.Join(kit, "rapport.html")
	f := n.Files(e.ID)
	args := []string{"amc", "test", "--url", url, "--connect", connect, "--amc", string(bleue.Numero()), "--caller", "1" + string(e.EJ), "--ca", igc.StoreFile(n.Dir, igc.AMCTLS),
		"--cert", n.File("rpn/client.pem"), "--key", n.File("rpn/client.key"), "--sign-cert", f.SignCert, "--sign-key", f.SignKey, "--pause", "10ms", "--out", report, "--json"}
	var found struct {
		Reussis, Total int
		Phases         []struct {
			Nom    string
			Essais []struct {
				Nom, Obtenu string
				Reussi      bool
			}
		}
	}
	out := rpn(0, args...)
	if err := json.Unmarshal([]byte(out), &found); err != nil || found.Total != 13 || found.Reussis != 13 || len(found.Phases) != 3 {
		t.Errorf("%v: %s", err, out)
	}
	page, err := os.ReadFile(report)
	if err != nil || !strings.Contains(string(page), "13 essais réussis sur 13") {
		t.Errorf("the report (%v): %s", err, page)
	}
	for _, text := range []string{out, string(page)} {
		if strings.Contains(text, "FICTIF") || strings.Contains(text, "ADH0000001") || strings.Contains(text, "1980-02-29") {
			t.Errorf("something of the patient is in the report:\n%s", text)
		}
	}
	if out := rpn(1, append(args[:len(args):len(args)], "--ca", n.AuthorityFile())...); !strings.Contains(out, "autorité inconnue ici") {
		t.Errorf("another authority: %s", out)
	}

	if out := rpn(0, "amc", "drain", string(bleue.Numero()), "-c", n.ConfigFile(), "--until", "2h", "--motif", "mise à jour"); !strings.Contains(out, "est en maintenance jusqu'au") {
		t.Error(out)
	}
	n.Reload()
	before := bleue.Received()
	for _, r := range e.SendBoth(roc.IDB, "bleue").WantRefused(roc.AMCSuspended) {
		if wait, err := strconv.Atoi(r.Header.Get("Retry-After")); err != nil || wait < 7000 || wait > 7200 || r.Cause() != roc.MaintainedAMC {
			t.Errorf("cause %s, Retry-After %q", r.Cause(), r.Header.Get("Retry-After"))
		}
	}
	bleue.WantReceived(before)
	rpn(1, "amc", "drain", string(bleue.Numero()), "-c", n.ConfigFile(), "--until", "3h") // it is drained already
	rpn(2, "amc", "drain", string(bleue.Numero()), "-c", n.ConfigFile(), "--until", "demain")
	rpn(0, "amc", "resume", string(bleue.Numero()), "-c", n.ConfigFile())
	n.Reload()
	await.Until(t, "it is reached again", func() bool { return e.Send(roc.IDB, "bleue").Answered("00") })
}
