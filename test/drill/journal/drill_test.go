package drill

import (
	"bufio"
	"context"
	"encoding/hex"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/indicators/store/postgrestest"
	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/journal"
)

var rounds = flag.Int("rounds", 6, "how often the two instances are killed")

// TestMain is also an instance.
func TestMain(m *testing.M) {
	if dir := os.Getenv("DRILL_INSTANCE"); dir != "" {
		if err := instance(dir, os.Getenv("DRILL_STORE"), os.Getenv("DRILL_FIRST")); err != nil {
			fmt.Fprintln(os.Stderr, "the instance:", err)
		}
		os.Exit(3)
	}
	os.Exit(m.Run())
}

func originOf(dir string) string { return "rpn.example/journal/" + filepath.Base(dir) }

func open(dir string) (*journal.Journal, journal.Keys, error) {
	private, err := os.ReadFile(filepath.Join(dir, "key"))
	if err != nil {
		return nil, journal.Keys{}, err
	}
	keys, err := journal.ParseKeys(string(private), originOf(dir))
	if err != nil {
		return nil, keys, err
	}
	j, err := journal.Open(journal.Options{
		Dir: dir, Origin: originOf(dir), Key: keys, Log: slog.New(slog.DiscardHandler), SegmentBytes: 128 << 10, SegmentAge: 24 * time.Hour,
		SealEvery: 10 * time.Millisecond, Durability: journal.Relaxed, OnFull: journal.Refuse, KeepFor: 366 * 24 * time.Hour,
	})
	return j, keys, err
}

// instance is what an RPN does with its journal and its figures: it writes
// exchanges, says on its standard output which were answered, and brings the
// figures up to date in the background.
func instance(dir, address, first string) error {
	j, _, err := open(dir)
	if err != nil {
		return err
	}
	go j.Run(context.Background())
	f := store.NewFollower(store.FollowerOptions{
		Open: func(ctx context.Context) (*store.Store, error) { return store.Open(ctx, address, store.Options{}) },
		Dir:  dir, Stats: j.Stats, Every: 20 * time.Millisecond, Keep: 800 * 24 * time.Hour, Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	go f.Run(context.Background())
	n, err := strconv.Atoi(first)
	for ; err == nil; n++ {
		if n%20 == 0 {
			time.Sleep(5 * time.Millisecond) // exchanges come as they come: nothing is awaited
		}
		if ok, _ := j.Reserve(); !ok {
			time.Sleep(time.Millisecond) // nothing is awaited: a caller comes again
			continue
		}
		var receipt roc.Receipt
		if receipt, err = j.Append(record(n)); err != nil {
			break
		}
		syscall.Write(1, fmt.Appendf(nil, "%d %d %x\n", n, receipt.Index, receipt.Leaf))
		if n%5 == 0 {
			j.Amend(receipt, record(n).ID, journal.WriteFailed, "")
		}
		j.Release()
	}
	return err
}

// record is the nth exchange of one instance; the same n gives the same one.
func record(n int) *roc.Record {
	r := rand.New(rand.NewPCG(uint64(n), 5))
	at := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC).Add(time.Duration(n%500_000) * time.Second)
	var id [16]byte
	for i := range id {
		id[i] = byte(r.Uint32())
	}
	id[6], id[8] = id[6]&15|0x70, id[8]&0x3f|0x80
	h := hex.EncodeToString(id[:])
	rec := &roc.Record{
		ID:   roc.ExchangeID(h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]),
		From: roc.StructureID(fmt.Sprintf("1%09d", 990000001+10*r.IntN(5))), Service: roc.Services[r.IntN(len(roc.Services))], Version: roc.Version(1 + r.IntN(2)),
		RequestIn: at, RequestOut: at.Add(time.Millisecond), AnswerOut: at.Add(time.Duration(1+r.IntN(4000)) * time.Millisecond),
		RequestBytes: r.IntN(9000), AnswerBytes: r.IntN(9000), Outcome: roc.Answered, Origin: roc.FromAMC, FarStatus: 200,
	}
	rec.AnswerIn = rec.AnswerOut
	rec.To = roc.Key{AMC: roc.NumeroAMC(fmt.Sprintf("%010d", 99000001+r.IntN(4))), Service: rec.Service, Version: rec.Version}
	return rec
}

