package journal

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
)

var (
	rounds  = flag.Int("rounds", 100, "how often the process of the crash tests is killed")
	damages = flag.Int("damages", 60, "how many damaged journals are verified")
)

// TestMain is also the process that the crash tests kill.
func TestMain(m *testing.M) {
	if dir := os.Getenv("JOURNAL_VICTIM"); dir != "" {
		victim(dir)
		return
	}
	os.Exit(m.Run())
}

// victim writes exchanges as fast as it can, and says on its standard output
// what it has a receipt for: as a caller that has its answer.
func victim(dir string) {
	private, err := os.ReadFile(filepath.Join(dir, "key"))
	if err != nil {
		panic(err)
	}
	o := testOptions(dir)
	if o.Key, err = ParseKeys(string(private), testOrigin); err != nil {
		panic(err)
	}
	o.SealEvery, o.SegmentBytes = 3*time.Millisecond, headerSize+900*slotSize
	j, err := Open(o)
	if err != nil {
		fmt.Println("open:", err)
		os.Exit(3)
	}
	go j.Run(context.Background())
	first, _ := strconv.Atoi(os.Getenv("JOURNAL_FIRST"))
	var mu sync.Mutex
	for w := range 4 {
		go func() {
			for n := first + w; ; n += 4 {
				ok, _ := j.Reserve()
				if !ok {
					time.Sleep(time.Millisecond)
					n -= 4
					continue
				}
				receipt, err := j.Append(sample(n))
				if err != nil {
					fmt.Println("append:", err)
					os.Exit(3)
				}
				mu.Lock()
				syscall.Write(1, fmt.Appendf(nil, "%d %d %x\n", n, receipt.Index, receipt.Leaf))
				mu.Unlock()
				if n%5 == 0 {
					j.Amend(receipt, sample(n).ID, CallerLeft, "")
				}
				j.Release()
			}
		}()
	}
	select {}
}

// An answered is what a caller knows.
type answered struct {
	n     int
	index uint64
	leaf  Hash
}

// killed runs the victim until a random instant, and returns what was answered.
func killed(t *testing.T, dir string, first int, r *rand.Rand) []answered {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "JOURNAL_VICTIM="+dir, "JOURNAL_FIRST="+strconv.Itoa(first))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// Somewhere in its first records, or in its opening.
	limit := r.IntN(400)
	if r.IntN(8) == 0 {
		time.Sleep(time.Duration(r.IntN(4000)) * time.Microsecond)
		limit = 0
	}
	var list []answered
	lines := bufio.NewScanner(out)
	for limit > 0 && lines.Scan() {
		list = append(list, parseAnswered(t, lines.Text()))
		limit--
	}
	cmd.Process.Kill()
	for lines.Scan() { // what it still said before
		list = append(list, parseAnswered(t, lines.Text()))
	}
	cmd.Wait()
	return list
}

func parseAnswered(t *testing.T, line string) (a answered) {
	t.Helper()
	var leaf string
	if _, err := fmt.Sscan(line, &a.n, &a.index, &leaf); err != nil {
		t.Fatalf("the victim said %q", line)
	}
	b, err := hex.DecodeString(leaf)
	if err != nil || len(b) != 32 {
		t.Fatalf("the victim said %q", line)
	}
	a.leaf = Hash(b)
	return a
}

// The four numbers of `make drill-journal`.
type tally struct{ lost, unprovable, undetected, double int }

// want0 writes a line of the drill's table, and wants nothing in it but zeros.
func (x tally) want0(t *testing.T, what, size string, args ...any) {
	t.Helper()
	fmt.Printf("drill: %s | %s | %d | %d | %d | %d\n", what, fmt.Sprintf(size, args...), x.lost, x.unprovable, x.undetected, x.double)
	if x != (tally{}) {
		t.Errorf("%+v: each must be 0", x)
	}
}

// progress prints how far a long drill is, every five seconds.
func progress(what string, of int) func(done int) {
	last := time.Now()
	return func(done int) {
		if time.Since(last) > 5*time.Second {
			last = time.Now()
			fmt.Fprintf(os.Stderr, "%s: %d of %d\n", what, done, of)
		}
	}
}

// answer keeps the receipt of an exchange as its caller does.
func answer(all *[]answered, n int, receipt roc.Receipt) {
	*all = append(*all, answered{n, receipt.Index, receipt.Leaf})
}

