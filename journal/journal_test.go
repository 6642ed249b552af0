package journal

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/durable"
	"github.com/piano-roc/rpn/internal/roc"
)

// A whole life: more records than several segments hold, from many exchanges at
// once, over restarts. Each is read, found and proved; the folder verifies.
func TestEveryRecordIsReadFoundAndProved(t *testing.T) {
	t.Parallel()
	for _, durability := range []Durability{Relaxed, Strict} {
		t.Run(string(durability), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			o := testOptions(dir)
			o.Durability = durability
			var mu sync.Mutex
			receipts := map[int]roc.Receipt{}
			const perRun, runs = 450, 3
			for r := range runs {
				j := run(t, o)
				var all sync.WaitGroup
				for w := range 8 {
					all.Go(func() {
						for n := w; n < perRun; n += 8 {
							got := j.exchange(sample(r*perRun + n))
							mu.Lock()
							receipts[r*perRun+n] = got
							mu.Unlock()
						}
					})
				}
				all.Wait()
				if r == 1 {
					j.abandon()
				} else {
					j.end()
				}
			}
			j := run(t, o)
			await.Until(t, "the old segments are closed", func() bool { j.sealNow(); return j.Stats().WaitClose == 0 })
			report := wantSound(t, dir)
			if report.Exchanges != perRun*runs {
				t.Fatalf("%d exchanges are in the journal, want %d", report.Exchanges, perRun*runs)
			}
			wantAll(t, dir, receipts)
		})
	}
}

// wantAll reads, finds and proves each of the records of those receipts.
func wantAll(t *testing.T, dir string, receipts map[int]roc.Receipt) {
	t.Helper()
	l := openLog(t, dir)
	for n, receipt := range receipts {
		want := sample(n)
		e, err := l.Entry(receipt.Index)
		if err != nil || e.Exchange == nil || e.Exchange.ID != want.ID || e.Leaf != Hash(receipt.Leaf) {
			t.Fatalf("record %d is not the one of its receipt: %+v, %v", receipt.Index, e, err)
		}
		if n%7 != 0 {
			continue
		}
		for name, q := range map[string]Query{"id": {ID: want.ID}, "MessageID": {MessageID: want.MessageID}} {
			res, err := l.Find(t.Context(), q)
			if err != nil || res.Total != 1 || res.Matches[0].Index != receipt.Index || len(res.Slow) > 0 {
				t.Fatalf("by its %s, %d found, %v, read whole %v", name, res.Total, err, res.Slow)
			}
		}
		proof, err := l.Prove(receipt.Index)
		if err != nil {
			t.Fatal(err)
		}
		p, err := VerifyProof(proof, verifier(t))
		if err != nil || p.Entry.Exchange.RequestSHA256 != want.RequestSHA256 || p.Entry.Index != receipt.Index {
			t.Fatalf("the proof of record %d: %v", receipt.Index, err)
		}
	}
}

// A search gives what a naive reading of everything gives.
func TestASearchFindsWhatAFullReadingFinds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := run(t, testOptions(dir))
	for n := range 1000 {
		j.exchange(sample(n))
	}
	await.Until(t, "segments are closed", func() bool { j.sealNow(); return j.Stats().Segments >= 2 })
	l := openLog(t, dir)
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		s := sample(r.IntN(1000))
		var q Query
		set := func(f func()) {
			if r.IntN(3) == 0 {
				f()
			}
		}
		set(func() { q.Structure = s.From })
		set(func() { q.AMC = s.To.AMC })
		set(func() { q.Service = s.Service })
		set(func() { q.Outcome = s.Outcome })
		set(func() { q.Reason = s.Reason })
		set(func() { q.From = s.RequestIn.Add(time.Duration(r.IntN(2000)) * time.Microsecond) })
		set(func() { q.To = s.RequestIn.Add(time.Duration(r.IntN(2e6)) * time.Microsecond) })
		q.Limit = 1 + r.IntN(400)
		want := 0
		for e, err := range l.Entries(0) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Exchange != nil && q.matches(e.Exchange) {
				want++
			}
		}
		res, err := l.Find(t.Context(), q)
		if err != nil || res.Total != want || len(res.Matches) != min(want, q.Limit) {
			t.Fatalf("%+v: %d found of which %d given, want %d; %v", q, res.Total, len(res.Matches), want, err)
		}
	}
}

