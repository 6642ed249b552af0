package journal

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// closedJournal is a folder of 1000 exchanges, all but the last segments closed.
func closedJournal(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	j := still(t, testOptions(dir))
	for n := range 1000 {
		j.ensureSpare()
		j.exchange(sample(n))
	}
	j.sealNow()
	for j.closeOldest(t.Context()) {
	}
	j.abandon()
	return dir
}

// unreadable puts a link to a folder where a file is: what is read of it fails,
// whoever reads, and the file is whole. It returns how to put it back.
func unreadable(t *testing.T, file string) (back func()) {
	t.Helper()
	aside := filepath.Join(t.TempDir(), "aside")
	if err := errors.Join(os.Rename(file, aside), os.Symlink(t.TempDir(), file)); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := errors.Join(os.Remove(file), os.Rename(aside, file)); err != nil {
			t.Fatal(err)
		}
	}
}

// What cannot be read for now is told by a verification and by a search, and is
// neither altered nor passed over.
func TestWhatCannotBeReadIsToldAndIsNotAltered(t *testing.T) {
	t.Parallel()
	dir := closedJournal(t)
	opened, err := segmentFiles(dir, ".open")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		file   string
		search bool // a search needs it too
	}{
		"a closed segment":       {"segment-000000000001.zst", true},
		"the first segment":      {"segment-000000000000.zst", true},
		"the open segment":       {filepath.Base(opened[0]), true},
		"a tile of leaves":       {"tiles/tile/0/001", false},
		"a partial tile":         {"tiles/tile/1/000.p/3", false},
		"a partial tile's width": {"tiles/tile/0/003.p/132", false},
	} {
		back := unreadable(t, filepath.Join(dir, c.file))
		l := openLog(t, dir)
		report, err := l.Verify(testKeys().verifiers, nil)
		if err != nil || len(report.Problems) > 0 || len(report.Unread) == 0 || report.OK() {
			t.Errorf("%s: %v, problems %q, unread %q", name, err, report.Problems, report.Unread)
		}
		res, err := l.Find(t.Context(), Query{})
		if err != nil || res.Damaged > 0 || (len(res.Unread) > 0) != c.search || (res.Total < 1000) != c.search {
			t.Errorf("%s: a search finds %d, %d damaged, unread %v, %v", name, res.Total, res.Damaged, res.Unread, err)
		}
		back()
	}
	if report := wantSound(t, dir); !report.OK() || report.Exchanges != 1000 {
		t.Errorf("%+v", report)
	}
}

// An index that cannot be read is only slower.
func TestAnIndexThatCannotBeReadIsDoneWithout(t *testing.T) {
	t.Parallel()
	dir := closedJournal(t)
	unreadable(t, filepath.Join(dir, "segment-000000000001.idx"))
	res, err := openLog(t, dir).Find(t.Context(), Query{})
	if err != nil || res.Total != 1000 || len(res.Slow) != 1 || errors.Is(res.Slow[0], errIndex) || len(res.Unread) > 0 {
		t.Errorf("%+v, %v", res, err)
	}
}

// A countdown is a context that ends after it was asked so many times.
type countdown struct {
	context.Context
	left int
}

func (c *countdown) Err() error {
	if c.left--; c.left < 0 {
		return context.DeadlineExceeded
	}
	return nil
}

// The end of the context ends a search, at the next segment or record: what was
// found until then is no answer.
func TestASearchEndsWithItsContext(t *testing.T) {
	t.Parallel()
	l := openLog(t, closedJournal(t))
	for _, q := range []Query{{}, {ID: sample(5).ID}} {
		all := &countdown{t.Context(), 1 << 30}
		if _, err := l.Find(all, q); err != nil {
			t.Fatal(err)
		}
		asked := 1<<30 - all.left
		for _, n := range []int{0, 1, asked / 2, asked - 1} {
			if _, err := l.Find(&countdown{t.Context(), n}, q); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a search that asks %d times, ended after %d: %v", asked, n, err)
			}
		}
	}
}

// Amendments that may be in what cannot be read are told to be missing.
func TestASearchByIDTellsThatAmendmentsMayBeMissing(t *testing.T) {
	t.Parallel()
	dir := closedJournal(t)
	unreadable(t, filepath.Join(dir, "segment-000000000001.zst"))
	res, err := openLog(t, dir).Find(t.Context(), Query{ID: sample(5).ID})
	if err != nil || res.Total != 1 || len(res.Unread) == 0 {
		t.Errorf("%+v, %v", res, err)
	}
}

// A journal opens although a closed segment cannot be read for now, counts it as
// such, and is whole once it can be read.
func TestAJournalGoesOnWithoutASegmentThatCannotBeRead(t *testing.T) {
	t.Parallel()
	dir := closedJournal(t)
	closed, err := segmentFiles(dir, ".zst")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range closed {
		back := unreadable(t, file)
		j := still(t, testOptions(dir))
		if s := j.Stats(); s.Damaged != 0 || s.ReadErrors != 1 {
			t.Errorf("%s: %d damaged, %d could not be read", file, s.Damaged, s.ReadErrors)
		}
		j.exchange(sample(2000))
		j.end()
		back()
	}
	if report := wantSound(t, dir); report.Exchanges != uint64(1000+len(closed)) {
		t.Errorf("%d exchanges", report.Exchanges)
	}
}

