package main

import (
	"strings"
	"testing"
)

// The bench runs, on a country of a few establishments, and every page is there.
func TestTheBenchRuns(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	w, err := open(ctx, size{establishments: 12, amcs: 12, days: 20, perDay: 60, perDayLately: 400}, "", func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	var table strings.Builder
	if err := w.bench(ctx, &table, 1); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| national situation |", "| median insurer: callers, 28 days |", "| an exchange |"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("no %q in\n%s", want, &table)
		}
	}
	rw, _ := w.get(ctx, nobody, "/meteo")
	if !strings.Contains(rw.Body.String(), "en panne") || !strings.Contains(rw.Body.String(), "fermé") {
		t.Error("nobody is out in the country of the images")
	}
}
