package app_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/piano-roc/rpn/annuaire"
	"github.com/piano-roc/rpn/app"
	"github.com/piano-roc/rpn/app/admin"
	"github.com/piano-roc/rpn/app/config"
	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/durable"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/register/attempts"
	"github.com/piano-roc/rpn/routing/explain"
)

// Each exchange of an establishment in accrochage is kept, whatever came of
// it, and those of nobody else.
func TestAttemptsInAccrochageAreKept(t *testing.T) {
	t.Parallel()
	n, _ := start(t, nation.Options{})
	send := func(who, to string, v roc.Version) nation.Outcome {
		return someone(t, n, who).Send(t.Context(), roc.IDB, v, soap.SOAP12, to)
	}
	wantAnswer(t, send("hopital", "validation", roc.V1))
	wantRefused(t, send("hopital", "bleue", roc.V2), roc.OutsideCircle)
	wantAnswer(t, send("chu", "bleue", roc.V1))
	c, err := config.Read(n.ConfigFile())
	if err != nil {
		t.Fatal(err)
	}
	var kept []attempts.Attempt
	await.Until(t, "two attempts are kept", func() bool {
		if kept, _, err = attempts.Read(c.AttemptsDir(), attempts.Query{}); err != nil {
			t.Fatal(err)
		}
		return len(kept) >= 2
	})
	if len(kept) != 2 {
		t.Fatalf("%d attempts: %+v", len(kept), kept)
	}
	first, second := kept[0], kept[1]
	if first.Etablissement != "1990000031" || !first.Succeeded() || first.Version != "V1" || first.AMC != "0099000001" || first.RequestSHA256 == "" || first.Echange == "" {
		t.Errorf("the answered one: %+v", first)
	}
	if second.Succeeded() || second.Code != "RPN303" || second.AMC != "0099000003" {
		t.Errorf("the refused one: %+v", second)
	}
	await.Until(t, "readyz counts two attempts", func() bool { // counted once the line is written
		_, body := get(t, n.AdminURL()+"/readyz")
		return strings.Contains(body, "2 attempts kept")
	})
}