// An answered is what a caller knows.
type answered struct {
	n     int
	index uint64
	leaf  journal.Hash
}

// A running is an instance that runs, and what it has answered.
type running struct {
	t    *testing.T
	cmd  *exec.Cmd
	read sync.WaitGroup

	mu  sync.Mutex
	all []answered
}

func begin(t *testing.T, dir, address string, first int) *running {
	t.Helper()
	r := &running{t: t, cmd: exec.Command(os.Args[0])}
	r.cmd.Env = append(os.Environ(), "DRILL_INSTANCE="+dir, "DRILL_STORE="+address, "DRILL_FIRST="+strconv.Itoa(first))
	r.cmd.Stderr = os.Stderr
	out, err := r.cmd.StdoutPipe()
	if err == nil {
		err = r.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	r.read.Go(func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var a answered
			var leaf []byte
			if _, err := fmt.Sscanf(lines.Text(), "%d %d %x", &a.n, &a.index, &leaf); err != nil || len(leaf) != len(a.leaf) {
				t.Errorf("the instance said %q", lines.Text())
				return
			}
			a.leaf = journal.Hash(leaf)
			r.mu.Lock()
			r.all = append(r.all, a)
			r.mu.Unlock()
		}
	})
	return r
}

func (r *running) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.all)
}

// kill ends it at once, once it has answered that many, and returns all of them.
func (r *running) kill(after int) []answered {
	r.t.Helper()
	await.Until(r.t, "an instance answers", func() bool { return r.count() >= after })
	r.cmd.Process.Kill()
	r.read.Wait() // what it still said before
	r.cmd.Wait()
	return r.all
}

