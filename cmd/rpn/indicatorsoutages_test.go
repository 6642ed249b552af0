package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/roc"
)

// The outages that were told are listed, for people and for programs; those that
// last have no end.
func TestOutagesThatWereToldAreListed(t *testing.T) {
	t.Parallel()
	db := filepath.Join(t.TempDir(), "indicateurs.db")
	s, err := store.Open(t.Context(), db, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if code, out, errs := rpn(t, "", "indicators", "outages", "--store", db); code != 0 || out != "aucune panne\n" {
		t.Errorf("none: exit %d %s %s", code, out, errs)
	}
	began := time.Now().Add(-time.Hour).Truncate(time.Second)
	for _, amc := range []roc.NumeroAMC{"0099000003", "0099000011"} {
		o := store.AnnouncedOutage{AMC: amc, Began: began, Services: []roc.Service{roc.IDB, roc.CLC}, Announced: began.Add(time.Minute)}
		if told, err := s.BeginOutage(t.Context(), &o, nil); err != nil || !told {
			t.Fatalf("%t, %v", told, err)
		}
		if amc == "0099000011" {
			o.Over, o.Ended = began.Add(20*time.Minute), began.Add(21*time.Minute)
			if ended, err := s.EndOutage(t.Context(), &o, nil); err != nil || !ended {
				t.Fatalf("%t, %v", ended, err)
			}
		}
	}
	code, out, errs := rpn(t, "", "indicators", "outages", "--store", db)
	if lines := strings.Split(out, "\n"); code != 0 || len(lines) != 4 || !strings.Contains(lines[1], "0099000003  IDB, CLC") || !strings.Contains(lines[1], "dure encore") || strings.Contains(lines[2], "dure encore") {
		t.Errorf("exit %d\n%s %s", code, out, errs)
	}
	code, out, errs = rpn(t, "", "indicators", "outages", "--store", db, "--json")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if code != 0 || len(lines) != 2 {
		t.Fatalf("--json: exit %d %s %s", code, out, errs)
	}
	for i, l := range lines {
		var o map[string]any
		if err := json.Unmarshal([]byte(l), &o); err != nil || o["depuis"] != began.UTC().Format(time.RFC3339) || (o["jusque"] != nil) != (i == 1) {
			t.Errorf("%v: %s", err, l)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"--store", filepath.Join(t.TempDir(), "absent.db")}, {"--store", db, "--from", "hier"}, {}} {
		if code, _, errs := rpn(t, "", append([]string{"indicators", "outages"}, args...)...); code != exitUsage || errs == "" {
			t.Errorf("%v: exit %d %s", args, code, errs)
		}
	}
}

// The secret of a webhook is of its subscriber and address; what is wrong is said,
// and nothing of the keys.
func TestAWebhookHasItsSecret(t *testing.T) {
	t.Parallel()
	hexa := strings.Repeat("5f", 32)
	keys := written(t, "secrets.txt", hexa+"\n")
	ask := func(file, who, url string) (int, string, string) {
		return rpn(t, "", "indicators", "webhook-secret", "--secrets", file, "--for", who, "--url", url)
	}
	seen := map[string]bool{}
	for _, who := range []string{"1010003812", "amc-0099000003", "exploitant"} {
		for _, url := range []string{"https://chu.example/rpn", "https://chu.example/autre"} {
			code, out, errs := ask(keys, who, url)
			if code != 0 || !strings.HasPrefix(out, "whsec_") || seen[out] {
				t.Errorf("%s %s: exit %d %s %s", who, url, code, out, errs)
			}
			seen[out] = true
			if _, again, _ := ask(keys, who, url); again != out {
				t.Errorf("%s %s: another secret when asked again", who, url)
			}
		}
	}
	const url = "https://chu.example/rpn"
	for _, c := range [][4]string{
		{keys, "chu", url, "--for"}, {keys, "amc-99", url, "--for"}, {keys, "exploitant", "http://chu.example/rpn", "--url"},
		{written(t, "court.txt", hexa[:32]+"\n"), "exploitant", url, "--secrets"}, {keys + ".absent", "exploitant", url, "--secrets"},
	} {
		if code, out, errs := ask(c[0], c[1], c[2]); code != exitUsage || out != "" || !strings.Contains(errs, c[3]) || strings.Contains(errs, hexa[:32]) {
			t.Errorf("%v: exit %d %s %s", c[1:], code, out, errs)
		}
	}
}