// kill -9 at any instant: what was answered is in the journal once, and proved.
func TestNothingAnsweredIsLostByKill9(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	private, _, err := NewKey(testOrigin)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "key"), []byte(private), 0o600); err != nil {
		t.Fatal(err)
	}
	keys, err := ParseKeys(private, testOrigin)
	if err != nil {
		t.Fatal(err)
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	var all []answered
	show := progress("kill -9", *rounds)
	for round := range *rounds {
		all = append(all, killed(t, dir, round*1_000_000, r)...)
		show(round)
	}
	o := testOptions(dir)
	o.Key = keys
	j := run(t, o)
	for left := j.Stats().WaitClose; left > 0; left = j.Stats().WaitClose {
		await.Until(t, "one more old segment is closed", func() bool { j.sealNow(); return j.Stats().WaitClose < left })
	}
	j.end()
	l := openLog(t, dir)
	report, err := l.Verify(keys.verifiers, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range report.Problems {
		t.Errorf("after the crashes: %s", p)
	}
	count(t, l, keys, all).want0(t, "kill -9 of one instance", "%d rounds, %d answered, %d records", *rounds, len(all), report.End)
	if len(all) < 100 {
		t.Error("too few were answered for the test to mean something")
	}
}

// count looks for each answered exchange.
func count(t *testing.T, l *Log, keys Keys, all []answered) (x tally) {
	t.Helper()
	seen := map[roc.ExchangeID]int{}
	for e, err := range l.Entries(0) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Exchange != nil {
			if seen[e.Exchange.ID]++; seen[e.Exchange.ID] == 2 {
				x.double++
			}
		}
	}
	for i, a := range all {
		e, err := l.Entry(a.index)
		if err != nil || e.Leaf != a.leaf || e.Exchange == nil || e.Exchange.ID != sample(a.n).ID {
			x.lost++
			continue
		}
		if i%97 != 0 && i != len(all)-1 {
			continue
		}
		proof, err := l.Prove(a.index)
		if err == nil {
			_, err = VerifyProof(proof, keys.verifiers)
		}
		if err != nil {
			x.unprovable++
			t.Log(err)
		}
	}
	return x
}

// Any byte of what is sealed that changes, and any file that is cut or gone, is
// found; the journal opens all the same where it can, or says why not.
func TestWhatWasChangedIsFound(t *testing.T) {
	t.Parallel()
	origin := t.TempDir()
	j := run(t, testOptions(origin))
	var receipts []roc.Receipt
	for n := range 1000 {
		receipts = append(receipts, j.exchange(sample(n)))
	}
	await.Until(t, "three segments are closed", func() bool { j.sealNow(); return j.Stats().Segments >= 3 })
	j.abandon()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 2))
	var x tally
	tried := map[string]int{}
	show := progress("damage", *damages)
	for i := range *damages {
		show(i)
		dir := filepath.Join(t.TempDir(), "copy")
		if err := os.CopyFS(dir, os.DirFS(origin)); err != nil {
			t.Fatal(err)
		}
		what := damage(t, dir, r)
		tried[strings.Trim(strings.Fields(what)[0], ":")]++
		if !detected(t, dir, receipts) {
			x.undetected++
			t.Errorf("%d: %s was not found", i, what)
		}
		// The journal goes on, or says why it does not; never a panic.
		o := testOptions(dir)
		if again, err := Open(o); err == nil {
			again.Append(sample(5000))
			again.Close()
		}
		if err := os.RemoveAll(dir); err != nil { // a thousand of them are much
			t.Fatal(err)
		}
	}
	x.want0(t, "bytes flipped, files cut and gone", "%d journals: %v", *damages, tried)
}