func TestWhatIsKnownAfterwardsAmendsTheRecord(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := run(t, testOptions(dir))
	first := j.exchange(sample(1))
	for n := range 400 {
		j.exchange(sample(100 + n))
	}
	j.Amend(first, sample(1).ID, WriteFailed, "")
	j.Amend(first, sample(1).ID, AnswerChecked, string(roc.BadSignature))
	j.end()
	res, err := openLog(t, dir).Find(t.Context(), Query{ID: sample(1).ID})
	if err != nil || res.Total != 1 || len(res.Matches[0].Amendments) != 2 {
		t.Fatalf("%+v, %v", res, err)
	}
	if a := res.Matches[0].Amendments[1]; a.Change != AnswerChecked || a.AnswerCheck != string(roc.BadSignature) || a.Of != first.Index {
		t.Errorf("the second amendment is %+v", a)
	}
}

// Without its index a segment is read whole, for the amendments too.
func TestAnAmendmentIsFoundWithoutItsIndex(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := still(t, testOptions(dir))
	first := j.exchange(sample(1))
	j.Amend(first, sample(1).ID, WriteFailed, "")
	for n := range 700 {
		j.ensureSpare()
		j.exchange(sample(100 + n))
	}
	j.sealNow()
	for j.closeOldest(t.Context()) {
	}
	if err := os.Remove(filepath.Join(dir, "segment-000000000000.idx")); err != nil {
		t.Fatal(err)
	}
	res, err := openLog(t, dir).Find(t.Context(), Query{ID: sample(1).ID})
	if err != nil || res.Total != 1 || len(res.Matches[0].Amendments) != 1 {
		t.Errorf("%+v, %v", res, err)
	}
}

func TestAReceiptAndItsProofAreForThisRecordAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := run(t, testOptions(dir))
	var receipts []roc.Receipt
	for n := range 40 {
		receipts = append(receipts, j.exchange(sample(n)))
	}
	l := openLog(t, dir)
	if _, err := l.Prove(receipts[3].Index); !errors.Is(err, ErrNotSealed) {
		t.Errorf("before the seal: %v", err)
	}
	j.sealNow()
	proof, err := l.Prove(receipts[3].Index)
	if err != nil {
		t.Fatal(err)
	}
	other, err := NewKeyOf(testOrigin)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := VerifyProof(proof, other.verifiers); err == nil {
		t.Error("another key of the same name verifies it")
	}
	if _, err := VerifyProof(proof, verifier(t)); err != nil {
		t.Fatal(err)
	}
	for i := range proof { // any one character
		changed := append([]byte{}, proof...)
		changed[i] ^= 1
		if p, err := VerifyProof(changed, verifier(t)); err == nil && (p.Entry.Index != receipts[3].Index || p.Entry.Exchange.ID != sample(3).ID) {
			t.Fatalf("changed at %d it proves another record", i)
		} else if err == nil {
			t.Fatalf("changed at %d (%q) it is still a proof", i, proof[i])
		}
	}
}

// NewKeyOf makes the keys of a fresh key.
func NewKeyOf(origin string) (Keys, error) {
	private, _, err := NewKey(origin)
	if err != nil {
		return Keys{}, err
	}
	return ParseKeys(private, origin)
}

