package history_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/register/history"
)

var today = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

// What was written is read again, as a query chooses; a line that is damaged
// stays as it is, is named, and costs no other.
func TestTheTrailIsReadAgainAndADamagedLineIsSaid(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "register.jsonl")
	lilas := history.Change{Kind: "lose_access", EJ: "010003812", Who: "010003812", Nom: "CH fictif des Lilas", Before: "cercle", After: "suspendu (incident)"}
	rhone := history.Change{Kind: "limits_cut", AMC: "0075500025", Who: "AMC 0075500025", Nom: "Rhône", Before: "none", After: "3 messages a second"}
	files := []history.File{{"etablissements.yaml", strings.Repeat("a", 64)}, {"amc.yaml", strings.Repeat("b", 64)}}
	entries := []history.Entry{
		{At: today, Event: history.Started, Files: files},
		{At: today.Add(time.Hour), Event: history.Reloaded, Why: "asked", Who: "uid 0 (root)", Force: true, Forced: []string{"21 limits are cut"}, Files: files, Changes: []history.Change{lilas, rhone}},
		{At: today.Add(2 * time.Hour), Event: history.Refused, Why: "a file changed", Error: "line 3", Files: files},
		{At: today.Add(3 * time.Hour), Event: history.Dated, Files: files, Dates: []history.Date{{Depuis: today.Add(3 * time.Hour), EJ: "2A0000014", Nom: "Ajaccio", From: "accrochage", To: "cercle", Motif: "PV"}}},
	}
	for i, e := range entries {
		if i == 2 {
			f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			f.WriteString("{\"v\":1,\"at\":\"cut sh") // a crash
			f.Close()
		}
		if err := history.Append(file, e); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		q    history.Query
		want int
		says []string
		not  string
	}{
		{"all", history.Query{}, 4, []string{"asked, uid 0 (root), forced, etablissements.yaml aaaaaaaaaaaa", "forced: 21 limits", "refused: line 3", "lose access: 010003812 CH fictif des Lilas: cercle -> suspendu (incident)",
			"2A0000014 Ajaccio: accrochage -> cercle (PV)"}, "nothing"},
		{"an establishment", history.Query{Etablissements: []roc.FINESS{"010003812"}}, 1, []string{"lose access"}, "limits cut"},
		{"an AMC", history.Query{AMCs: []roc.NumeroAMC{"0075500025"}}, 1, []string{"limits cut"}, "lose access"},
		{"a date", history.Query{Etablissements: []roc.FINESS{"2A0000014"}}, 1, []string{"from 2026-11-21 13:00:00 CET"}, "lose access"},
		{"since", history.Query{Since: today.Add(2 * time.Hour)}, 2, []string{"line 3"}, "lose access"},
		{"nobody", history.Query{Etablissements: []roc.FINESS{"990000018"}}, 0, []string{"nothing is written down"}, "lose"},
	} {
		trail, err := history.Read(file, c.q)
		if err != nil || len(trail.Entries) != c.want || len(trail.Damaged) != 1 || trail.Damaged[0] != file+":3" {
			t.Errorf("%s: %d entries, damaged %v, %v", c.name, len(trail.Entries), trail.Damaged, err)
			continue
		}
		for _, s := range append(c.says, file+":3 is damaged") {
			if !strings.Contains(trail.String(), s) {
				t.Errorf("%s: it does not say %q:\n%s", c.name, s, trail)
			}
		}
		if strings.Contains(trail.String(), c.not) {
			t.Errorf("%s: it says %q:\n%s", c.name, c.not, trail)
		}
	}
	last, damaged, err := history.Last(file)
	if err != nil || last.Event != history.Dated || len(damaged) != 1 {
		t.Errorf("last: %+v, %v, %v", last, damaged, err)
	}
	if last, _, err := history.Last(file + ".none"); err != nil || !last.At.IsZero() {
		t.Errorf("no file: %+v, %v", last, err)
	}
	raw, _ := os.ReadFile(file)
	var line map[string]any
	if err := json.Unmarshal([]byte(strings.Split(string(raw), "\n")[1]), &line); err != nil || line["v"] != 1.0 || line["event"] != "reload" || line["force"] != true {
		t.Errorf("a line as it lies: %v, %v", line, err)
	}
}

// The dates between two instants: after the first, not after the second, each
// once, a maintenance with its end.
func TestDatesThatWereReached(t *testing.T) {
	t.Parallel()
	l, err := register.Parse("e", []byte(`etablissements:
  - {finess_ej: 010003812, nom: A, contrat: 2026-11-15, etats: [{depuis: 2026-11-01, etat: accrochage}, {depuis: 2026-12-01, etat: cercle, motif: PV}, {depuis: 2026-12-02, etat: clos}]}
`), "a", []byte(`amcs:
  - {nom: M, numeros: [0075500025], etats: [{depuis: 2026-01-01, etat: cercle}, {depuis: 2026-11-30, etat: maintenance, jusque: 2026-11-30}]}
`), today)
	if err != nil {
		t.Fatal(err)
	}
	at := func(s string) time.Time {
		m, err := register.ParseMoment(s)
		if err != nil {
			t.Fatal(err)
		}
		return m.Time
	}
	for _, c := range []struct{ from, to, want string }{
		{"2026-11-21", "2026-11-29", ""},
		{"2026-11-10", "2026-11-15", "accrochage"},
		{"2026-11-15", "2026-11-30", "maintenance"},
		{"2026-11-30", "2026-12-01", "cercle cercle"},
		{"2026-11-21", "2027-01-01", "maintenance cercle cercle clos"},
		{"2027-01-01", "2026-11-21", ""},
	} {
		var to []string
		for _, d := range history.DatesBetween(l, at(c.from), at(c.to)) {
			to = append(to, d.To)
		}
		if got := strings.Join(to, " "); got != c.want {
			t.Errorf("%s to %s: %q, want %q", c.from, c.to, got, c.want)
		}
	}
}
