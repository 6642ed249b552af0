package journal

import (
	"flag"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
)

// cpu measures processor time, which neighbours on the machine change less
// than the clock on the wall.
func cpu(b *testing.B, who int) (start func(), stop func()) {
	var used, at time.Duration
	now := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(who, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	if who == thread {
		runtime.LockOSThread()
		b.Cleanup(runtime.UnlockOSThread)
	}
	b.Cleanup(func() { b.ReportMetric(float64(used.Nanoseconds())/float64(b.N), "cpu-ns/op") })
	return func() { at = now(); b.StartTimer() }, func() { b.StopTimer(); used += now() - at }
}

const (
	thread  = 1 // RUSAGE_THREAD
	process = syscall.RUSAGE_SELF
)

// BenchmarkExchange is all that an exchange waits for: room, encoding, hash,
// the segment.
func BenchmarkExchange(b *testing.B) {
	o := testOptions(b.TempDir())
	o.SegmentBytes, o.SealEvery, o.SyncEvery, o.KeepBytes = 64<<20, time.Second, 500*time.Millisecond, 256<<20
	j := run(b, o)
	rec := sample(1)
	start, stop := cpu(b, thread)
	b.ReportAllocs()
	b.ResetTimer()
	start()
	for range b.N {
		ok, err := j.Reserve()
		for ; !ok; ok, err = j.Reserve() { // twelve million a minute outrun the room
			stop()
			await.Until(b, "there is room", func() bool { return j.Ready() == nil })
			start()
		}
		if err != nil {
			b.Fatal(err)
		}
		if _, err := j.Append(rec); err != nil {
			b.Fatal(err)
		}
		j.Release()
	}
	stop()
}

// BenchmarkOffPath is what a record costs afterwards: the tree, the closing.
func BenchmarkOffPath(b *testing.B) {
	o := testOptions(b.TempDir())
	o.SegmentBytes, o.KeepBytes = 64<<20, 1<<30
	j := still(b, o)
	start, stop := cpu(b, process)
	b.ResetTimer()
	b.StopTimer()
	for done := 0; done < b.N; {
		for j.current.free() > 0 && done < b.N {
			if _, err := j.Append(sample(done % 5000)); err != nil {
				b.Fatal(err)
			}
			done++
		}
		j.mu.Lock()
		j.retireLocked()
		j.mu.Unlock()
		start()
		j.sealNow()
		for j.closeOldest(b.Context()) {
		}
		stop()
		j.ensureSpare()
		j.ensureSpare()
	}
	s := j.Stats()
	b.ReportMetric(float64(s.Bytes)/float64(s.Records), "zst-B/record")
	var idx int64
	files, _ := segmentFiles(o.Dir, ".idx")
	for _, f := range files {
		info, _ := os.Stat(f)
		idx += info.Size()
	}
	b.ReportMetric(float64(idx)/float64(s.Records), "idx-B/record")
}

// The two ways of putting a record into a preallocated file.
func BenchmarkStore(b *testing.B) {
	const size = 64 << 20
	open := func(b *testing.B) *os.File {
		f, err := os.Create(filepath.Join(b.TempDir(), "f"))
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { f.Close() })
		if err := allocate(f, size); err != nil {
			b.Fatal(err)
		}
		return f
	}
	var s slot
	b.Run("mmap", func(b *testing.B) {
		m, err := mapFile(open(b), size)
		if err != nil {
			b.Fatal(err)
		}
		defer unmapFile(m)
		start, stop := cpu(b, thread)
		start()
		defer stop()
		for i := range b.N {
			store(m[i%(size/slotSize)*slotSize:], s[:])
		}
	})
	b.Run("pwrite", func(b *testing.B) {
		fd := int(open(b).Fd())
		start, stop := cpu(b, thread)
		start()
		defer stop()
		for i := range b.N {
			if _, err := syscall.Pwrite(fd, s[:], int64(i%(size/slotSize)*slotSize)); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkParts(b *testing.B) {
	rec := sample(1)
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		var s slot
		for range b.N {
			putExchange((*[exchangeSize]byte)(s[slotRecord:]), rec)
		}
	})
	b.Run("hash", func(b *testing.B) {
		b.ReportAllocs()
		var s slot
		for range b.N {
			s.finish(exchangeSize)
		}
	})
	b.Run("tree", func(b *testing.B) {
		b.ReportAllocs()
		var f frontier
		var h Hash
		for range b.N {
			f.push(h)
		}
	})
}

var findRecords = flag.Int("find-records", 100_000, "records of the journal that BenchmarkFind searches")

// BenchmarkFind searches a journal of many segments: by id, by MessageID, by
// establishment and week.
func BenchmarkFind(b *testing.B) {
	o := testOptions(b.TempDir())
	o.SegmentBytes = 64 << 20
	if *findRecords < 1_000_000 {
		o.SegmentBytes = 4 << 20
	}
	j := still(b, o)
	for n := range *findRecords {
		for j.current.free() == 0 && j.spare == nil {
			j.sealNow()
			for j.closeOldest(b.Context()) {
			}
			j.ensureSpare()
		}
		if _, err := j.Append(sample(n)); err != nil {
			b.Fatal(err)
		}
	}
	j.mu.Lock()
	j.retireLocked()
	j.mu.Unlock()
	j.sealNow()
	for j.closeOldest(b.Context()) {
	}
	l := openLog(b, o.Dir)
	middle := sample(*findRecords / 2)
	for name, q := range map[string]Query{
		"id": {ID: middle.ID}, "MessageID": {MessageID: middle.MessageID},
		"establishment": {Structure: middle.From, Limit: 100}, "amc and outcome": {AMC: middle.To.AMC, Outcome: roc.Refused, Limit: 100},
		"establishment and minute": {Structure: middle.From, From: middle.RequestIn, To: middle.RequestIn.Add(time.Minute), Limit: 100},
	} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				res, err := l.Find(b.Context(), q)
				if err != nil || res.Total == 0 || len(res.Slow) > 0 {
					b.Fatal(res, err)
				}
			}
		})
	}
	b.Run("proof", func(b *testing.B) {
		for i := range b.N {
			if _, err := l.Prove(uint64(i*7919) % uint64(*findRecords)); err != nil {
				b.Fatal(err)
			}
		}
	})
}