// The closed form is read by others: zstd gives the entry bundles of C2SP
// tlog-tiles.
func TestAClosedSegmentIsReadByZstd(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := run(t, testOptions(dir))
	for n := range 700 {
		j.exchange(sample(n))
	}
	await.Until(t, "a segment is closed", func() bool { j.sealNow(); return j.Stats().Segments > 0 })
	files, err := segmentFiles(dir, ".zst")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("zstd", "-q", "-d", "-c", files[0]).Output()
	if err != nil {
		t.Fatalf("zstd: %v (Debian: apt-get install zstd)", err)
	}
	l := openLog(t, dir)
	var want []byte
	for e, err := range l.Entries(0) {
		if err != nil || e.Index >= l.segments[0].end {
			break
		}
		want = append(want, byte(len(e.Raw)>>8), byte(len(e.Raw)))
		want = append(want, e.Raw...)
	}
	if string(out) != string(want) {
		t.Errorf("zstd gives %d bytes, the records make %d", len(out), len(want))
	}
}

func TestASegmentIsClosedByItsAge(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := testOptions(dir)
	var mu sync.Mutex
	now := testNow
	o.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	j := run(t, o)
	j.exchange(sample(1))
	mu.Lock()
	now = now.Add(25 * time.Hour)
	mu.Unlock()
	await.Until(t, "the segment is closed after a day", func() bool { j.ensureSpare(); j.sealNow(); return j.Stats().Segments == 1 })
	j.exchange(sample(2))
	j.end()
	wantSound(t, dir)
}

func TestTwoProcessesCannotWriteOneFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run(t, testOptions(dir))
	if _, err := Open(testOptions(dir)); err == nil || !errors.Is(err, durable.ErrLocked) {
		t.Errorf("a second one opened the folder: %v", err)
	}
}

func TestAFolderSealedByAnotherKeyIsNotWritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := run(t, testOptions(dir))
	j.exchange(sample(1))
	j.end()
	o := testOptions(dir)
	var err error
	if o.Key, err = NewKeyOf(testOrigin); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(o); err == nil || !strings.Contains(err.Error(), "not signed by the key given") {
		t.Errorf("opened with another key: %v", err)
	}
}

// The policy of pruning: whole segments, the oldest first, after their age and
// when the clock was trusted long enough; what is kept still proves.
func TestOldSegmentsAreDeletedWhole(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := testOptions(dir)
	o.KeepFor = 24 * time.Hour
	now := testNow
	o.Now = func() time.Time { return now }
	j, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	add := func(n int, at time.Time) {
		rec := sample(n)
		rec.RequestIn, rec.AnswerOut = at, at
		if _, err := j.Append(rec); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 300 - 1 { // with the mark of the start: one segment
		add(n, testNow)
	}
	now = testNow.Add(48 * time.Hour)
	for n := range 800 {
		j.ensureSpare()
		add(1000+n, testNow.Add(40*time.Hour))
	}
	j.sealNow()
	for j.closeOldest(t.Context()) {
	}
	j.prune()
	if n := j.Stats().Segments; n != 3 {
		t.Fatalf("%d segments: one was deleted although the clock may have jumped", n)
	}
	j.pruned.trust = 0
	j.prune()
	l := openLog(t, dir)
	if first, _ := l.Bounds(); first != 300 || j.Stats().Pruned != 1 {
		t.Fatalf("the journal begins with record %d after the deletion", first)
	}
	if _, err := l.Entry(5); !errors.Is(err, ErrPruned) {
		t.Errorf("an old record: %v", err)
	}
	wantSound(t, dir)
	for _, i := range []uint64{300, 511, 512, 640, 790} {
		proof, err := l.Prove(i)
		if err != nil {
			t.Fatalf("record %d has no proof any more: %v", i, err)
		}
		if _, err := VerifyProof(proof, verifier(t)); err != nil {
			t.Errorf("record %d: %v", i, err)
		}
	}
}

// While a journal is verified its open segments are closed, and an old one is
// deleted: each of the others is verified once.
func TestAJournalIsVerifiedWhileItsSegmentsChange(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := still(t, testOptions(dir))
	for n := range 1000 {
		j.ensureSpare()
		j.exchange(sample(n))
	}
	j.sealNow()
	if !j.closeOldest(t.Context()) {
		t.Fatal("no segment was closed")
	}
	changed := false
	report, err := openLog(t, dir).Verify(testKeys().verifiers, func(done, _ uint64) {
		if changed || done < 300 {
			return
		}
		changed = true
		for j.closeOldest(t.Context()) {
		}
		if err := os.Remove(filepath.Join(dir, "segment-000000000000.zst")); err != nil {
			t.Fatal(err)
		}
	})
	if err != nil || !changed || !report.OK() || report.Exchanges != 1000 {
		t.Errorf("%+v, %v", report, err)
	}
}

// A search counts the records that cannot be read, and finds the others.
func TestASearchPassesOverWhatIsDamagedAndCountsIt(t *testing.T) {
	t.Parallel()
	cut := func(t *testing.T, file string) { // its end: the whole segment is lost
		if err := os.Truncate(file, 1000); err != nil {
			t.Fatal(err)
		}
	}
	spoil := func(t *testing.T, file string) { // its first frame
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		clear(b[:200])
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	remove := func(t *testing.T, file string) {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		harm        func(t *testing.T, file string)
		noIndex     bool
		found, lost int
	}{
		"a frame":               {harm: spoil, found: 1000 - 212, lost: 212},
		"a frame without index": {harm: spoil, noIndex: true, found: 1000 - 212, lost: 212},
		"a segment cut":         {harm: cut, found: 700, lost: 300},
		"a segment gone":        {harm: remove, found: 700, lost: 300},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			j := still(t, testOptions(dir))
			for n := range 1000 {
				j.ensureSpare()
				j.exchange(sample(n))
			}
			j.sealNow()
			for j.closeOldest(t.Context()) {
			}
			base := filepath.Join(dir, "segment-000000000001")
			c.harm(t, base+".zst")
			if c.noIndex {
				remove(t, base+".idx")
			}
			l := openLog(t, dir)
			res, err := l.Find(t.Context(), Query{})
			if err != nil || res.Total != c.found || res.Damaged != c.lost {
				t.Fatalf("%d found, %d damaged, want %d and %d; %v", res.Total, res.Damaged, c.found, c.lost, err)
			}
			res, err = l.Find(t.Context(), Query{ID: sample(5).ID})
			if err != nil || res.Total != 1 {
				t.Errorf("a sound record by its id: %d found, %v", res.Total, err)
			}
		})
	}
}