// What is left of the last closed segment is not written over when it is damaged
// and nothing comes after it.
func TestTheRemainsOfTheLastSegmentAreKept(t *testing.T) {
	t.Parallel()
	dir := closedJournal(t)
	closed, _ := segmentFiles(dir, ".zst")
	opened, _ := segmentFiles(dir, ".open")
	for _, f := range opened {
		os.Remove(f)
	}
	if err := os.Truncate(closed[len(closed)-1], 1000); err != nil {
		t.Fatal(err)
	}
	// The seal of the end of the closed segments: what an orderly stop leaves.
	f, err := edgeOf(filepath.Join(dir, "tiles"), 900)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := testKeys().signCheckpoint(testOrigin, 900, f.root())
	if err == nil {
		err = errors.Join(writeFile(filepath.Join(dir, "seal"), sealText(&f, signed)), writeFile(filepath.Join(dir, "checkpoint"), signed))
	}
	if err != nil {
		t.Fatal(err)
	}
	j := still(t, testOptions(dir))
	for n := range 700 {
		j.ensureSpare()
		j.exchange(sample(2000 + n))
	}
	j.sealNow()
	for j.closeOldest(t.Context()) {
	}
	if info, err := os.Stat(closed[len(closed)-1]); err != nil || info.Size() != 1000 {
		t.Errorf("the damaged file: %v, %v", info, err)
	}
}

// A checkpoint that was taken away, or put back from before the closed segments,
// is found.
func TestAnOldCheckpointIsFound(t *testing.T) {
	t.Parallel()
	dir := closedJournal(t)
	if err := os.Remove(filepath.Join(dir, "checkpoint")); err != nil {
		t.Fatal(err)
	}
	report, err := openLog(t, dir).Verify(testKeys().verifiers, nil)
	if err != nil || len(report.Problems) != 1 || !strings.Contains(report.Problems[0], "retiré ou remplacé") {
		t.Errorf("%+v, %v", report, err)
	}
}

// A failing is a disk that answers a read by an error.
type failing struct{ err error }

func (f failing) ReadAt([]byte, int64) (int, error) { return 0, f.err }

func TestAnErrorOfTheDiskIsNoDamage(t *testing.T) {
	t.Parallel()
	for _, errno := range []syscall.Errno{syscall.EIO, syscall.EACCES, syscall.EMFILE} {
		disk := failing{errno}
		if blank, err := isBlank(disk); blank || !errors.Is(err, errno) {
			t.Errorf("%v: a header that cannot be read counts as blank: %v, %v", errno, blank, err)
		}
		if _, err := footerOf(disk, "x", 5000); !errors.Is(err, errno) || errors.Is(err, ErrDamaged) {
			t.Errorf("%v: the footer: %v", errno, err)
		}
		var res Result
		res.miss(3, errno)
		var report Report
		report.cannotRead("x", errno)
		if res.Damaged != 0 || len(res.Unread) != 1 || len(report.Problems) != 0 || len(report.Unread) != 1 {
			t.Errorf("%v: %+v %+v", errno, res, report)
		}
	}
	if _, err := footerOf(failing{io.EOF}, "x", 5000); !errors.Is(err, ErrDamaged) {
		t.Errorf("a file that ends early: %v", err)
	}
	if !slices.Equal([]bool{errors.Is(errUnseen, ErrDamaged), errors.Is(errMissing, ErrDamaged)}, []bool{false, true}) {
		t.Error("a file that was not seen is damaged, or one that is gone is not")
	}
}

// A length that no record has is a change, although the record is what it was.
func TestALengthThatWasChangedIsFound(t *testing.T) {
	t.Parallel()
	dir := closedJournal(t)
	opened, err := segmentFiles(dir, ".open")
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(opened[0])
	if err != nil {
		t.Fatal(err)
	}
	b[headerSize+3*slotSize+slotLength] ^= 8
	if err := os.WriteFile(opened[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	report, err := openLog(t, dir).Verify(testKeys().verifiers, nil)
	if err != nil || len(report.Problems) != 1 || !strings.Contains(report.Problems[0], "a été modifié") {
		t.Errorf("%q, %v", report.Problems, err)
	}
}

// The newest are the last of all the matches, from the end, whether their segments
// have an index or not.
func TestTheNewestAreTheLast(t *testing.T) {
	t.Parallel()
	dir := closedJournal(t)
	for _, q := range []Query{{}, {AMC: sample(5).To.AMC}} {
		all, err := openLog(t, dir).Find(t.Context(), q)
		if err != nil || all.Total < 40 {
			t.Fatalf("%d exchanges, %v", all.Total, err)
		}
		for _, limit := range []int{1, 7, all.Total / 2, all.Total, all.Total + 1} {
			q := q
			q.Newest, q.Limit = true, limit
			got, err := openLog(t, dir).Find(t.Context(), q)
			if err != nil || got.Total != all.Total || len(got.Matches) != min(limit, all.Total) {
				t.Fatalf("%d newest of %d: %d of %d, %v", limit, all.Total, len(got.Matches), got.Total, err)
			}
			for i, m := range got.Matches {
				if want := all.Matches[all.Total-1-i].Index; m.Index != want {
					t.Fatalf("the newest %d is record %d, want %d", i, m.Index, want)
				}
			}
		}
	}
}
