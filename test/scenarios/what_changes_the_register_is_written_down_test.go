package scenarios

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/durable"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/binary"
	"github.com/piano-roc/rpn/test/nation"
)

// A reload that would take away too much changes nothing, unless forced; what
// it changes, what was forced, by whom and by which files is in the answer of
// rpn reload, in the log and in the audit trail, which rpn register history
// reads. A dated change that comes into force by the clock is there too.
func TestWhatChangesTheRegisterIsWrittenDown(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	var all []*nation.Etablissement
	for range 8 {
		all = append(all, n.Etablissement(nation.InCircle))
	}
	first := all[0]
	first.Send(roc.IDB, "bleue").WantAnswer()
	list := n.File("etablissements.yaml")
	good, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	replace := func(text string) {
		t.Helper()
		if err := durable.WriteFile(list, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	program, err := binary.Path("rpn")
	if err != nil {
		t.Fatal(err)
	}
	replace(strings.ReplaceAll(string(good), "etat: cercle", "etat: suspendu\n    motif: export cassé"))
	rpn := func(wantExit int, args ...string) string {
		t.Helper()
		out, err := exec.Command(program, args...).CombinedOutput()
		exit := 0
		if e, ok := err.(*exec.ExitError); ok {
			exit = e.ExitCode()
		} else if err != nil {
			t.Fatal(err)
		}
		if exit != wantExit {
			t.Fatalf("rpn %s exits with %d, want %d: %s", strings.Join(args, " "), exit, wantExit, out)
		}
		return string(out)
	}
	conf := n.ConfigFile()
	if out := rpn(1, "reload", "-c", conf); !strings.Contains(out, "establishments lose access") || !strings.Contains(out, "--force-register") {
		t.Errorf("a reload that takes too much away says: %s", out)
	}
	first.Send(roc.IDB, "bleue").WantAnswer()
	if out := rpn(0, "reload", "-c", conf, "--force-register"); !strings.Contains(out, "forced: ") || !strings.Contains(out, "lose access: "+string(first.EJ)) || !strings.Contains(out, "export cassé") {
		t.Errorf("a forced reload says: %s", out)
	}
	first.Send(roc.IDB, "bleue").WantRefused(roc.Suspended)

	soon := time.Now().Add(8 * time.Second).Truncate(time.Second)
	dated := strings.Replace(string(good), "etat: cercle", fmt.Sprintf("etats: [{depuis: 2026-01-01, etat: suspendu}, {depuis: %s, etat: cercle, motif: décision 12}]", soon.Format(time.RFC3339)), 1)
	replace(dated)
	rpn(0, "reload", "-c", conf)
	await.Until(t, "the date is written down", func() bool { return len(n.Lines("a dated change of the register is in force")) > 0 })
	if lines := n.Lines("changed in the register"); len(lines) < 8 {
		t.Errorf("%d changes in the log", len(lines))
	}

	var trail struct {
		Entries []struct {
			Event, Who, Why, Error string
			Force                  bool
			Forced                 []string
			Files                  []struct{ Name, SHA256 string }
			Dates                  []struct{ To, Motif string }
			Changes                []struct{ Kind, After string }
		}
		Damaged []string
	}
	if err := json.Unmarshal([]byte(rpn(0, "register", "history", "-c", conf, "--json")), &trail); err != nil {
		t.Fatal(err)
	}
	var events []string
	for _, e := range trail.Entries {
		if e.Event == "refused" || e.Force || e.Event == "date" {
			events = append(events, e.Event)
		}
		switch {
		case len(e.Files) != 2 || len(e.Files[0].SHA256) != 64:
			t.Errorf("an entry without its files: %+v", e)
		case e.Event == "refused" && !strings.Contains(e.Error, "lose access"):
			t.Errorf("refused: %+v", e)
		case e.Force && (len(e.Forced) == 0 || e.Who == "" || e.Why != "asked" || len(e.Changes) < 8):
			t.Errorf("forced: %+v", e)
		case e.Event == "date" && (len(e.Dates) != 1 || e.Dates[0].To != "cercle" || e.Dates[0].Motif != "décision 12" || e.Files[0].SHA256 != sum([]byte(dated))):
			t.Errorf("dated: %+v", e)
		}
	}
	// Who looks at the files may refuse them too, before the reload that is asked for.
	if got := strings.Join(slices.Compact(events), " "); got != "refused reload date" {
		t.Errorf("the trail tells %q", got)
	}
	if out := rpn(0, "register", "history", "-c", conf, "--structure", string(first.EJ)); strings.Contains(out, "lose access: "+string(all[1].EJ)) || !strings.Contains(out, "lose access: "+string(first.EJ)) {
		t.Errorf("of one establishment: %s", out)
	}
	file := filepath.Join(n.StateDir(), "register.jsonl")
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(raw[:len(raw)-9], '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := rpn(1, "register", "history", "-c", conf); !strings.Contains(out, "is damaged") || !strings.Contains(out, "forced: ") {
		t.Errorf("with a damaged line: %s", out)
	}
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}
