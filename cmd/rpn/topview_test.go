package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/piano-roc/rpn/indicators/top"
)

func activity(lines int) top.Activity {
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	since, until := at.Add(-90*time.Second), at.Add(4*time.Second)
	a := top.Activity{At: at, Since: at.Add(-26 * time.Hour), Version: "1", Limits: "partagées par 3 instances", Lines: [2]int{lines, lines},
		Capacity: []top.Capacity{{Nom: "connexions", Used: 3, Total: 16384}}}
	for i := range lines {
		a.Etablissements = append(a.Etablissements, top.Line{ID: fmt.Sprint(i), Nom: fmt.Sprintf("Hôpital fictif %d", i), Rate: 12.34, Quota: float64(i % 2), P95: 123.4, InFlight: 2,
			Last: &top.Refusal{Code: "RPN110", Cause: "rate-exceeded", At: at.Add(-75 * time.Second)}})
		a.AMC = append(a.AMC, top.AMC{Line: top.Line{ID: fmt.Sprint(i), Nom: fmt.Sprintf("Mutuelle fictive %d", i)}, Etat: "cercle", Seats: 128})
	}
	if lines > 0 {
		a.AMC[0].Rests, a.AMC[0].Until = &since, &until
	}
	return a
}

// Whatever the terminal, nothing is wider or higher than it, and each part has
// at least a line.
func TestTopFitsTheTerminal(t *testing.T) {
	t.Parallel()
	for _, size := range [][2]int{{80, 24}, {200, 60}, {40, 12}, {120, 10}} {
		for _, lines := range []int{0, 1, 5, 300} {
			v := topView{by: top.ByRate, width: size[0], height: size[1], live: true}
			drawn := strings.Split(strings.TrimSuffix(v.draw(activity(lines)), "\n"), "\n")
			if len(drawn) > size[1] && size[1] > 11 {
				t.Errorf("%v, %d lines: %d rows", size, lines, len(drawn))
			}
			for _, l := range drawn {
				if n := utf8.RuneCountInString(l); n > size[0] {
					t.Errorf("%v: %d columns: %q", size, n, l)
				}
			}
			if text := strings.Join(drawn, "\n"); lines > 0 && (!strings.Contains(text, "Hôpital fictif 0") || !strings.Contains(text, "Mutuelle fictive 0")) {
				t.Errorf("%v: a part is empty:\n%s", size, text)
			}
		}
	}
}

func TestTopSpeaksFrench(t *testing.T) {
	t.Parallel()
	v := topView{by: top.ByRate}
	v.failed = errors.New("rien ne répond")
	text := v.draw(activity(2))
	for _, want := range []string{"depuis 1 j 02 h", "12,3", "RPN110 rate-exceeded, il y a 1 min 15 s", "AU REPOS depuis 11:58:30 UTC, essai dans 4 s", "0/128", "partagées par 3 instances", "connexions 3 / 16384", "RÉPOND PAS : rien ne répond"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

// A name of a file does what it wants to no terminal.
func TestTopWritesNoControlOfOthers(t *testing.T) {
	t.Parallel()
	a := activity(1)
	evil := "a\x1b[2J\r\nb\x07\u202e\u009b31m"
	a.Version, a.Limits, a.Capacity[0].Nom, a.Etablissements[0].Nom, a.AMC[0].Nom, a.AMC[0].Etat = evil, evil, evil, evil, evil, evil
	a.Etablissements[0].Last.Cause, a.Etablissements[0].Last.Code = evil, evil
	a.AMC[0].Rests = nil
	text := topView{failed: errors.New(evil)}.draw(a)
	if strings.ContainsAny(text, "\x1b\r\x07\u202e\u009b") {
		t.Errorf("%q", text)
	}
}
