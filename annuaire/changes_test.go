package annuaire

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// A village is an annuaire of twenty insurers, one route each, whose addresses
// a test moves.
type village struct {
	*oracle
	d     *Directory
	clock *clock
	host  map[roc.NumeroAMC]string // "": unknown
}

func newVillage(t *testing.T, change func(*Options)) *village {
	v := &village{oracle: &oracle{}, clock: newClock(), host: map[roc.NumeroAMC]string{}}
	for i := range 20 {
		v.host[keyNumber(i).AMC] = fmt.Sprintf("amc%d.example", i)
	}
	v.answer = func(ctx context.Context, k roc.Key) (Entry, error) {
		if v.host[k.AMC] == "" {
			return Entry{}, roc.Refuse(roc.UnknownAMC, "01")
		}
		e, _ := always(ctx, k)
		e.At = v.clock.now()
		e.Adresses = []Adresse{{k.Service, k.Version, "https://" + v.host[k.AMC] + "/roc"}}
		e.Raw = roc.NewContent([]byte(v.host[k.AMC]))
		return e, nil
	}
	o := Options{Asker: v, TTL: time.Minute, MaxAge: 2 * time.Hour, Now: v.clock.now, Chance: half, Guard: GuardOptions{Share: 0.2, Least: 2}}
	if change != nil {
		change(&o)
	}
	v.d = newDirectory(t, o)
	return v
}

// ask has the village asked again about an insurer, and returns its host.
func (v *village) ask(t *testing.T, i int) string {
	t.Helper()
	v.clock.advance(2 * time.Minute)
	v.d.Find(t.Context(), keyNumber(i))
	v.d.asks.Wait()
	return v.now(t, i)
}

// now is the host of an insurer as an exchange finds it.
func (v *village) now(t *testing.T, i int) string {
	t.Helper()
	e, err := v.d.Find(t.Context(), keyNumber(i))
	if err != nil {
		return roc.RefusalOf(err).Reason.Meaning().Code
	}
	v.d.asks.Wait()
	return strings.TrimSuffix(strings.TrimPrefix(e.Adresses[0].URL, "https://"), "/roc")
}

func TestTooManyRoutesMovedAreTakenBackUntilAnOperatorApproves(t *testing.T) {
	t.Parallel()
	v := newVillage(t, nil)
	for i := range 20 {
		v.ask(t, i)
	}
	move := func(i int) { v.host[keyNumber(i).AMC] = fmt.Sprintf("new%d.example", i) }
	for i := range 4 { // a fifth of 20
		move(i)
		if h := v.ask(t, i); h != fmt.Sprintf("new%d.example", i) {
			t.Fatalf("route %d leads to %s: a fifth may move", i, h)
		}
	}
	if h := v.d.Held(); h.Keys != 0 || !h.Since.IsZero() {
		t.Fatalf("held %+v", h)
	}
	move(4)
	if h := v.ask(t, 4); h != "amc4.example" {
		t.Fatalf("the route too many leads to %s", h)
	}
	for i := range 5 {
		if h := v.now(t, i); h != fmt.Sprintf("amc%d.example", i) {
			t.Errorf("route %d leads to %s, want the previous one: those of the hour are taken back", i, h)
		}
	}
	// A new key at an address that is held back is not carried there either.
	v.host["0000000077"] = "new1.example"
	k := keyNumber(77)
	if _, err := v.d.Find(t.Context(), k); !roc.IsRefused(err, roc.Quarantined) {
		t.Errorf("a new key at a held address: %v, want quarantined", err)
	}
	held := v.d.Held()
	if held.Keys != 5 || len(held.Changes) != 5 || held.Changes[0].From != "https://amc0.example/roc" || held.Changes[0].To[0] != "https://new0.example/roc" {
		t.Fatalf("held %+v", held)
	}
	if _, err := v.d.Approve("otherwise"); err != ErrOtherChanges {
		t.Errorf("approved something else: %v", err)
	}
	if n, err := v.d.Approve(held.Digest); n != 5 || err != nil {
		t.Fatalf("approved %d, %v", n, err)
	}
	v.d.asks.Wait()
	for i := range 5 {
		if h := v.now(t, i); h != fmt.Sprintf("new%d.example", i) {
			t.Errorf("once approved, route %d leads to %s", i, h)
		}
	}
	if h := v.d.Held(); h.Keys != 0 {
		t.Errorf("still held: %+v", h)
	}
}