func TestTheCapOfSizeDeletesTheOldest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := testOptions(dir)
	o.KeepBytes = 1
	j := run(t, o)
	for n := range 1000 {
		j.exchange(sample(n))
	}
	await.Until(t, "one closed segment is left", func() bool { j.sealNow(); s := j.Stats(); return s.Pruned >= 2 && s.Segments == 1 })
	j.end()
	wantSound(t, dir)
}

// The tiles are those of C2SP tlog-tiles for the size of the checkpoint beside
// them.
func TestTheTilesAreThoseOfTheTree(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, step := range []int{1, 255, 1, 255, 300, 65536 - 812 + 70, 4000, 256, 13} {
		var f frontier
		from := uint64(0)
		if b, err := os.ReadFile(filepath.Join(dir, "size")); err == nil {
			fmt.Sscan(string(b), &from)
		}
		leaves := make([]Hash, step)
		for i := range leaves {
			leaves[i] = LeafHash(fmt.Append(nil, from+uint64(i)))
		}
		outgrown, err := writeTiles(dir, from, leaves)
		if err != nil {
			t.Fatal(err)
		}
		for _, tiles := range outgrown {
			if err := os.RemoveAll(tiles); err != nil {
				t.Fatal(err)
			}
		}
		size := from + uint64(step)
		os.WriteFile(filepath.Join(dir, "size"), fmt.Append(nil, size), 0o600)
		// The whole tree again, level by level.
		level := make([]Hash, size)
		for i := range level {
			level[i] = LeafHash(fmt.Append(nil, i))
			f.push(level[i])
		}
		for l := 0; len(level) > 0; l++ {
			var up []Hash
			for n := uint64(0); len(level) > 0; n++ {
				w := min(tileWidth, len(level))
				got, err := readTile(dir, l, n, w)
				if err != nil || len(got) != w {
					t.Fatalf("size %d, level %d, tile %d of width %d: %v", size, l, n, w, err)
				}
				for i := range got {
					if got[i] != level[i] {
						t.Fatalf("size %d, level %d, tile %d: hash %d differs", size, l, n, i)
					}
				}
				if w == tileWidth {
					up = append(up, rootOf(got))
					if exists(filepath.Join(dir, tilePath(l, n, 0)+".p")) {
						t.Fatalf("level %d, tile %d is full and has partial ones", l, n)
					}
				}
				level = level[w:]
			}
			level = up
		}
		if edge, err := edgeOf(dir, size); err != nil || edge.size != f.size || !slices.Equal(edge.hashes(), f.hashes()) {
			t.Fatalf("the edge of size %d from the tiles differs: %v", size, err)
		}
	}
	if got := tilePath(0, 1234067, 0); got != "tile/0/x001/x234/067" {
		t.Error(got)
	}
	if got := tilePath(2, 0, 17); got != "tile/2/000.p/17" {
		t.Error(got)
	}
}

