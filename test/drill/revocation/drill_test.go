package main

import (
	"io"
	"testing"
	"time"
)

// The drill, small: the outcome only, no figure.
func TestWhoIsOutIsOut(t *testing.T) {
	t.Parallel()
	r, err := drill(t.Context(), options{connections: 48, establishments: 8, rounds: 1, out: io.Discard, patience: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.faults(time.Hour) {
		t.Error(f)
	}
	if n := len(r.all()); n < 36 {
		t.Errorf("%d connections were measured, want the 36 of those who were put out", n)
	}
}

func TestAReportTellsWhatIsWrong(t *testing.T) {
	t.Parallel()
	var good report
	for i := range 100 {
		good.add("x", time.Duration(i)*time.Millisecond)
	}
	if f := good.faults(time.Second); len(f) != 0 || percentile(good.all(), 99) != 98*time.Millisecond || percentile(good.all(), 50) != 49*time.Millisecond {
		t.Errorf("%v, %s", f, percentile(good.all(), 99))
	}
	for name, r := range map[string]report{
		"nothing": {}, "still open": {stillOpen: 1}, "accepted": {accepted: 1}, "disturbed": {disturbed: 1},
	} {
		if name != "nothing" {
			r.add("x", time.Millisecond)
		}
		if f := r.faults(time.Second); len(f) != 1 {
			t.Errorf("%s: %v", name, f)
		}
	}
	var slow report
	slow.add("x", 5*time.Second)
	if f := slow.faults(5 * time.Second); len(f) != 1 {
		t.Errorf("slow: %v", f)
	}
}
