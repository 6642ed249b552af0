package http1

import (
	"fmt"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func TestWhoIsOnlyRefusedIsReadLessAndLess(t *testing.T) {
	t.Parallel()
	r := refusals{by: map[string]*refusalRow{}}
	var paused time.Duration
	for i := range 20 {
		r.note("chu", true, noon)
		p := r.pause("chu", noon)
		if i < freeRefusals && p != 0 || p < paused || p > longestPause {
			t.Errorf("after %d refusals: %s", i+1, p)
		}
		paused = p
	}
	if paused != longestPause || r.pause("clinique", noon) != 0 {
		t.Errorf("in the end %s; another waits %s", paused, r.pause("clinique", noon))
	}
	if r.pause("chu", noon.Add(refusalMemory)) != 0 {
		t.Error("it is never forgotten")
	}
	r.note("chu", false, noon)
	if r.pause("chu", noon) != 0 || len(r.by) != 0 {
		t.Error("a request that spent its credit, and it still waits")
	}
}

func TestRefusedOwnersAreBounded(t *testing.T) {
	t.Parallel()
	r := refusals{by: map[string]*refusalRow{}}
	for i := range 3 * mostRefused {
		r.note(fmt.Sprint(i), true, noon)
	}
	if len(r.by) != mostRefused {
		t.Errorf("%d are kept", len(r.by))
	}
	r.note("new", true, noon.Add(2*refusalMemory))
	if len(r.by) != 1 {
		t.Errorf("%d are kept once they are old", len(r.by))
	}
}
