package upgrade

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
	inner "github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/test/binary"
	"github.com/piano-roc/rpn/test/nation"
)

// full plays 200 exchanges/s; else a lower rate, which any machine bears.
var full = flag.Bool("full", false, "200 exchanges/s, ten seconds around each upgrade")

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(nation.Main(m))
}

// A load is exchanges that begin at a steady rate, whatever becomes of those
// before, on connections that are kept. Each message is sent once.
type load struct {
	mu      sync.Mutex // guards the fields below
	took    []time.Duration
	failed  []string
	sent    atomic.Int64
	flying  atomic.Int64
	all     sync.WaitGroup
	pace    sync.WaitGroup // what begins exchanges
	stopped chan struct{}
}

// begin sends perSecond exchanges until stop, in turn from each.
func begin(who []*nation.Etablissement, perSecond int) *load {
	l := &load{stopped: make(chan struct{})}
	l.pace.Go(func() {
		tick := time.NewTicker(time.Second / time.Duration(perSecond))
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-l.stopped:
				return
			case <-tick.C:
			}
			l.all.Go(func() { l.send(who[i%len(who)]) })
		}
	})
	return l
}

func (l *load) send(e *nation.Etablissement) {
	l.sent.Add(1)
	l.flying.Add(1)
	r := e.Send(roc.IDB, "bleue", func(d *inner.Draft) { d.Once = true })
	l.flying.Add(-1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.took = append(l.took, r.Took)
	if !r.Answered("00") {
		l.failed = append(l.failed, r.String())
	}
}

// carry waits until that many more were sent.
func (l *load) carry(t *testing.T, more int) {
	t.Helper()
	at := l.sent.Load()
	await.Until(t, "more exchanges were sent", func() bool { return l.sent.Load() >= at+int64(more) })
}

// beginNoMore ends the rate; what was begun goes on.
func (l *load) beginNoMore() {
	close(l.stopped)
	l.pace.Wait()
}

func (l *load) stop() {
	l.beginNoMore()
	l.all.Wait()
}

// quantile is of the times that the callers waited.
func (l *load) quantile(q float64) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	sorted := slices.Sorted(slices.Values(l.took))
	if len(sorted) == 0 {
		return 0
	}
	return sorted[int(q*float64(len(sorted)-1))].Round(100 * time.Microsecond)
}

func TestUpgradesUnderLoadLoseNothing(t *testing.T) {
	rate, around := 20, 40
	if *full {
		rate, around = 200, 2000
	}
	n := nation.New(t, nation.Binary, nation.Section("log", "exchanges: false"))
	var who []*nation.Etablissement
	for range 8 {
		who = append(who, n.Etablissement(nation.Limited(1000, 1000)))
	}
	own, err := binary.Path("rpn")
	if err != nil {
		t.Fatal(err)
	}
	l := begin(who, rate)
	l.carry(t, around)
	var lasted []time.Duration
	for range 3 {
		begun := time.Now()
		if p := n.Upgrade(own); p.Wait() != 0 {
			t.Fatalf("the upgrade failed: %s%s", p.Output, p.Errors)
		}
		lasted = append(lasted, time.Since(begun).Round(time.Millisecond))
		l.carry(t, around)
	}
	l.stop()
	carried, failed := l.sent.Load(), len(l.failed)
	for _, why := range l.failed {
		t.Error(why)
	}
	whole := verify(t, n, carried, carried)
	p50, p99, longest := l.quantile(0.5), l.quantile(0.99), l.quantile(1)
	lost, flying, after := kill(t, n, who, rate, around, carried)
	fmt.Printf("\nupgrade: %d exchanges at %d/s, three upgrades (%v): %d failed; p50 %s, p99 %s, longest %s; journal: %s\n",
		carried, rate, lasted, failed, p50, p99, longest, whole)
	fmt.Printf("kill -9: %d in flight, %d lost; journal after the next start: %s\n", flying, lost, after)
}

// verify checks the journal as whoever has its key does: it is one chain, and
// holds that many exchanges.
func verify(t *testing.T, n *nation.Nation, least, most int64) string {
	t.Helper()
	await.Until(t, "the journal is sealed", func() bool { return n.Metric("rpn_journal_unsealed_records") == "0" })
	dir := n.File("rpn/state/journal")
	p := nation.Run(t, "journal", "verify", "--dir", dir, "--key", filepath.Join(dir, "key.pub"))
	p.Wait()
	var held int64
	for line := range strings.Lines(p.Output.String()) {
		if strings.Contains(line, " échanges, ") {
			fmt.Sscanf(strings.TrimSpace(line), "%d", &held)
		}
	}
	if p.Wait() != 0 || held < least || held > most {
		t.Errorf("the journal is not one chain of %d to %d exchanges: %s%s", least, most, p.Output, p.Errors)
		return "not whole"
	}
	return fmt.Sprintf("one chain, %d exchanges", held)
}

// kill kills the process under the same load, and starts it again: what was in
// flight at that moment may be lost, and what was answered before is written
// down.
func kill(t *testing.T, n *nation.Nation, who []*nation.Etablissement, rate, around int, before int64) (lost, flying int, whole string) {
	t.Helper()
	l := begin(who, rate)
	l.carry(t, around/2)
	n.AMC("bleue").Hold() // so that some are in flight
	l.carry(t, rate/10+2)
	l.beginNoMore()
	flying = int(l.flying.Load())
	n.Crash()
	n.AMC("bleue").Release()
	l.all.Wait()
	if lost = len(l.failed); lost > flying || lost == 0 {
		t.Errorf("%d exchanges lost, %d were in flight: %v", lost, flying, l.failed)
	}
	return lost, flying, verify(t, n, before+l.sent.Load()-int64(lost), before+l.sent.Load())
}
