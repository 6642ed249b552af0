package main

import (
	"slices"
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
)

// With the register, an establishment is all its structure ids, its legal entity
// first, whichever of them is given; without it, the one that is given.
func TestAnEstablishmentIsAllItsStructureIDs(t *testing.T) {
	t.Parallel()
	const lists = "../../register/testdata/good-"
	whole := []roc.StructureID{"1010003812", "1010003820", "1010003838"}
	for _, id := range whole {
		if got, err := structuresOf(id, lists+"etablissements.yaml", lists+"amc.yaml"); err != nil || !slices.Equal(got, whole) {
			t.Errorf("%s: %v, %v; want %v", id, got, err, whole)
		}
		if got, err := structuresOf(id, "", ""); err != nil || !slices.Equal(got, []roc.StructureID{id}) {
			t.Errorf("%s alone: %v, %v", id, got, err)
		}
	}
	if got, err := structuresOf("1990000018", lists+"etablissements.yaml", lists+"amc.yaml"); err == nil {
		t.Errorf("an unknown one: %v", got)
	}
	if got, err := structuresOf("1010003812", lists+"etablissements.yaml", ""); err == nil {
		t.Errorf("one list alone: %v", got)
	}
	if got, err := structuresOf("", "", ""); err != nil || got != nil {
		t.Errorf("none: %v, %v", got, err)
	}
}
