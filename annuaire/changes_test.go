package annuaire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
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
	o := Options{Asker: v, PerSecond: 1e6, TTL: time.Minute, MaxAge: 2 * time.Hour, Now: v.clock.now, Chance: half, Changes: ChangeOptions{Share: 0.2, Least: 2}}
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
	v.d.Find(t.Context(), hospital, keyNumber(i))
	v.d.wait(t)
	return v.now(t, i)
}

// now is the host of an insurer as an exchange finds it.
func (v *village) now(t *testing.T, i int) string {
	t.Helper()
	e, err := v.d.Find(t.Context(), hospital, keyNumber(i))
	if err != nil {
		return roc.RefusalOf(err).Reason.Meaning().Code
	}
	v.d.wait(t)
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
	if h := v.d.Held(); len(h.Changes) != 0 || !h.Since.IsZero() {
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
	// A key of a held insurer that nobody asked about is not carried there
	// either.
	k := keyNumber(1)
	k.CSR = "NEVER"
	if _, err := v.d.Find(t.Context(), hospital, k); !roc.IsRefused(err, roc.Quarantined) {
		t.Errorf("a new key of a held insurer: %v, want quarantined", err)
	}
	held := v.d.Held()
	if len(held.Changes) != 5 || held.Changes[0].From != "https://amc0.example/roc" || held.Changes[0].Host != "new0.example" {
		t.Fatalf("held %+v", held)
	}
	act := Act{Act: Approve, AMC: keyNumber(0).AMC, Host: "elsewhere.example", Who: "a test", Why: "to see"}
	if _, err := v.d.Decide(act); err != ErrNothingHeld {
		t.Errorf("approved another host: %v", err)
	}
	act.Host = "new0.example"
	if n, err := v.d.Decide(act); n != 1 || err != nil {
		t.Fatalf("approved %d, %v", n, err)
	}
	v.d.wait(t)
	for i := range 5 {
		want := fmt.Sprintf("amc%d.example", i)
		if i == 0 {
			want = "new0.example"
		}
		if h := v.now(t, i); h != want {
			t.Errorf("route %d leads to %s, want %s: an approval names its host and passes nothing else", i, h, want)
		}
	}
	// A rejected one stays away, holds nothing else, and is no longer waiting.
	for i := 1; i < 5; i++ {
		act := Act{Act: Reject, AMC: keyNumber(i).AMC, Host: fmt.Sprintf("new%d.example", i), Who: "a test", Why: "to see"}
		if n, err := v.d.Decide(act); n != 1 || err != nil {
			t.Fatalf("rejected %d, %v", n, err)
		}
	}
	if h := v.d.Held(); h.Waiting() != 0 || len(h.Changes) != 4 || !h.Changes[0].Rejected {
		t.Errorf("held %+v", h)
	}
	if h := v.ask(t, 1); h != "amc1.example" {
		t.Errorf("a rejected move leads to %s", h)
	}
	v.host[keyNumber(9).AMC] = "new9.example"
	if h := v.ask(t, 9); h != "new9.example" {
		t.Errorf("another route leads to %s: what is rejected holds nothing else", h)
	}
}

// What is held or quarantined is told once, and both are listed until somebody
// decides.
func TestWhatWaitsForAnOperatorIsToldOnce(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	v := newVillage(t, func(o *Options) {
		o.Changes.Least, o.Changes.Share = 1, 0.01
		o.Log = slog.New(slog.NewTextHandler(&log, nil))
	})
	for i := range 4 {
		v.ask(t, i)
	}
	for i := range 3 {
		v.host[keyNumber(i).AMC] = "evil.example"
	}
	for range 3 {
		for i := range 3 {
			v.ask(t, i)
		}
		v.d.Quarantined(keyNumber(9).AMC, "new.example", false)
		v.d.Quarantined("0099999999", "", true)
	}
	v.d.Close()
	for event, want := range map[string]int{"annuaire_changes_held": 1, "annuaire_route_held": 2, "annuaire_quarantined": 2} {
		if n := strings.Count(log.String(), "event="+event+" "); n != want {
			t.Errorf("%s is told %d times, want %d\n%s", event, n, want, log.String())
		}
	}
	h := v.d.Held()
	if h.Waiting() != 5 || len(h.Changes) != 3 || len(h.Quarantined) != 2 || h.Quarantined[0].Refused != 3 {
		t.Errorf("held %+v", h)
	}
	act := Act{Act: Approve, AMC: keyNumber(9).AMC, Host: "new.example", Who: "root", Why: "a test"}
	if n, err := v.d.Decide(act); n != 1 || err != nil {
		t.Errorf("approved %d, %v", n, err)
	}
	act.AMC, act.Host = "0099999999", ""
	if n, err := v.d.Decide(act); n != 0 || !errors.Is(err, ErrNothingHeld) {
		t.Errorf("an AMC that is not in the register is approved: %d, %v", n, err)
	}
	if h := v.d.Held(); h.Waiting() != 4 {
		t.Errorf("then held %+v", h)
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
	if n := len(v.d.Held().Changes); n != 20 {
		t.Errorf("%d changes are held, want 20", n)
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
	if h := v.d.Held(); len(h.Changes) != 0 {
		t.Errorf("held once the annuaire is as before: %+v", h.Changes)
	}
}

// After a restart the disk still holds what a key was moved to: once the move is
// taken back, the key does not go there, asked before or not.
func TestWhatWasTakenBackDoesNotServeFromTheDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var disk *Disk
	start := func(c *clock) *village {
		disk = openDisk(t, DiskOptions{File: filepath.Join(dir, "annuaire.log"), Now: c.now})
		v := newVillage(t, func(o *Options) {
			o.Now, o.Disk, o.ChangesFile = c.now, disk, filepath.Join(dir, "routes.json")
			o.VerifyStored = func(raw roc.Content, k roc.Key, at time.Time) (Entry, error) {
				e, _ := always(t.Context(), k)
				e.At, e.Raw = at, raw
				e.Adresses = []Adresse{{k.Service, k.Version, "https://" + string(raw.Bytes()) + "/roc"}}
				return e, nil
			}
		})
		v.clock = c
		return v
	}
	c := newClock()
	v := start(c)
	for i := range 20 {
		v.ask(t, i)
	}
	for i := range 4 {
		v.host[keyNumber(i).AMC] = fmt.Sprintf("new%d.example", i)
		v.ask(t, i)
	}
	v.d.Close()
	if err := disk.Close(); err != nil {
		t.Fatal(err)
	}
	was := v.host
	v = start(c)
	v.host = was
	if h := v.now(t, 3); h != "new3.example" {
		t.Fatalf("after the restart route 3 leads to %s: four may move", h)
	}
	v.host[keyNumber(4).AMC] = "new4.example"
	v.ask(t, 4)
	if n := len(v.d.Held().Changes); n != 5 {
		t.Fatalf("%d changes are held, want 5", n)
	}
	for i := range 4 {
		if h := v.now(t, i); h != roc.Quarantined.Meaning().Code {
			t.Errorf("route %d: %s, want it quarantined: its move was taken back", i, h)
		}
	}
	if h := v.now(t, 5); h != "amc5.example" {
		t.Errorf("route 5 leads to %s: what is not held serves from the disk", h)
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
			v.d.Find(t.Context(), hospital, k)
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
		v.d.Find(t.Context(), hospital, k)
	}
	v.d.wait(t)
	if n := len(v.d.Held().Changes); n != 0 {
		t.Errorf("one route that moved for 50 keys holds %d", n)
	}
}