// damage changes something that holds records, or their seal, and says what.
func damage(t *testing.T, dir string, r *rand.Rand) string {
	t.Helper()
	var files []string
	filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		name := d.Name()
		if strings.HasSuffix(name, ".zst") || strings.HasSuffix(name, ".open") || name == "checkpoint" && filepath.Dir(p) == dir || strings.Contains(p, "/tile/") && !d.IsDir() {
			files = append(files, p)
		}
		return err
	})
	p := files[r.IntN(len(files))]
	b, err := os.ReadFile(p)
	if err != nil {
		t.Fatal(err)
	}
	used := len(b)
	if strings.HasSuffix(p, ".open") { // of the slots that are written
		for used > headerSize && b[used-1] == 0 {
			used--
		}
		if used == headerSize {
			return "nothing " + damage(t, dir, r) // the spare
		}
	}
	kind := r.IntN(3)
	if kind == 2 && strings.Contains(p, ".p/") {
		kind = 0 // a partial tile is in the wider one too
	}
	switch kind {
	case 0:
		at := r.IntN(used)
		if strings.HasSuffix(p, ".open") {
			at = headerSize + r.IntN(used-headerSize)
			if (at-headerSize)%slotSize >= slotRecord+int(b[headerSize+(at-headerSize)/slotSize*slotSize+slotLength+1]) && (at-headerSize)%slotSize < slotLength {
				at = headerSize + (at-headerSize)/slotSize*slotSize // not the padding
			}
		}
		b[at] ^= 1 << r.IntN(8)
		err = os.WriteFile(p, b, 0o600)
		return finish(t, err, fmt.Sprintf("flip at %d of %s", at, p))
	case 1:
		n := r.IntN(used)
		return finish(t, os.Truncate(p, int64(n)), fmt.Sprintf("cut to %d of %d: %s", n, used, p))
	}
	return finish(t, os.Remove(p), "gone: "+p)
}

func finish(t *testing.T, err error, what string) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return what
}

// detected: the verification says something is wrong, or cannot even begin.
func detected(t *testing.T, dir string, receipts []roc.Receipt) bool {
	t.Helper()
	l, err := OpenLog(dir)
	if err != nil {
		return true
	}
	defer l.Close()
	report, err := l.Verify(testKeys().verifiers, nil)
	if err != nil || !report.OK() {
		return true
	}
	for _, receipt := range receipts[:50] {
		e, err := l.Entry(receipt.Index)
		if err != nil || e.Leaf != Hash(receipt.Leaf) {
			return true
		}
	}
	return false
}

// What the loss of power leaves of a relaxed journal: pages of the last second
// may be missing anywhere in what was not synced.
func TestHolesAfterTheLossOfPowerAreTold(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := testOptions(dir)
	j := still(t, o)
	var sealed []answered
	for n := range 40 {
		answer(&sealed, n, j.exchange(sample(n)))
	}
	j.sealNow()
	for n := range 40 {
		j.exchange(sample(100 + n))
	}
	path := j.current.path
	j.abandon()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	clear(b[headerSize+50*slotSize : headerSize+53*slotSize]) // three slots, and
	clear(b[headerSize+60*slotSize+9 : headerSize+60*slotSize+99])
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	j = run(t, o)
	if d := j.Stats().Damaged; d != 4 {
		t.Errorf("%d records were found damaged, want 4", d)
	}
	j.end()
	l := openLog(t, dir)
	report, err := l.Verify(testKeys().verifiers, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Problems) != 4 || report.Exchanges != 76 {
		t.Errorf("%d exchanges, problems: %q", report.Exchanges, report.Problems)
	}
	x := count(t, l, testKeys(), sealed)
	x.undetected = max(0, 4-len(report.Problems))
	x.want0(t, "power lost, pages of the last second gone", "%d answered and on the disk, 4 records gone and told", len(sealed))
	if kept, _ := filepath.Glob(filepath.Join(dir, "damaged-*.slot")); len(kept) != 1 {
		t.Errorf("what was left of the damaged record is in %d files", len(kept))
	}
}

// A record that was being written when the process died was never answered: it
// is dropped and counted.
func TestARecordCutByACrashIsDroppedAndTold(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := testOptions(dir)
	j := run(t, o)
	var all []answered
	for n := range 10 {
		answer(&all, n, j.exchange(sample(n)))
	}
	var half slot
	putExchange((*[exchangeSize]byte)(half[slotRecord:]), sample(10))
	half.finish(exchangeSize)
	copy(j.current.data[headerSize+int(j.current.count.Load())*slotSize:], half[:100])
	j.abandon()
	j = run(t, o)
	if torn := j.Stats().Torn; torn != 1 {
		t.Errorf("%d records were cut, want 1", torn)
	}
	answer(&all, 11, j.exchange(sample(11)))
	j.end()
	if report := wantSound(t, dir); report.Exchanges != 11 {
		t.Errorf("%d exchanges", report.Exchanges)
	}
	count(t, openLog(t, dir), testKeys(), all).want0(t, "a record cut while it was written", "%d answered", len(all))
}

