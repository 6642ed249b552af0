package journal

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/await"
)

// smallDisk is a folder on a file system of that size.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "disk")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Fatalf("a full disk is tried on a tmpfs, and none can be mounted here: %v; run the tests as root, or in a namespace where one may mount: unshare -rm go test ./journal", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

// fullDisks are the ways in which a disk is full: a small tmpfs, and an allocation
// that is refused.
func fullDisks(t *testing.T, do func(t *testing.T, dir string, fill, free func(), o func(*Options))) {
	t.Run("allocation refused", func(t *testing.T) {
		t.Parallel()
		full := false
		do(t, t.TempDir(), func() { full = true }, func() { full = false }, func(o *Options) {
			o.allocate = func(f *os.File, size int64) error {
				if full {
					return syscall.ENOSPC
				}
				return allocate(f, size)
			}
		})
	})
	t.Run("tmpfs", func(t *testing.T) {
		t.Parallel()
		dir := smallDisk(t, "3m")
		ballast := filepath.Join(dir, "ballast")
		do(t, dir, func() {
			f, err := os.Create(ballast)
			if err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 4096)
			for err == nil {
				_, err = f.Write(b)
			}
			f.Close()
			if !errors.Is(err, syscall.ENOSPC) {
				t.Fatal(err)
			}
		}, func() { os.Remove(ballast) }, func(*Options) {})
	})
}

// With Refuse, every exchange that is carried has its record, and the others are
// turned away at the door, counted in the journal; nothing is lost.
func TestAFullDiskTurnsExchangesAway(t *testing.T) {
	t.Parallel()
	fullDisks(t, func(t *testing.T, dir string, fill, free func(), change func(*Options)) {
		o := testOptions(dir)
		change(&o)
		j, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		fill()
		carried, away := 0, 0
		var all []answered
		for n := range 1500 {
			ok, err := j.Reserve()
			if err != nil {
				if ok || !errors.Is(err, ErrNoRoom) {
					t.Fatal(ok, err)
				}
				away++
				j.ensureSpare() // it tries again, in vain
				continue
			}
			receipt, err := j.Append(sample(n))
			if err != nil || receipt.IsZero() {
				t.Fatalf("an exchange that had its room has no record: %v", err)
			}
			answer(&all, n, receipt)
			j.Amend(receipt, sample(n).ID, CallerLeft, "") // there is room for that too
			j.Release()
			carried++
			j.ensureSpare()
		}
		if away == 0 || carried < 100 || j.Ready() == nil {
			t.Fatalf("%d carried, %d turned away, ready: %v", carried, away, j.Ready())
		}
		j.sealNow() // may fail
		free()
		j.ensureSpare()
		j.ensureSpare()
		if err := j.Ready(); err != nil {
			t.Fatalf("there is room again: %v", err)
		}
		if ok, err := j.Reserve(); !ok || err != nil {
			t.Fatal(ok, err)
		}
		if _, err := j.Append(sample(5000)); err != nil {
			t.Fatal(err)
		}
		j.Release()
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		report := wantSound(t, dir)
		if report.Exchanges != uint64(carried)+1 || report.TurnedAway != uint64(away) || report.Amendments != uint64(carried) || report.NotRecorded != 0 {
			t.Errorf("%+v; carried %d, turned away %d", report, carried+1, away)
		}
		x := count(t, openLog(t, dir), testKeys(), all)
		x.undetected = away - int(report.TurnedAway)
		x.want0(t, "full disk, refuse ("+disk(t)+")", "%d answered, %d refused and told", carried, away)
	})
}

// With ContinueCounting every exchange goes on; what has no record is counted
// to one, also over the death of the process.
func TestAFullDiskIsCountedAndExchangesGoOn(t *testing.T) {
	t.Parallel()
	fullDisks(t, func(t *testing.T, dir string, fill, free func(), change func(*Options)) {
		o := testOptions(dir)
		o.OnFull = ContinueCounting
		change(&o)
		j, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		fill()
		recorded, without := 0, 0
		var all []answered
		for n := range 1500 {
			ok, err := j.Reserve()
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				without++
				continue
			}
			receipt, err := j.Append(sample(n))
			if err != nil {
				t.Fatal(err)
			}
			answer(&all, n, receipt)
			j.Release()
			recorded++
			j.ensureSpare()
		}
		if without == 0 {
			t.Fatal("the disk was not full")
		}
		for _, s := range []*segment{j.current, j.spare} { // it dies
			if s != nil {
				s.close()
			}
		}
		j.lock.Release()
		free()
		again := run(t, o)
		again.end()
		report := wantSound(t, dir)
		if report.Exchanges != uint64(recorded) || report.NotRecorded != uint64(without) {
			t.Errorf("%+v; %d recorded, %d without a record", report, recorded, without)
		}
		x := count(t, openLog(t, dir), testKeys(), all)
		x.undetected = without - int(report.NotRecorded)
		x.want0(t, "full disk, continue-counting, kill -9 ("+disk(t)+")", "%d answered with a record, %d without and told", recorded, without)
	})
}

