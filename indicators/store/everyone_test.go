package store

import (
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// What is asked of every insurer at once is what is asked of each; what is of now,
// and who has called, is a recount of the records.
func TestEveryInsurerAtOnceIsEachOfThem(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 9))
	s, b := open(t, filepath.Join(t.TempDir(), "store.db")), &book{origin: "rpn.example/a"}
	b.fill(r, 4000)
	s.must(t, b)
	from, to := monday.Add(3*time.Hour), monday.Add(80*time.Hour)
	now := to.Add(-20 * time.Hour)
	all, err := s.Availabilities(t.Context(), from, now, to)
	if err != nil || len(all) != 3 {
		t.Fatalf("%d insurers, %v", len(all), err)
	}
	for amc, services := range all {
		each, err := s.Availability(t.Context(), amc, from, to)
		if err != nil {
			t.Fatal(err)
		}
		for i, got := range services {
			if !reflect.DeepEqual(got.Availability, each[i]) {
				t.Errorf("%s: %+v, alone %+v", amc, got.Availability, each[i])
			}
			sentNow, failedNow, last := int64(0), int64(0), time.Time{}
			for _, e := range b.entries {
				x := e.Exchange
				if x == nil || x.To.AMC != amc || x.Service != got.Service || !within(x.RequestIn, from, to) || !sent(x) {
					continue
				}
				begins := x.RequestIn.Truncate(Window)
				if begins.After(last) {
					last = begins
				}
				if !begins.Before(now) {
					sentNow++
					if FailedByAMC(x) {
						failedNow++
					}
				}
			}
			if got.SentNow != sentNow || got.FailNow != failedNow || !got.Last.Equal(last) {
				t.Errorf("%s %s: %d sent and %d failed, last at %s; by hand %d, %d, %s", amc, got.Service, got.SentNow, got.FailNow, got.Last, sentNow, failedNow, last)
			}
		}
		callers, err := s.Callers(t.Context(), amc, Day.Begin(now))
		if err != nil {
			t.Fatal(err)
		}
		var want []roc.StructureID
		for _, e := range b.entries {
			if x := e.Exchange; x != nil && x.To.AMC == amc && !x.RequestIn.Before(Day.Begin(now)) {
				id := x.From
				if id == "" {
					id = none
				}
				want = append(want, id)
			}
		}
		slices.Sort(want)
		if want = slices.Compact(want); !slices.Equal(callers, want) {
			t.Errorf("%s is called by %v, by hand %v", amc, callers, want)
		}
	}
}

func within(at, from, to time.Time) bool {
	begins := at.Truncate(Window)
	return !begins.Before(from) && begins.Before(to)
}
