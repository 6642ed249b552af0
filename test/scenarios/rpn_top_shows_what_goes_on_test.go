package scenarios

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/binary"
	"github.com/piano-roc/rpn/test/nation"
)

// Who exchanges, who is refused and why, which insurer rests and what is in
// flight: by the unix socket, once, as JSON, and on a terminal that is left as it
// was.
func TestRpnTopShowsWhatGoesOn(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	program, err := binary.Path("rpn")
	if err != nil {
		t.Fatal(err)
	}
	chu, bleue := n.Etablissement(), n.AMC("bleue")
	chu.Send(roc.IDB, "bleue").WantAnswer()
	for range 5 {
		chu.Send(roc.IDB, "absente").WantRefused(roc.AMCUnreachable)
	}
	chu.Send(roc.IDB, "absente").WantRefused(roc.AMCResting)
	bleue.Hold()
	done := make(chan struct{})
	go func() { defer close(done); chu.Send(roc.CLC, "bleue").WantAnswer() }()
	defer func() { bleue.Release(); <-done }()

	var shown struct {
		Total struct {
			Exchanges uint64 `json:"echanges"`
		} `json:"total"`
		Etablissements []struct {
			ID       string                       `json:"id"`
			Refusals uint64                       `json:"refus"`
			InFlight int                          `json:"en_cours"`
			Last     struct{ Code, Cause string } `json:"dernier_refus"`
		} `json:"etablissements"`
		AMC []struct {
			Nom      string  `json:"nom"`
			InFlight int     `json:"en_cours"`
			Seats    int     `json:"places"`
			Rests    *string `json:"repos_depuis"`
		} `json:"amc"`
	}
	await.Until(t, "the exchange in flight is shown", func() bool {
		out, err := exec.Command(program, "top", "--once", "--json", "--config", n.ConfigFile(), "--sort", "encours").Output()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		shown.AMC, shown.Etablissements = nil, nil
		if err := json.Unmarshal(out, &shown); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return len(shown.Etablissements) > 0 && shown.Etablissements[0].InFlight == 1
	})
	es := shown.Etablissements[0]
	if es.ID != string(roc.StructureOf(chu.EJ)) || es.Refusals != 6 || es.Last.Code != "RPN404" || es.Last.Cause != "circuit-open" || shown.Total.Exchanges != 7 {
		t.Errorf("%+v", shown)
	}
	if a := shown.AMC[0]; a.Nom != "Mutuelle Absente" || a.Rests == nil {
		t.Errorf("the insurer at rest comes first: %+v", shown.AMC)
	}
	if a := shown.AMC[1]; a.Nom != "Mutuelle Bleue" || a.Rests != nil || a.InFlight != 1 || a.Seats != 128 {
		t.Errorf("what is in flight to an insurer: %+v", shown.AMC)
	}

	// Where the output is no terminal: one table, without a colour.
	out, err := exec.Command(program, "top", "--config", n.ConfigFile()).CombinedOutput()
	if text := string(out); err != nil || !strings.Contains(text, "ÉTABLISSEMENTS (1)") || !strings.Contains(text, "AU REPOS depuis ") || strings.Contains(text, "\x1b") {
		t.Errorf("%v: %s", err, out)
	}

	// On a terminal: until q is typed.
	cmd := exec.Command("script", "-qec", "stty rows 24 cols 100; "+program+" top --every 200ms --config "+n.ConfigFile(), "/dev/null")
	cmd.Env = append(os.Environ(), "TERM=xterm", "NO_COLOR=")
	keys, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var screen nation.Text
	cmd.Stdout = &screen
	if err := cmd.Start(); err != nil {
		t.Fatalf("script (bsdutils) plays the terminal: %v", err)
	}
	await.Until(t, "it is drawn", func() bool { return strings.Contains(screen.String(), "\x1b[1md débit\x1b[0m") })
	io.WriteString(keys, "r")
	await.Until(t, "a key changes the order", func() bool { return strings.Contains(screen.String(), "\x1b[1mr refus\x1b[0m") })
	io.WriteString(keys, "q")
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ends with %v", err)
	}
	text := screen.String()
	if !strings.Contains(text, "\x1b[?1049h\x1b[?25l") || !strings.HasSuffix(strings.TrimSpace(text), "\x1b[?25h\x1b[?1049l") {
		t.Errorf("the terminal is not left as it was: %q", text)
	}
	if !strings.Contains(text, "\x1b[31mMutuelle Absente") {
		t.Errorf("the insurer at rest is not in red: %q", text)
	}

	if out, err := exec.Command(program, "top", "--config", n.ConfigFile(), "--sort", "taille").CombinedOutput(); err == nil || !strings.Contains(string(out), "choisissez parmi") {
		t.Errorf("an unknown order: %v %s", err, out)
	}
}
