package scenarios

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/indicators/report"
	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

// The figures of an establishment are computed from the sealed journal, and are
// the same when they are computed again.
func TestFiguresAreComputedFromTheJournal(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary, nation.Section("journal", "seal: 200ms"))
	chu := n.Etablissement()
	for range 3 {
		chu.Send(roc.IDB, "bleue").WantAnswer()
	}
	chu.Send(roc.IDB, "0099000099").WantRefused(roc.UnknownAMC)
	await.Until(t, "the records are sealed", func() bool { return n.Metric("rpn_journal_unsealed_records") == "0" })

	structure, week := roc.StructureOf(roc.FINESS(chu.EJ)), report.WeekOf(time.Now())
	db := filepath.Join(t.TempDir(), "indicateurs.db")
	if said := rpn(t, 0, "indicators", "update", "--store", db, "--dir", journalOf(n)); !strings.Contains(said, "enregistrements, jusqu'au ") {
		t.Errorf("update says:\n%s", said)
	}
	figures := func() map[string]*float64 {
		t.Helper()
		var f map[string]*float64
		if err := json.Unmarshal([]byte(rpn(t, 0, "indicators", "show", "--store", db, "--json")), &f); err != nil {
			t.Fatal(err)
		}
		return f
	}
	first := figures()
	for id, want := range map[string]float64{"echanges": 4, "reponses": 3, "part_refus": 0.25, "idb": 4, "clc": 0} {
		if first[id] == nil || *first[id] != want {
			t.Errorf("%s is %v, want %v", id, first[id], want)
		}
	}
	rpn(t, 0, "indicators", "rebuild", "--store", db, "--dir", journalOf(n))
	for id, v := range figures() {
		if (v == nil) != (first[id] == nil) || v != nil && *v != *first[id] {
			t.Errorf("after a rebuild %s is %v, it was %v", id, v, first[id])
		}
	}

	lists := []string{"--etablissements", n.File("etablissements.yaml"), "--amcs", n.File("amc.yaml")}
	show := func(code int, args ...string) string {
		t.Helper()
		return rpn(t, code, append([]string{"indicators", "show", "--store", db}, args...)...)
	}
	if said := show(0, "--amc", "0099000003"); !strings.Contains(said, "Disponibilité de l'organisme") {
		t.Errorf("of an insurer:\n%s", said)
	}
	if said := show(0, "--structure", string(chu.EJ), "--amc", "0099000003"); !strings.Contains(said, "l'organisme n'a rien fait échouer") {
		t.Errorf("of both:\n%s", said)
	}
	if said := show(0, append(lists, "--structure", string(chu.EJ), "--compare", "nation")...); strings.Contains(said, "médiane") {
		t.Errorf("one of a country of one is compared:\n%s", said)
	}
	show(0, append(lists, "--of", "region=Ailleurs")...)
	show(2, append(lists, "--of", "region")...)
	show(2, append(lists, "--structure", string(chu.EJ), "--compare", "taille")...)
	show(2, "--structure", string(chu.EJ), "--compare", "nation")

	out := t.TempDir()
	said := rpn(t, 0, "indicators", "export", "--store", db, "--structure", string(structure), "--week", week.String(), "--out", out, "--amcs", n.File("amc.yaml"))
	for _, f := range report.Files() {
		b, err := os.ReadFile(filepath.Join(out, f.Name(structure, week)))
		if err != nil || !strings.Contains(said, f.Name(structure, week)) {
			t.Error(err)
			continue
		}
		if f == report.Anomalies && !strings.Contains(string(b), ";"+roc.UnknownAMC.Meaning().Code+";") || f == report.Activity && !strings.Contains(string(b), "Mutuelle") {
			t.Errorf("%s:\n%s", f, b)
		}
	}
	rpn(t, 2, "indicators", "show", "--store", db, "--from", "2026-11-23T12:00:00+01:00")
	rpn(t, 2, "indicators", "show", "--store", filepath.Join(out, "absent.db"))
}