// A disk that is read-only from one moment on.
func TestAReadOnlyDiskIsAFullOne(t *testing.T) {
	t.Parallel()
	dir := smallDisk(t, "3m")
	j := run(t, testOptions(dir))
	var all []answered
	for n := range 50 {
		answer(&all, n, j.exchange(sample(n)))
	}
	// A file that is open for writing keeps a mount from becoming read-only, as
	// the kernel does it after an error: what we see of that is that nothing
	// can be made any more.
	if err := syscall.Mount("none", dir, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, "size=3m"); err == nil {
		t.Log("the mount became read-only")
	} else if err := syscall.Mount(dir, dir, "", syscall.MS_BIND, ""); err == nil {
		defer syscall.Unmount(dir, syscall.MNT_DETACH)
		if err := syscall.Mount("", dir, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
			t.Fatal(err)
		}
	}
	turnedAway := false
	for n := range 2000 {
		ok, err := j.Reserve()
		if turnedAway = err != nil; turnedAway {
			break
		}
		if ok {
			receipt, err := j.Append(sample(100 + n))
			if err != nil {
				t.Fatal(err)
			}
			answer(&all, 100+n, receipt)
			j.Release()
		}
	}
	if !turnedAway {
		t.Errorf("no exchange was turned away: %+v", j.Stats())
	}
	await.Until(t, "the error is counted", func() bool { return j.Stats().RoomErrors > 0 })
	if j.sealNow() == nil {
		t.Error("the seal was written on a read-only disk")
	}
	syscall.Unmount(dir, syscall.MNT_DETACH)
	await.Until(t, "there is room again", func() bool { return j.Ready() == nil })
	j.end()
	x := count(t, openLog(t, dir), testKeys(), all)
	if report := wantSound(t, dir); report.TurnedAway == 0 {
		x.undetected++
	}
	x.want0(t, "read-only disk", "%d answered, then refused and told", len(all))
}

// disk is the kind of disk of a subtest of fullDisks.
func disk(t *testing.T) string { return filepath.Base(t.Name()) }

// Clocks that jump lose nothing, delete nothing, and confuse no search.
func TestClockJumpsLoseNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := testOptions(dir)
	now := testNow
	o.Now = func() time.Time { return now }
	j, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	jumps := []time.Duration{0, -26 * time.Hour, 400 * 24 * time.Hour, 80 * 365 * 24 * time.Hour, -60 * 365 * 24 * time.Hour, time.Second}
	n := 0
	var all []answered
	for _, jump := range jumps {
		now = testNow.Add(jump)
		for range 250 {
			rec := sample(n)
			rec.RequestIn, rec.AnswerOut = now, now.Add(time.Millisecond)
			j.ensureSpare()
			receipt, err := j.Append(rec)
			if err != nil {
				t.Fatal(err)
			}
			answer(&all, n, receipt)
			n++
		}
		j.sealNow()
		for j.closeOldest(t.Context()) {
		}
		j.prune()
	}
	j.Close()
	report := wantSound(t, dir)
	if report.Exchanges != uint64(n) {
		t.Fatalf("%d exchanges of %d are left", report.Exchanges, n)
	}
	l := openLog(t, dir)
	x := count(t, l, testKeys(), all)
	for _, jump := range jumps[1:] {
		at := testNow.Add(jump)
		res, err := l.Find(t.Context(), Query{From: at, To: at.Add(time.Millisecond)})
		if err != nil || res.Total != 250 {
			x.undetected++
			t.Errorf("at %v: %d found, %v", at, res.Total, err)
		}
	}
	x.want0(t, "clock jumps, back a day to ahead 80 years", "%d answered", n)
	if res, err := l.Find(t.Context(), Query{ID: sample(3).ID}); err != nil || res.Total != 1 {
		t.Errorf("%+v %v", res, err)
	}
}
