package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/indicators/store"
)

// An operator sees which letters were not delivered and why, and puts them back;
// one that may have been sent only when he says so.
func TestLettersThatWereNotDeliveredArePutBack(t *testing.T) {
	t.Parallel()
	db := filepath.Join(t.TempDir(), "indicateurs.db")
	s, err := store.Open(t.Context(), db, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	now := time.Now()
	for id, state := range map[string]store.LetterState{"semaine/2026-S47/1010003812": store.Partly, "semaine/2026-S47/1020000012": store.Doubted, "semaine/2026-S47/1030000011": store.Sent} {
		if err := s.PutLetters(t.Context(), []store.Letter{{ID: id, Kind: "semaine", For: id[17:], About: "2026-S47", Next: now, Expires: now.Add(time.Hour)}}, now); err != nil {
			t.Fatal(err)
		}
		l, err := s.ClaimLetter(t.Context(), []string{"semaine"}, now)
		if err != nil {
			t.Fatal(err)
		}
		l.State, l.Done = state, []store.Delivery{{Address: "dsi@chu.example"}, {Address: "nobody@chu.example", Refused: "RCPT: the server answers 550"}}
		if err := s.SettleLetter(t.Context(), l); err != nil {
			t.Fatal(err)
		}
	}
	run := func(args ...string) (string, error) {
		var out bytes.Buffer
		cmd := indicatorsMailCommand()
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		cmd.SetArgs(append(args, "--store", db))
		err := cmd.ExecuteContext(t.Context())
		return out.String(), err
	}
	text, err := run("list")
	if err != nil || !strings.Contains(text, "remis en partie") || !strings.Contains(text, "refusé pour nobody@chu.example : RCPT: the server answers 550") || strings.Contains(text, "1030000011") {
		t.Errorf("%v\n%s", err, text)
	}
	text, err = run("list", "--json", "--all")
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if err != nil || len(lines) != 3 {
		t.Fatalf("%v\n%s", err, text)
	}
	for _, l := range lines {
		var one shownLetter
		if err := json.Unmarshal([]byte(l), &one); err != nil || one.Kind != "semaine" || len(one.Done) != 2 {
			t.Errorf("%v: %s", err, l)
		}
	}
	hook := store.Letter{ID: "panne-webhook/0099000003/1/1010003812/0a0b", Kind: "panne-webhook", For: "1010003812 https://chu.example/a-secret-path", About: "0099000003/1", Next: now, Expires: now.Add(time.Hour)}
	if err := s.PutLetters(t.Context(), []store.Letter{hook}, now); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"list"}, {"list", "--json"}} {
		if text, err := run(args...); err != nil || !strings.Contains(text, hook.ID) || strings.Contains(text, "a-secret-path") {
			t.Errorf("%v: %v\n%s", args, err, text)
		}
	}
	for _, wrong := range [][]string{{"retry"}, {"retry", "--all", "semaine/2026-S47/1010003812"}, {"retry", "semaine/2026-S47/1030000011"}, {"retry", "semaine/2026-S47/1020000012"}} {
		if text, err := run(wrong...); err == nil {
			t.Errorf("%v: %s", wrong, text)
		}
	}
	if text, err := run("retry", "--all"); err != nil || text != "envois remis en attente : 1\n" {
		t.Errorf("%v %s", err, text)
	}
	if text, err := run("retry", "--doubted", "semaine/2026-S47/1020000012"); err != nil || text != "envois remis en attente : 1\n" {
		t.Errorf("%v %s", err, text)
	}
}