// Two instances and one PostgreSQL, each killed at any instant and started again:
// what was answered is in a journal once and proved, and the figures are those
// of a naive recount of both journals.
func TestTwoInstancesAndOneDatabaseAreKilled(t *testing.T) {
	pg := postgrestest.Start(t)
	address := pg.Database("figures")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 3))
	dirs := []string{filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")}
	for _, dir := range dirs {
		private, _, err := journal.NewKey(originOf(dir))
		if err == nil {
			err = os.Mkdir(dir, 0o700)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "key"), []byte(private), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	all := make([][]answered, len(dirs))
	restarts, last := 0, time.Now()
	for round := range *rounds {
		var both [2]*running
		for i, dir := range dirs {
			both[i] = begin(t, dir, address, (2*round+i)*1_000_000)
		}
		database := round%3 == 1
		var down sync.WaitGroup
		if database {
			restarts++
			wait := time.Duration(r.IntN(60)) * time.Millisecond
			down.Go(func() { time.Sleep(wait); pg.Stop("immediate") })
		}
		for _, i := range r.Perm(len(both)) {
			all[i] = append(all[i], both[i].kill(r.IntN(200))...)
		}
		down.Wait()
		if database {
			pg.Restart()
		}
		if time.Since(last) > 5*time.Second {
			last = time.Now()
			fmt.Fprintf(os.Stderr, "two instances: round %d of %d, PostgreSQL killed %d times\n", round+1, *rounds, restarts)
		}
	}
	answers := 0
	var x tally
	var logs []*journal.Log
	for i, dir := range dirs {
		keys := settle(t, dir)
		l, err := journal.OpenLog(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		logs = append(logs, l)
		x.count(t, l, keys, all[i])
		answers += len(all[i])
	}
	x.figures(t, address, logs)
	fmt.Printf("drill: two instances and PostgreSQL killed | %d rounds, %d answered, PostgreSQL %d times | %d | %d | %d | %d\n", *rounds, answers, restarts, x.lost, x.unprovable, x.undetected, x.double)
	if x != (tally{}) {
		t.Errorf("%+v: each must be 0", x)
	}
	if answers < 100 {
		t.Error("too few were answered for the test to mean something")
	}
}

// settle opens a journal once more, and closes it in order with every old
// segment closed.
func settle(t *testing.T, dir string) journal.PublicKey {
	t.Helper()
	j, keys, err := open(dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var loops sync.WaitGroup
	loops.Go(func() { j.Run(ctx) })
	await.Until(t, "every old segment is closed", func() bool { return j.Stats().WaitClose == 0 })
	stop()
	loops.Wait()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	key, err := journal.ParsePublicKey(keys.Public())
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// tally are the four numbers of `make drill-journal`.
type tally struct{ lost, unprovable, undetected, double int }

// count looks for each answered exchange in its journal, and verifies that one.
func (x *tally) count(t *testing.T, l *journal.Log, key journal.PublicKey, all []answered) {
	t.Helper()
	report, err := l.Verify([]journal.PublicKey{key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range append(report.Problems, report.Unread...) {
		t.Errorf("after the crashes: %s", p)
	}
	seen := map[roc.ExchangeID]int{}
	for e, err := range l.Entries(0) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Exchange != nil {
			if seen[e.Exchange.ID]++; seen[e.Exchange.ID] > 1 {
				x.double++
			}
		}
	}
	for i, a := range all {
		e, err := l.Entry(a.index)
		if err != nil || e.Leaf != a.leaf || e.Exchange == nil || e.Exchange.ID != record(a.n).ID {
			x.lost++
			continue
		}
		if i%97 != 0 && i != len(all)-1 {
			continue
		}
		proof, err := l.Prove(a.index)
		if err == nil {
			_, err = journal.VerifyProof(proof, []journal.PublicKey{key})
		}
		if err != nil {
			x.unprovable++
			t.Log(err)
		}
	}
}

// A cell is what both counts are kept by.
type cell struct {
	from    roc.StructureID
	amc     roc.NumeroAMC
	service roc.Service
	version roc.Version
	day     int64
}

type sums struct{ exchanges, undelivered, requests, answers int64 }

// figures compares the store with a recount of both journals, which knows nothing
// of how the store counts.
func (x *tally) figures(t *testing.T, address string, logs []*journal.Log) {
	t.Helper()
	s, err := store.Open(t.Context(), address, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	naive := map[cell]sums{}
	for _, l := range logs {
		if err := s.Project(t.Context(), l, nil); err != nil {
			t.Fatal(err)
		}
		cells := map[uint64]cell{}
		for e, err := range l.Entries(0) {
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case e.Exchange != nil:
				y := e.Exchange
				c := cell{y.From, y.To.AMC, y.Service, y.Version, store.Day.Begin(y.RequestIn).Unix()}
				cells[e.Index] = c
				n := naive[c]
				naive[c] = sums{n.exchanges + 1, n.undelivered, n.requests + int64(y.RequestBytes), n.answers + int64(y.AnswerBytes)}
			case e.Amendment != nil:
				n := naive[cells[e.Amendment.Of]]
				n.undelivered++
				naive[cells[e.Amendment.Of]] = n
			}
		}
	}
	rows, err := s.Figures(t.Context(), store.Query{Grain: store.Day, By: []store.Dimension{store.ByPeriod, store.ByStructure, store.ByAMC, store.ByService, store.ByVersion}})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		c := cell{r.Structure, r.AMC, r.Service, r.Version, r.Begin}
		n := naive[c]
		delete(naive, c)
		got := sums{r.Exchanges, r.Undelivered, r.RequestBytes, r.AnswerBytes}
		if got == n {
			continue
		}
		t.Errorf("the figures of %+v are %+v, a recount gives %+v", c, got, n)
		x.lost += int(max(0, n.exchanges-got.exchanges))
		x.double += int(max(0, got.exchanges-n.exchanges))
		if got.exchanges == n.exchanges {
			x.undetected++
		}
	}
	for c, n := range naive {
		t.Errorf("%+v is in no figure: %+v", c, n)
		x.lost += int(n.exchanges)
	}
	if !slices.ContainsFunc(rows, func(r store.Row) bool { return r.Undelivered > 0 }) {
		t.Error("nothing was amended: the recount shows less than it should")
	}
}