// A crash while a tile gets full cuts it (kill -9), or leaves room where nothing was
// written (power): the segment is closed all the same, and nothing counts as damaged.
func TestATileCutByACrashIsWrittenAgain(t *testing.T) {
	t.Parallel()
	for name, left := range map[string][]byte{"nothing": {}, "half": make([]byte, 4096), "zeros": make([]byte, tileWidth*len(Hash{}))} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			o := testOptions(dir)
			full := filepath.Join(dir, "tiles", tilePath(0, 0, 0))
			var all []answered
			closes := func(from, to int, before func()) {
				j := run(t, o)
				await.Until(t, "what is old is closed", func() bool { return j.Stats().WaitClose == 0 })
				if s := j.Stats(); s.Damaged > 0 || s.CloseErrors > 0 {
					t.Errorf("%+v", s)
				}
				for n := from; n < to; n++ {
					answer(&all, n, j.exchange(sample(n)))
				}
				before()
				j.abandon()
			}
			closes(0, 40, func() {})
			closes(40, 300, func() {
				if partial, _ := filepath.Glob(full + ".p/*"); exists(full) || len(partial) != 1 {
					t.Fatalf("the first tile is full, or not there: %v", partial)
				}
				if err := os.WriteFile(full, left, 0o640); err != nil {
					t.Fatal(err)
				}
			})
			closes(300, 310, func() {
				if exists(full + ".p") {
					t.Error("the tile is full and has partial ones")
				}
			})
			closes(310, 320, func() {})
			run(t, o).end()
			wantSound(t, dir)
			count(t, openLog(t, dir), testKeys(), all).want0(t, "a tile cut while it was written", "%d answered", len(all))
		})
	}
}

// What keeps a segment from being closed is said once, and its end too.
func TestWhatKeepsASegmentFromBeingClosedIsSaidOnce(t *testing.T) {
	t.Parallel()
	var said bytes.Buffer
	o := testOptions(t.TempDir())
	o.Log = slog.New(slog.NewTextHandler(&said, nil))
	j := still(t, o)
	for n := range 400 {
		j.ensureSpare()
		if _, err := j.Append(sample(n)); err != nil {
			t.Fatal(err)
		}
	}
	j.sealNow()
	tiles := filepath.Join(o.Dir, "tiles", "tile")
	if err := os.WriteFile(tiles, nil, 0o600); err != nil { // no tile can be written
		t.Fatal(err)
	}
	for range 3 {
		if j.closeOldest(t.Context()) {
			t.Fatal("it was closed")
		}
	}
	if err := os.Remove(tiles); err != nil {
		t.Fatal(err)
	}
	if !j.closeOldest(t.Context()) {
		t.Error("it was not closed")
	}
	for event, want := range map[string]int{"journal_close_failed": 1, "journal_close_recovered": 1} {
		if n := strings.Count(said.String(), event); n != want {
			t.Errorf("%s %d times\n%s", event, n, said.String())
		}
	}
}

// The file of the open segment is cut under the running process: a fault of
// memory, not the end of the process.
func TestASegmentCutUnderTheProcessIsLeftForTheNext(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := run(t, testOptions(dir))
	await.Until(t, "a spare is ready", func() bool { j.mu.Lock(); defer j.mu.Unlock(); return j.spare != nil })
	for n := range 100 {
		j.exchange(sample(n))
	}
	j.mu.Lock()
	path := j.current.path
	j.mu.Unlock()
	if err := os.Truncate(path, 8192); err != nil {
		t.Fatal(err)
	}
	for n := range 100 {
		j.exchange(sample(200 + n))
	}
	if f := j.Stats().Faults; f == 0 {
		t.Error("no fault was counted")
	}
	j.sealNow()
	j.stop()
	<-j.done
	j.stop = nil
	j.Close() // it may complain
	report, err := openLog(t, dir).Verify(testKeys().verifiers, nil)
	var x tally
	if err == nil && report.OK() {
		x.undetected++
	}
	x.want0(t, "the open segment cut under the process", "200 answered, what was cut is told")
}

func TestAGapIsToldAfterACrashToo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := testOptions(dir)
	o.OnFull = ContinueCounting
	j, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	j.mu.Lock()
	for range 7 {
		j.gapLocked(NotRecorded)
	}
	j.mu.Unlock()
	j.lock.Release() // it dies here
	again := run(t, o)
	again.end()
	report := wantSound(t, dir)
	tally{undetected: 7 - int(report.NotRecorded)}.want0(t, "a gap, then kill -9", "7 exchanges without a record, told")
}