// Who goes through the records may look at others meanwhile.
func TestEntriesAreEachReadOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := run(t, testOptions(dir))
	for n := range 1000 {
		j.exchange(sample(n))
	}
	j.end()
	l := openLog(t, dir)
	first, end := l.Bounds()
	next := first
	for e, err := range l.Entries(first) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Index != next {
			t.Fatalf("record %d comes where %d should", e.Index, next)
		}
		next++
		if _, err := l.Entry(first + e.Index*7919%(end-first)); err != nil {
			t.Fatal(err)
		}
	}
	if next != end {
		t.Errorf("the last record is %d of %d", next, end)
	}
}

// A segment that cannot be read for now is not a damaged one, closed or open: its
// records come once it can be. A directory in its place is what cannot be read.
func TestWhatCannotBeReadForNowIsNotDamaged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := still(t, testOptions(dir))
	for n := range 700 {
		j.ensureSpare()
		if _, err := j.Append(sample(n)); err != nil {
			t.Fatal(err)
		}
	}
	j.sealNow()
	j.closeOldest(t.Context())
	j.abandon()
	all := func(ending string) []string {
		files, err := segmentFiles(dir, ending)
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	files := append(all(".zst"), all(".open")[:2]...) // one closed, two with records, and a spare
	for _, file := range files {
		l := openLog(t, dir)
		_, want := l.Bounds()
		for _, refreshed := range []bool{false, true} { // what is known of it before, and what a Refresh finds
			if err := errors.Join(os.Rename(file, file+".aside"), os.Mkdir(file, 0o755)); err != nil {
				t.Fatal(err)
			}
			if refreshed {
				l = openLog(t, dir)
			}
			failed := false
			for _, err := range l.Entries(0) {
				failed = failed || err != nil
				if errors.Is(err, ErrDamaged) {
					t.Fatalf("%s: %v", file, err)
				}
			}
			if _, end := l.Bounds(); !failed && end >= want {
				t.Errorf("%s: every record of it is read", file)
			}
			if err := errors.Join(os.Remove(file), os.Rename(file+".aside", file), l.Refresh()); err != nil {
				t.Fatal(err)
			}
			n := uint64(0)
			for _, err := range l.Entries(0) {
				if n++; err != nil {
					t.Fatalf("%s: %v", file, err)
				}
			}
			if n != want {
				t.Errorf("%s: %d records come back, want %d", file, n, want)
			}
		}
	}
	// A file that one reading of the folder passed by may have been renamed
	// meanwhile; one that two do not find is gone.
	l := openLog(t, dir)
	if err := errors.Join(os.Remove(files[1]), l.list()); err != nil {
		t.Fatal(err)
	}
	hole := l.segments[1].first
	if _, err := l.Entry(hole); !errors.Is(err, errUnseen) || errors.Is(err, ErrDamaged) {
		t.Errorf("not seen once: %v", err)
	}
	if err := l.Refresh(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Entry(hole); !errors.Is(err, ErrDamaged) {
		t.Errorf("missing: %v", err)
	}
}
