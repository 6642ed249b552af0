package main

import (
	"slices"
	"testing"
	"time"

	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/roc"
)

// With the register, an establishment is all its structure ids, its legal entity
// first, whichever of them is given; without it, the one that is given.
func TestAnEstablishmentIsAllItsStructureIDs(t *testing.T) {
	t.Parallel()
	const lists = "../../register/testdata/good-"
	whole := []roc.StructureID{"1010003812", "1010003820", "1010003838"}
	list, err := readRegister(lists+"etablissements.yaml", lists+"amc.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range whole {
		if got, err := structuresOf(id, list); err != nil || !slices.Equal(got, whole) {
			t.Errorf("%s: %v, %v; want %v", id, got, err, whole)
		}
		if got, err := structuresOf(id, nil); err != nil || !slices.Equal(got, []roc.StructureID{id}) {
			t.Errorf("%s alone: %v, %v", id, got, err)
		}
	}
	if got, err := structuresOf("1990000018", list); err == nil {
		t.Errorf("an unknown one: %v", got)
	}
	if got, err := structuresOf("", nil); err != nil || got != nil {
		t.Errorf("none: %v, %v", got, err)
	}
	if got, err := readRegister(lists+"etablissements.yaml", ""); err == nil {
		t.Errorf("one list alone: %v", got)
	}
	if got, err := readRegister("", lists+"amc.yaml"); err != nil || got != nil {
		t.Errorf("the insurers alone: %v, %v", got, err)
	}
}

// An outage that is not over when the figures end may be over since: it is not
// said to go on.
func TestAnOutageIsToldAsFarAsTheFiguresGo(t *testing.T) {
	t.Parallel()
	at := func(hour int) time.Time { return time.Date(2026, 11, 24, hour, 0, 0, 0, store.Paris) }
	for _, c := range []struct {
		o    store.Outage
		want string
	}{
		{store.Outage{From: at(9), To: at(11), Failed: 7}, "panne de IDB depuis le " + frenchInstant(at(9)) + ", jusqu'au " + frenchInstant(at(11)) + " : 7 échanges"},
		{store.Outage{From: at(9), Failed: 7}, "panne de IDB depuis le " + frenchInstant(at(9)) + ", pas finie le " + frenchInstant(at(12)) + " : 7 échanges"},
	} {
		if got := outage(roc.IDB, c.o, at(12)); got != c.want {
			t.Errorf("%s\nwant %s", got, c.want)
		}
	}
}
