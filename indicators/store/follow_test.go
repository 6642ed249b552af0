package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/journal"
)

// How far behind the figures are, and for how long.
func TestHowFarBehindTheFiguresAre(t *testing.T) {
	t.Parallel()
	noon := monday.Add(12 * time.Hour)
	now, stats := noon, journal.Stats{Records: 100, Sealed: 90, SealedAt: noon.Add(-5 * time.Second)}
	f := NewFollower(FollowerOptions{Stats: func() journal.Stats { return stats }, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return now }})
	want := func(behind uint64, lag time.Duration) {
		t.Helper()
		if s := f.State(); s.Behind != behind || s.Lag != lag {
			t.Errorf("%d records behind for %s, want %d for %s", s.Behind, s.Lag, behind, lag)
		}
	}
	want(100, 0)
	now = noon.Add(time.Minute)
	f.note(nil, 50, stats, noon)
	want(50, time.Minute)
	f.note(nil, 90, stats, noon)
	want(10, time.Minute+5*time.Second)
	f.note(nil, 100, stats, noon)
	want(0, 0)
	f.note(errors.New("away"), 0, stats, now)
	stats.Records++
	if want(1, time.Minute); f.State().Failures != 1 || f.State().Err == nil {
		t.Errorf("%+v", f.State())
	}
	now = noon.Add(2 * time.Minute)
	f.note(nil, 7, stats, now) // it is counted again
	want(94, 2*time.Minute)
}

// A real journal, its Follower and a store: what is reached is, and is no longer
// while its journal is counted again or another instance is behind.
func TestWhatTheFiguresHaveReached(t *testing.T) {
	t.Parallel()
	dir, db := t.TempDir(), filepath.Join(t.TempDir(), "store.db")
	r := rand.New(rand.NewPCG(31, 31))
	j, stop := realJournal(t, dir)
	for range 50 {
		appendTo(t, j, exchange(r))
	}
	await.Until(t, "all is sealed", func() bool { s := j.Stats(); return s.Sealed == s.Records })
	var log bytes.Buffer
	now := time.Now()
	f := NewFollower(FollowerOptions{
		Open: func(ctx context.Context) (*Store, error) { return Open(ctx, db, Options{}) },
		Dir:  dir, Stats: j.Stats, Every: time.Hour, Keep: 1000 * time.Hour, Log: slog.New(slog.NewTextHandler(&log, nil)), Now: func() time.Time { return now },
	})
	round := func() {
		t.Helper()
		before := j.Stats()
		next, err := f.round(t.Context(), before, now)
		if f.note(err, next, before, now); err != nil {
			t.Fatal(err)
		}
	}
	reached := func(want bool, when string) {
		t.Helper()
		if got := f.Reached(now.Add(-time.Second)); got != want {
			t.Errorf("%s: reached %v, want %v", when, got, want)
		}
	}
	reached(false, "at the start")
	round()
	reached(true, "once all is counted")
	if f.Reached(now.Add(time.Second)) {
		t.Error("it has reached what comes after")
	}
	other := open(t, db)
	if err := other.Forget(t.Context(), realOrigin); err != nil {
		t.Fatal(err)
	}
	reached(false, "while it is counted again")
	round()
	reached(true, "once it was counted again")
	// Another instance, whose journal is behind.
	b := &book{origin: "rpn.example/b"}
	b.fill(r, 10)
	other.must(t, b)
	tell := func(reached, at time.Time) {
		t.Helper()
		if err := other.hearOf(t.Context(), b.origin, 0, reached, at); err != nil {
			t.Fatal(err)
		}
	}
	reached(true, "while the other one never said a word")
	tell(time.Time{}, now)
	reached(false, "while the other one has counted nothing whole")
	tell(now.Add(-time.Hour), now)
	reached(false, "while the other one is an hour behind")
	tell(now, now)
	reached(true, "once the other one is up to date")
	now = now.Add(6 * time.Minute)
	round()
	reached(false, "while the other one is silent for minutes")
	if f.ReachedWithin(now.Add(-time.Second), 10*time.Minute) || !f.ReachedWithin(now.Add(-time.Second), 5*time.Minute) {
		t.Error("who waits for five minutes waits longer, or who waits for ten less long")
	}
	now = now.Add(23 * time.Hour)
	round()
	reached(false, "while nobody heard of the other one for hours")
	now = now.Add(2 * time.Hour)
	round()
	reached(true, "once nobody heard of it for a day")
	round()
	if n := strings.Count(log.String(), "event=indicators_silent origin=rpn.example/b"); n != 1 {
		t.Errorf("its silence is logged %d times:\n%s", n, &log)
	}
	f.close()
	reached(false, "once it has ended")
	stop()
}