// The annuaire's hosts are on disk after a stop.
func TestTheHostsTheAnnuaireHasNamedAreKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	n, err := nation.New(nation.Options{Dir: dir, Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	answer := someone(t, n, "chu").Send(t.Context(), roc.IDB, roc.V2, soap.SOAP12, "bleue")
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	wantAnswer(t, answer)
	hosts, err := annuaire.ReadHosts(filepath.Join(n.StateDir(), "hotes.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range hosts {
		if h.Name == "roc.mutuelle-bleue.example" && h.AMC == "0099000003" && !h.First.IsZero() {
			return
		}
	}
	t.Errorf("%v", hosts)
}

// A state dated in the future takes effect at its time: no file changes, no
// reload.
func TestADatedStateTakesEffectAtItsTime(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	n, _ := start(t, nation.Options{Now: now})
	file := filepath.Join(n.Dir, "etablissements.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	change := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	dated := strings.Replace(string(text), `    etat: surveillance
    amc_miroir: "0099000002"
`, `    etats:
      - {depuis: 2020-01-01, etat: surveillance, amc_miroir: "0099000002"}
      - {depuis: `+change+`, etat: suspendu}
`, 1)
	if dated == string(text) {
		t.Fatal("the clinic's row is not as this test knows it")
	}
	if err := os.WriteFile(file, []byte(dated), 0o600); err != nil {
		t.Fatal(err)
	}
	if status := act(t, n, "/-/reload"); status != http.StatusOK {
		t.Fatalf("reload: %d", status)
	}
	send := func() nation.Outcome {
		return someone(t, n, "clinique").Send(t.Context(), roc.IDB, roc.V2, soap.SOAP12, "verte")
	}
	wantAnswer(t, send())
	ahead.Store(int64(61 * time.Minute))
	wantRefused(t, send(), roc.Suspended)
}

// A register that drops most of its rows is refused, unless forced by somebody
// on this machine.
func TestAReloadThatDropsMostRowsMustBeForced(t *testing.T) {
	t.Parallel()
	n, _ := start(t, nation.Options{})
	file := filepath.Join(n.Dir, "etablissements.yaml")
	if err := os.WriteFile(file, []byte("etablissements:\n  - {finess_ej: \"990000031\", nom: Seul, etat: accrochage}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if status := act(t, n, "/-/reload"); status != http.StatusInternalServerError {
		t.Errorf("a drop of most rows: %d", status)
	}
	wantAnswer(t, idb(t, n, "chu"))
	if status := act(t, n, "/-/reload?force=everything"); status != http.StatusBadRequest {
		t.Errorf("only the register can be forced: %d", status)
	}
	if status := act(t, n, "/-/reload?force=register"); status != http.StatusOK {
		t.Errorf("forced: %d", status)
	}
	wantRefused(t, idb(t, n, "chu"), roc.UnknownStructure)
}

// act has the RPN act, as its commands do.
func act(t *testing.T, n *nation.Nation, path string) int {
	t.Helper()
	answer, err := admin.Client(n.AdminSocket()).Post("http://rpn"+path, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	return answer.StatusCode
}

// An explanation of the running RPN, of the configuration alone, and from what
// is remembered: the same code, three memories.
func TestAMessageIsExplainedWithoutBeingSent(t *testing.T) {
	t.Parallel()
	n, _ := start(t, nation.Options{})
	c, err := config.Read(n.ConfigFile())
	if err != nil {
		t.Fatal(err)
	}
	q := explain.Question{Structure: "1990000011", Key: roc.Key{AMC: "0099000003", Convention: "RO", Domaine: roc.HOSP, Service: roc.IDB, Version: roc.V2}}
	running, err := app.ExplainRunning(t.Context(), c, q, time.Time{})
	if err != nil || !running.Pass || !strings.Contains(running.URL, "roc.mutuelle-bleue.example") {
		t.Fatalf("%v, %v", running, err)
	}
	again, err := app.ExplainRunning(t.Context(), c, q, time.Time{})
	if err != nil || !strings.Contains(again.String(), "cached") {
		t.Errorf("the second time it is cached: %v, %v", again, err)
	}
	q.Structure = "1990000021"
	if x, err := app.ExplainRunning(t.Context(), c, q, time.Time{}); err != nil || x.Reason != roc.OutsideCircle {
		t.Errorf("%v, %v", x, err)
	}
	past := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	if x, err := app.ExplainRunning(t.Context(), c, q, past); err != nil || !x.At.Equal(past) {
		t.Errorf("%v, %v", x, err)
	}
	if bleue, ok := n.Mutuelle("bleue"); !ok || bleue.Received() != 0 {
		t.Error("the insurer was called")
	}

	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, n.AdminURL()+"/-/explain?"+url.Values{"structure": {"x"}}.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, led := range []bool{false, true} {
		want := http.StatusBadRequest
		if led { // by a page elsewhere
			req.Header.Set("Origin", "https://elsewhere.example")
			want = http.StatusForbidden
		}
		answer, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("%d, want %d", answer.StatusCode, want)
		}
	}
}

func TestAStateFolderThatIsNoneIsAnError(t *testing.T) {
	t.Parallel()
	n, _ := start(t, nation.Options{})
	text, err := os.ReadFile(n.ConfigFile())
	if err != nil {
		t.Fatal(err)
	}
	for state, want := range map[string]string{"missing": "does not exist", "amc.yaml": "is a file"} {
		file := filepath.Join(n.Dir, "other-"+state)
		if err := os.WriteFile(file, []byte(strings.Replace(string(text), "state: rpn/state", "state: "+state, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := config.Read(file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", state, err)
		}
	}
}

// Beside the RPN that runs, and without asking the annuaire: what is kept on
// disk is read, from a copy, and nothing is left behind.
func TestAMessageIsExplainedFromWhatIsOnDisk(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	n, _ := start(t, nation.Options{Dir: t.TempDir()})
	c, err := config.Read(n.ConfigFile())
	if err != nil {
		t.Fatal(err)
	}
	o := app.Options{Config: c, Log: slog.New(slog.DiscardHandler)}
	q := explain.Question{Structure: "1990000011", Key: roc.Key{AMC: "0099000003", Convention: "RO", Domaine: roc.HOSP, Service: roc.IDB, Version: roc.V2}}
	x, err := app.Explain(t.Context(), o, q, time.Time{}, true)
	if err != nil || x.Reason != roc.AnnuaireSilent {
		t.Fatalf("nothing is remembered yet: %v, %v", x, err)
	}
	if x, err := app.Explain(t.Context(), o, q, time.Time{}, false); err != nil || !x.Pass || strings.Contains(x.String(), "cached") {
		t.Fatalf("the annuaire is asked: %v, %v", x, err)
	}
	if x, err := app.Explain(t.Context(), o, q, time.Time{}, true); err != nil || x.Pass {
		t.Fatalf("an explanation must leave nothing in the state folder: %v, %v", x, err)
	}
	if _, err := app.ExplainRunning(t.Context(), c, q, time.Time{}); err != nil { // the RPN learns it
		t.Fatal(err)
	}
	await.Until(t, "what the RPN learned is on disk", func() bool {
		x, err = app.Explain(t.Context(), o, q, time.Time{}, true)
		return err != nil || x.Pass
	})
	if err != nil || !x.Pass || !strings.Contains(x.String(), "cached") {
		t.Errorf("what the RPN has on disk: %v, %v", x, err)
	}
	if _, err := checked(t, o); err != nil {
		t.Error(err)
	}
	if rest, _ := filepath.Glob(filepath.Join(tmp, "rpn-look-*")); len(rest) > 0 {
		t.Errorf("left behind: %v", rest)
	}
}

// Without a state folder too, a command that only looks leaves the journal and
// the revocation lists alone.
func TestACommandThatOnlyLooksLeavesTheJournalAlone(t *testing.T) {
	t.Parallel()
	n, _ := start(t, nation.Options{WithoutRPN: true})
	c, err := config.Read(n.ConfigFile())
	if err != nil {
		t.Fatal(err)
	}
	for name, set := range map[string]func(folder string){
		"journal.folder":    func(folder string) { c.Journal.Folder = folder },
		"revocation.folder": func(folder string) { c.Revocation.Folder = folder },
	} {
		c.State, c.AdminSocket, c.Journal.Folder, c.Revocation.Folder = "", "", "", ""
		folder := t.TempDir()
		set(folder)
		leftover := filepath.Join(folder, ".deny.new-1")
		if err := os.WriteFile(leftover, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		o := app.Options{Config: c, Log: slog.New(slog.DiscardHandler)}
		if _, err := checked(t, o); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := app.Explain(t.Context(), o, explain.Question{Structure: "1990000011"}, time.Time{}, true); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if all, err := os.ReadDir(folder); err != nil || len(all) != 1 || all[0].Name() != filepath.Base(leftover) {
			t.Errorf("%s now holds %v, %v", name, all, err)
		}
	}
}

// Two processes with one state folder: the second one refuses to start, says
// which file asks for it and who is there, and the first serves on.
func TestTheSecondProcessOnAStateFolderRefusesToStart(t *testing.T) {
	t.Parallel()
	n, _ := start(t, nation.Options{})
	c, err := config.Read(n.ConfigFile())
	if err != nil {
		t.Fatal(err)
	}
	o := app.Options{Config: c, Log: slog.New(slog.DiscardHandler)}
	var said *config.SetupError
	if _, err = app.New(o); !errors.As(err, &said) || !errors.Is(err, durable.ErrLocked) {
		t.Fatalf("the second one: %v", err)
	}
	if !strings.Contains(said.What, n.StateDir()) || !strings.Contains(said.What, fmt.Sprint("pid ", os.Getpid())) || said.Remedy == "" {
		t.Errorf("it says %q, and to do %q", said.What, said.Remedy)
	}
	if _, err := checked(t, o); err != nil {
		t.Errorf("`rpn check` beside a running one: %v", err)
	}
	wantAnswer(t, idb(t, n, "chu"))
}
