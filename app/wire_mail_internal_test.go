package app

import (
	"slices"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
)

// The weekly files of an establishment are of all ids that its certificates may
// carry.
func TestARecipientIsAllItsStructureIDs(t *testing.T) {
	t.Parallel()
	const lists = "../register/testdata/good-"
	now := func() time.Time { return time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC) }
	s, err := register.Open(register.Options{Etablissements: lists + "etablissements.yaml", AMC: lists + "amc.yaml", Now: now})
	if err != nil {
		t.Fatal(err)
	}
	r := (&App{register: s}).recipients()[0]
	if want := []roc.StructureID{"1010003820", "1010003838"}; r.Structure != "1010003812" || !slices.Equal(r.Others, want) {
		t.Errorf("%s, %v; want %v", r.Structure, r.Others, want)
	}
}