func TestAnAnnuaireThatMendsItselfNeedsNobody(t *testing.T) {
	t.Parallel()
	v := newVillage(t, nil)
	for i := range 20 {
		v.ask(t, i)
	}
	for i := range 20 { // an empty export: everybody is unknown
		v.host[keyNumber(i).AMC] = ""
	}
	for i := range 20 {
		v.ask(t, i)
	}
	for i := range 20 {
		if h := v.now(t, i); h != fmt.Sprintf("amc%d.example", i) {
			t.Errorf("route %d: %s while the annuaire has lost everybody", i, h)
		}
	}
	if n := v.d.Held().Keys; n != 20 {
		t.Errorf("%d keys are held, want 20", n)
	}
	v.clock.advance(90 * time.Minute) // the age of the previous answers does not count
	if h := v.now(t, 3); h != "amc3.example" {
		t.Errorf("route 3 leads to %s", h)
	}
	for i := range 20 {
		v.host[keyNumber(i).AMC] = fmt.Sprintf("amc%d.example", i)
	}
	for i := range 20 {
		v.ask(t, i)
	}
	if h := v.d.Held(); h.Keys != 0 {
		t.Errorf("%d keys are held once the annuaire is as before", h.Keys)
	}
}

func TestMovesOfAnHourAgoDoNotCount(t *testing.T) {
	t.Parallel()
	v := newVillage(t, nil)
	for i := range 20 {
		v.ask(t, i)
	}
	for i := range 20 {
		v.host[keyNumber(i).AMC] = fmt.Sprintf("new%d.example", i)
		v.clock.advance(20 * time.Minute)
		if h := v.ask(t, i); h != fmt.Sprintf("new%d.example", i) {
			t.Fatalf("route %d leads to %s: three an hour is a fifth at most", i, h)
		}
	}
}

// Routes are counted, not keys: an establishment that invents CSR makes the
// guard neither blind nor nervous.
func TestInventedKeysChangeNothingForTheGuard(t *testing.T) {
	t.Parallel()
	v := newVillage(t, nil)
	for i := range 10 {
		for csr := range 50 {
			k := keyNumber(i)
			k.CSR = roc.CSR(fmt.Sprint(csr))
			v.d.Find(t.Context(), k)
		}
	}
	if n := v.d.Held().Routes; n != 10 {
		t.Errorf("%d routes are known, want 10", n)
	}
	v.host[keyNumber(0).AMC] = "new0.example"
	v.clock.advance(2 * time.Minute)
	for csr := range 50 {
		k := keyNumber(0)
		k.CSR = roc.CSR(fmt.Sprint(csr))
		v.d.Find(t.Context(), k)
	}
	v.d.asks.Wait()
	if n := v.d.Held().Keys; n != 0 {
		t.Errorf("one route that moved for 50 keys holds %d", n)
	}
}

func TestWhatIsLost(t *testing.T) {
	t.Parallel()
	at := func(urls ...string) *facts {
		f := &facts{amc: "0000000001", roc: true}
		for _, u := range urls {
			f.adresses = append(f.adresses, Adresse{roc.IDB, roc.V1, u})
		}
		return f
	}
	out := at("a")
	out.roc = false
	for _, c := range []struct {
		name          string
		before, after *facts
		want          int
	}{
		{"nothing changed", at("a", "b"), at("a", "b"), 0},
		{"one more, at the end", at("a"), at("a", "b"), 0},
		{"moved", at("a"), at("b"), 1},
		{"one more, before the first: messages go there", at("a"), at("b", "a"), 1},
		{"the second one left", at("a", "b"), at("a"), 1},
		{"the order turned", at("a", "b"), at("b", "a"), 1},
		{"unknown", at("a", "b"), nil, 2},
		{"takes no part any more", at("a"), out, 1},
		{"comes back", out, at("a"), 0},
	} {
		if got := lost(c.before, c.after); len(got) != c.want {
			t.Errorf("%s: %d routes lost, want %d", c.name, len(got), c.want)
		}
	}
}
