package annuaire

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// ofRoute is an answer to a key of a route: at that address, valid for those
// days, said at that time.
func ofRoute(n int, csr, from, to string, debut, end, at time.Time) candidate {
	k := keyNumber(n)
	k.CSR = roc.CSR(csr)
	return candidate{key: k, from: from, next: firstAddress{URL: to, Debut: debut, End: end, Seen: at}}
}

// moves decides on moves of one route after the other, and returns at which one it
// holds; 0: at none.
func moves(l *changeLimiter, n int, at time.Time, of func(i int) candidate) int {
	for i := range n {
		if l.verdictOf(of(i), at).held {
			return i + 1
		}
	}
	return 0
}

func limiterOf(n int, at, end time.Time) *changeLimiter {
	l := newChangeLimiter(ChangeOptions{Share: 0.1, Least: 1})
	for i := range n {
		l.verdictOf(ofRoute(i, "", "", was(i), time.Time{}, end, at), at)
	}
	return l
}

func was(i int) string  { return fmt.Sprintf("https://old%d.example/roc", i) }
func goes(i int) string { return fmt.Sprintf("https://new%d.example/roc", i) }

// What may move is a share of the routes, whoever asks, whatever stands behind
// the first address, and whichever insurers the annuaire invents.
func TestWhatMovesIsCountedByRoute(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 6, 15, 10, 0, 0, 0, time.UTC)
	later := at.Add(2 * time.Hour) // beyond Lately
	for _, c := range []struct {
		name string
		l    func() *changeLimiter
		of   func(i int) candidate
		at   time.Time
		want int
	}{
		{"a tenth of 50 may move", func() *changeLimiter { return limiterOf(50, at, time.Time{}) },
			func(i int) candidate { return ofRoute(i, "", was(i), goes(i), time.Time{}, time.Time{}, later) }, later, 6},
		{"removed counts as moved", func() *changeLimiter { return limiterOf(50, at, time.Time{}) },
			func(i int) candidate { return ofRoute(i, "", was(i), "", time.Time{}, time.Time{}, later) }, later, 6},
		{"the long tail: keys that nobody remembers any more", func() *changeLimiter { return limiterOf(50, at, time.Time{}) },
			func(i int) candidate { return ofRoute(i, "", "", goes(i), time.Time{}, time.Time{}, later) }, later, 6},
		{"at the end of a validity it counts the same", func() *changeLimiter { return limiterOf(50, at, at.Add(time.Hour)) },
			func(i int) candidate {
				return ofRoute(i, "", was(i), goes(i), at.Add(time.Hour), time.Time{}, later)
			}, later, 6},
		{"unless it was announced by a later row that begins before", func() *changeLimiter { return limiterOf(50, at, at.Add(time.Hour)) },
			func(i int) candidate {
				return ofRoute(i, "", was(i), goes(i), at.Add(time.Hour-1), time.Time{}, later)
			}, later, 0},
		{"and only once the first one is over", func() *changeLimiter { return limiterOf(50, at, at.Add(3*time.Hour)) },
			func(i int) candidate {
				return ofRoute(i, "", was(i), goes(i), at.Add(time.Hour-1), time.Time{}, later)
			}, later, 6},
		{"another address of an insurer whose known one is in use", func() *changeLimiter { return limiterOf(50, at, time.Time{}) },
			func(i int) candidate { return ofRoute(i, "75", "", goes(i), time.Time{}, time.Time{}, at) }, at, 0},
		{"fifty keys of one route are one move", func() *changeLimiter { return limiterOf(50, at, time.Time{}) },
			func(i int) candidate {
				return ofRoute(0, fmt.Sprint(i), was(0), goes(0), time.Time{}, time.Time{}, later)
			}, later, 0},
		{"insurers that are not in the register do not make the whole larger", func() *changeLimiter {
			l := limiterOf(50, at, time.Time{})
			l.o.Registered = func(n roc.NumeroAMC) bool { return n < keyNumber(20).AMC }
			l.counted = time.Time{}
			return l
		}, func(i int) candidate { return ofRoute(i, "", was(i), goes(i), time.Time{}, time.Time{}, later) }, later, 3},
	} {
		if got := moves(c.l(), 50, c.at, c.of); got != c.want {
			t.Errorf("%s: held at move %d, want %d", c.name, got, c.want)
		}
	}
}

