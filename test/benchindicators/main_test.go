package main

import (
	"strings"
	"testing"
)

// The bench runs, on a country of a few establishments.
func TestTheBenchRuns(t *testing.T) {
	var table strings.Builder
	if err := run(t.Context(), &table, "", "", 3000, newCountry(20, 10, 500, 3)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"real journal of 300", "20 establishments, 10 insurers", "page of the median"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("no %q in\n%s", want, &table)
		}
	}
}