// figuresAreAsFreshAsAllJournals: the oldest of them counts.
func figuresAreAsFreshAsAllJournals(t *testing.T, fresh func(*testing.T) *Store) {
	s := fresh(t)
	noon := monday.Add(12 * time.Hour)
	for origin, reached := range map[string]time.Duration{"rpn.example/a": time.Minute, "rpn.example/b": time.Hour} {
		b := &book{origin: origin}
		b.call(noon, roc.IDB, "")
		s.must(t, b)
		for _, at := range []time.Duration{reached, 0} { // a word without an instant takes nothing back
			told := time.Time{}
			if at != 0 {
				told = noon.Add(-at)
			}
			if err := s.hearOf(t.Context(), origin, 1, told, noon); err != nil {
				t.Fatal(err)
			}
		}
	}
	if f, err := s.Freshness(t.Context(), noon, silentAfter); err != nil || !f.Reached.Equal(noon.Add(-time.Hour)) || len(f.Silent) != 0 {
		t.Errorf("%+v, %v", f, err)
	}
	// What was found at a position that is gone since says nothing.
	if err := s.hearOf(t.Context(), "rpn.example/b", 2, noon, noon); err != nil {
		t.Fatal(err)
	}
	if f, err := s.Freshness(t.Context(), noon, silentAfter); err != nil || !f.Reached.Equal(noon.Add(-time.Hour)) {
		t.Errorf("%+v, %v", f, err)
	}
	if f, err := s.Freshness(t.Context(), noon.Add(25*time.Hour), silentAfter); err != nil || len(f.Silent) != 2 {
		t.Errorf("%+v, %v", f, err)
	}
}

// On a disk that is nearly full nothing is added, the position stays, and the
// figures catch up once there is room.
func TestADiskThatIsNearlyFullTakesNoFigures(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "store.db"))
	s.minFree = 1 << 20
	r := rand.New(rand.NewPCG(41, 41))
	b := &book{origin: "rpn.example/a"}
	b.fill(r, 30)
	s.must(t, b)
	b.fill(r, 30)
	free, lost := uint64(1<<20-1), error(nil)
	s.free = func(dir string) (uint64, error) {
		if dir != s.dir || dir == "" {
			t.Errorf("it looks at %q", dir)
		}
		return free, lost
	}
	for range 2 {
		if err := s.Project(t.Context(), b, nil); !errors.Is(err, ErrNoRoom) || !strings.Contains(err.Error(), s.dir) {
			t.Errorf("%v", err)
		}
		if p, err := s.Position(t.Context(), b.origin); err != nil || p.Next != 30 {
			t.Errorf("%+v, %v", p, err)
		}
	}
	lost = syscall.EIO
	if err := s.Project(t.Context(), b, nil); !errors.Is(err, syscall.EIO) {
		t.Errorf("a disk that says nothing: %v", err)
	}
	free, lost = 1<<20, nil
	s.must(t, b)
	s.holds(t, r, b)
	if n, err := freeBytes(s.dir); err != nil || n == 0 {
		t.Errorf("%d bytes are free here, %v", n, err)
	}
}

// Records of which each is of a cell of its own end a transaction early, and what
// one takes in memory is not more than its weight.
func TestABatchTakesNoMoreThanItsWeight(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "store.db"))
	b := &book{origin: "rpn.example/a"}
	r := rand.New(rand.NewPCG(43, 43))
	for n := range 20_000 {
		x := exchange(r)
		x.From, x.To.AMC = roc.StructureID(fmt.Sprintf("1990%06d", n%3000)), roc.NumeroAMC(fmt.Sprintf("00%08d", n/7))
		b.add(journal.Entry{Exchange: x})
	}
	s.weight = 2 << 20
	transactions := -1
	if err := s.Project(t.Context(), b, func(uint64, uint64) { transactions++ }); err != nil {
		t.Fatal(err)
	}
	if least := 20_000 * weightOfFact / s.weight; transactions < least || transactions > 2*least+2 {
		t.Errorf("%d transactions, want %d to %d", transactions, least, 2*least+2)
	}
	if p, err := s.Position(t.Context(), b.origin); err != nil || p.Next != 20_000 {
		t.Errorf("%+v, %v", p, err)
	}
	heap := func() uint64 {
		runtime.GC()
		runtime.GC() // of what finalizers and pools held
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	sum := newSums()
	if _, err := sum.read(t.Context(), b, Position{}, 20_000, 1<<40, 1<<40); err != nil {
		t.Fatal(err)
	}
	rows := sum.rows(byHour) // one kind after the other
	if took := heap() - before; took > uint64(sum.weight) || took < uint64(sum.weight)/3 {
		t.Errorf("it took %d bytes, and weighs %d", took, sum.weight)
	}
	runtime.KeepAlive(rows)
	runtime.KeepAlive(b)
}
