package annuaire

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
)

var nobody = slog.New(slog.DiscardHandler)

// A full disk leaves half a line: the next act begins on its own, and the next
// start skips that line and says so.
func TestAnActThatWasCutCostsNoOther(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "acts")
	a, err := OpenActs(file, nobody)
	if err != nil {
		t.Fatal(err)
	}
	add := func(host string) {
		t.Helper()
		if err := a.add(Act{Act: Approve, AMC: "0075500025", Host: host, Who: "a test", Why: "to see"}); err != nil {
			t.Fatal(err)
		}
	}
	add("before.example")
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString(`{"at":"2026-11-28T09:00:00Z","act":"appr`)
	f.Close()
	add("after.example")
	var log bytes.Buffer
	a, err = OpenActs(file, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if !a.Approved("0075500025", "before.example") || !a.Approved("0075500025", "after.example") {
		t.Error("an act beside the line that was cut is forgotten")
	}
	if n := strings.Count(log.String(), "annuaire_act_cut"); n != 1 || !strings.Contains(log.String(), "line=2") {
		t.Errorf("logged: %s", log.String())
	}
	if err := os.WriteFile(file, []byte(`{"act":"aprove","amc":"0075500025"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenActs(file, nobody); err == nil {
		t.Error("a line that says something else is taken for an act")
	}
}

// A file that is about as many insurers and hosts as may be still says the last
// act about each.
func TestTheLastActCountsInAFullFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "acts")
	var b bytes.Buffer
	for i := range maxActs {
		fmt.Fprintf(&b, `{"act":"approve","amc":"0075500025","host":"%d.example"}`+"\n", i)
	}
	b.WriteString(`{"act":"reject","amc":"0075500025","host":"7.example"}` + "\n")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := OpenActs(file, nobody)
	if err != nil {
		t.Fatal(err)
	}
	if amc := roc.NumeroAMC("0075500025"); a.Approved(amc, "7.example") || !a.all().rejected(amc, "7.example") {
		t.Error("a reject after an approve is forgotten")
	}
}
