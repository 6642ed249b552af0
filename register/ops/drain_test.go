package ops_test

import (
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register/ops"
)

// A maintenance is written into a list however people keep it, and its end
// changed, and nothing else in it; what cannot be edited is said, with the line
// to write.
func TestAMaintenanceIsWrittenAndEnded(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC)
	until := now.Add(2 * time.Hour)
	const entry = "{depuis: 2026-11-21T09:30:00Z, etat: maintenance, jusque: 2026-11-21T11:30:00Z, motif: mise à jour}"
	head := "# a list that people keep\namcs:\n  - nom: Bleue # a comment\n    numeros: ['0099000003']\n"
	tail := "    domaines: [bleue.example]\n  - nom: Verte\n    numeros: ['0099000002']\n    etat: cercle # in force\n"
	for name, c := range map[string]struct{ row, want string }{
		"a state":            {"    etat: cercle # kept\n", "    etats: [{depuis: 2000-01-01, etat: cercle}, ENTRY] # kept\n"},
		"a state, a motif":   {"    etat: cercle\n    motif: décision 12\n", "    etats: [{depuis: 2000-01-01, etat: cercle, motif: décision 12}, ENTRY]\n"},
		"states on one line": {"    etats: [{depuis: 2026-01-01, etat: cercle}]\n", "    etats: [{depuis: 2026-01-01, etat: cercle}, ENTRY]\n"},
		"states on many":     {"    etats:\n      - depuis: 2026-01-01\n        etat: cercle\n", "    etats:\n      - depuis: 2026-01-01\n        etat: cercle\n      - ENTRY\n"},
		"Windows lines":      {"    etat: cercle\r\n", "    etats: [{depuis: 2000-01-01, etat: cercle}, ENTRY]\r\n"},
	} {
		base := ops.File{Name: "amc.yaml", Data: []byte(head + c.row + tail)}
		got, err := ops.Drain(base, "0099000003", now, until, "mise à jour")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		line := entry
		if !strings.Contains(string(got), entry) { // the motif may be quoted
			line = strings.Replace(entry, "mise à jour", `"mise à jour"`, 1)
		}
		if want := head + strings.Replace(c.want, "ENTRY", line, 1) + tail; string(got) != want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
		if _, err := ops.Drain(ops.File{Name: "amc.yaml", Data: got}, "0099000003", now, until, ""); err == nil || !strings.Contains(err.Error(), "déjà en maintenance") {
			t.Errorf("%s, again: %v", name, err)
		}
		if at, err := ops.Resume(ops.File{Name: "amc.yaml", Data: got}, "0099000003", now); err != nil || !strings.Contains(string(at), "jusque: 2026-11-21T09:30:01Z") {
			t.Errorf("%s, ended at once: %v\n%s", name, err, at)
		}
		ended, err := ops.Resume(ops.File{Name: "amc.yaml", Data: got}, "0099000003", now.Add(time.Hour))
		if err != nil || string(ended) != strings.Replace(string(got), "jusque: 2026-11-21T11:30:00Z", "jusque: 2026-11-21T10:30:00Z", 1) {
			t.Errorf("%s, ended: %v\n%s", name, err, ended)
		}
	}
	for name, c := range map[string]struct {
		row, number, says string
		until             time.Time
	}{
		"nobody":          {"    etat: cercle\n", "0099000009", "aucun organisme", until},
		"suspended":       {"    etat: suspendu\n", "0099000003", "il ne reçoit rien", until},
		"too long":        {"    etat: cercle\n", "0099000003", "31 jours", now.Add(32 * 24 * time.Hour)},
		"over":            {"    etat: cercle\n", "0099000003", "passée", now},
		"planned already": {"    etats: [{depuis: 2026-01-01, etat: cercle}, {depuis: 2026-12-01, etat: suspendu}]\n", "0099000003", "ajoutez vous-même", until},
	} {
		base := ops.File{Name: "amc.yaml", Data: []byte(head + c.row + tail)}
		if _, err := ops.Drain(base, roc.NumeroAMC(c.number), now, c.until, ""); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ops.Resume(ops.File{Name: "amc.yaml", Data: []byte(head + "    etat: cercle\n" + tail)}, "0099000003", now); err == nil {
		t.Error("no maintenance, and ended")
	}
}