// While something of an insurer is held, a key of it that nobody had asked about
// is held too, unless it leads where the route is known to lead.
func TestAColdKeyOfAHeldInsurerIsHeld(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 6, 15, 10, 0, 0, 0, time.UTC)
	cold := func(l *changeLimiter, n int, to string) bool {
		return l.verdictOf(ofRoute(n, "COLD", "", to, time.Time{}, time.Time{}, at), at).held
	}
	l := limiterOf(50, at, time.Time{})
	if moves(l, 50, at, func(i int) candidate { return ofRoute(i, "", was(i), goes(i), time.Time{}, time.Time{}, at) }) == 0 {
		t.Fatal("nothing is held")
	}
	if !cold(l, 0, "https://third.example/roc") {
		t.Error("a cold key of a held insurer passes")
	}
	if cold(l, 0, was(0)) {
		t.Error("a cold key that leads where the route leads is held")
	}
	if cold(l, 49, "https://third.example/roc") {
		t.Error("a cold key of an insurer of which nothing is held is held")
	}
}

// An address that came beside the known one, for a key that nobody had asked
// about, does not let the known keys move there uncounted.
func TestAnAddressThatCameBesideIsNoLeave(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 6, 15, 10, 0, 0, 0, time.UTC)
	l := limiterOf(50, at, time.Time{})
	for i := range 50 {
		if v := l.verdictOf(ofRoute(i, "COLD", "", goes(i), time.Time{}, time.Time{}, at), at); v.held || !v.added {
			t.Fatalf("route %d: %+v; want it to pass, and the others asked again", i, v)
		}
	}
	if got := moves(l, 50, at, func(i int) candidate { return ofRoute(i, "", was(i), goes(i), time.Time{}, time.Time{}, at) }); got != 6 {
		t.Errorf("held at move %d, want 6", got)
	}
}

// Over a restart the limiter knows what it knew: the routes, the moves of the
// hour and what is held.
func TestTheLimiterIsKeptOverARestart(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 6, 15, 10, 0, 0, 0, time.UTC)
	file := filepath.Join(t.TempDir(), "routes.json")
	again := func(l *changeLimiter) *changeLimiter {
		if err := l.save(file); err != nil {
			t.Fatal(err)
		}
		n := newChangeLimiter(l.o)
		if err := n.load(file); err != nil {
			t.Fatal(err)
		}
		return n
	}
	l := limiterOf(50, at, time.Time{})
	move := func(i int) verdict {
		return l.verdictOf(ofRoute(i, "", was(i), goes(i), time.Time{}, time.Time{}, at), at)
	}
	for i := range 6 {
		if v := move(i); v.held != (i == 5) {
			t.Fatalf("move %d: %+v", i, v)
		}
		if keys := l.waiting(); slices.Contains(keys, roc.Key{}) {
			t.Errorf("move %d: the keys %+v wait; want none that is empty", i, keys)
		}
		l = again(l)
	}
	if h := l.list(); len(h.Changes) != 6 || h.Routes != 50 || h.Since.IsZero() {
		t.Errorf("after a restart it holds %+v", h)
	}
	if v := move(7); !v.held {
		t.Error("what is held was forgotten")
	}
}

// The decision is pure: it changes nothing but what it decides by.
func TestAVerdictIsGivenTwice(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 6, 15, 10, 0, 0, 0, time.UTC)
	l := limiterOf(50, at, time.Time{})
	for i := range 8 {
		c := ofRoute(i, "", was(i), goes(i), time.Time{}, time.Time{}, at)
		first, second := l.verdictOf(c, at), l.verdictOf(c, at)
		if first.held != second.held {
			t.Errorf("move %d: held %v, then %v", i, first.held, second.held)
		}
	}
}
