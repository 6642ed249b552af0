package chaos

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

// full plays one dependency after the other, with many exchanges beside each
// cell, so that their latency means something; else all at once, with a few.
var full = flag.Bool("full", false, "one dependency at a time, 400 exchanges of others in each cell")

func TestMain(m *testing.M) {
	flag.Parse()
	if !*full {
		flag.Set("test.parallel", "8") // they wait more than they work
	}
	code := nation.Main(m)
	if *full && !figures(played.all) {
		code = max(code, 1)
	}
	os.Exit(code)
}

// played is what TestChaos came to: its figures are printed once all has ended.
var played struct {
	mu  sync.Mutex // guards all
	all []*report
}

// A report is what a cell came to.
type report struct {
	cell
	codes        []string
	beside, calm []time.Duration
	failed       []string
	seen, back   time.Duration
	cause, whose string
	held         bool // all of it is as it must be
}

func TestChaos(t *testing.T) {
	starts := map[string]func(*testing.T) *stage{
		"AMC": amc, "annuaire": annuaire, "Redis": redis, "CRL source": crl, "DNS": dns, "disk": disk, "log sink": sink,
	}
	for _, d := range dependencies {
		t.Run(d.name, func(t *testing.T) {
			if !*full {
				t.Parallel()
			}
			s := starts[d.name](t)
			defer s.others.stop()
			reports := s.play(t, d.name)
			played.mu.Lock()
			defer played.mu.Unlock()
			played.all = append(played.all, reports...)
		})
	}
}

// A stage is where the cells of one dependency are played, one after the other.
type stage struct {
	*nation.Nation
	others *others

	// begin makes a cell ready: its line is sound, and what must be known before it
	// breaks is known. nth counts the cells.
	begin func(c cell, nth int) act
	// together has the recoveries be awaited after the last cell.
	together bool
}

// An act is one cell on its stage.
type act struct {
	set  func(way) // breaks the line in that way
	mend func()
	send func() *nation.Reply // an exchange that depends on the line
	says string               // what the line of /readyz says of this cell alone
	cure func()               // what it takes after mend; nil: nothing
}

func (s *stage) play(t *testing.T, on string) (all []*report) {
	var ends []func()
	s.others.carry(t, s.others.enough)
	calm := s.others.since(mark{})
	for nth, c := range slices.DeleteFunc(slices.Clone(cells), func(c cell) bool { return c.on != on || c.without != "" }) {
		r := &report{cell: c, calm: calm.took}
		all = append(all, r)
		a := s.begin(c, nth)
		end := s.broken(t, r, a)
		if s.together {
			ends = append(ends, end)
		} else {
			end()
		}
		if t.Failed() {
			return all
		}
	}
	for _, end := range ends {
		end()
	}
	return all
}

// broken plays what happens while the line is broken, and mends it; end awaits
// what follows.
func (s *stage) broken(t *testing.T, r *report, a act) (end func()) {
	name := r.on + ", " + r.way.name
	from := s.others.mark()
	broke := time.Now()
	if r.way != flapping {
		a.set(r.way)
	}
	for i, want := range strings.Fields(r.cell.codes) {
		if r.way == flapping && i%2 == 0 {
			a.set(down)
		} else if r.way == flapping {
			a.mend()
		}
		reply := a.send()
		got := reply.Code
		r.codes = append(r.codes, got)
		if got != want {
			t.Errorf("%s: exchange %d: %s, want %s", name, i, reply, want)
		}
		if got != answered && r.cause == "" {
			r.cause, r.whose = inFault(reply, "Cause code"), inFault(reply, "responsable")
			if r.cause != string(r.cell.cause) || r.whose != string(r.cell.whose) {
				t.Errorf("%s: cause %s, responsable %s; want %s, %s", name, r.cause, r.whose, r.cell.cause, r.cell.whose)
			}
		}
	}
	if r.line != "" {
		await.Until(t, name+": /readyz says so", func() bool { return s.told(r, a) })
		r.seen = time.Since(broke)
	}
	if r.spares {
		s.others.carry(t, s.others.enough)
	}
	beside := s.others.since(from)
	r.beside, r.failed = beside.took, beside.failed
	if r.spares && len(r.failed) > 0 {
		t.Errorf("%s: %d exchanges of others failed: %s", name, len(r.failed), r.failed[0])
	}
	mended := time.Now()
	a.mend()
	if a.cure != nil {
		a.cure()
	}
	return func() {
		await.Until(t, name+": it serves again", func() bool { return a.send().Code == answered })
		if r.line != "" {
			await.Until(t, name+": /readyz says that all is well", func() bool {
				if !s.told(r, a) && s.Ready().Ready {
					return true
				}
				a.send() // an address serves again after three answers
				return false
			})
		}
		r.back, r.held = time.Since(mended), !t.Failed()
		t.Logf("%s: %s, /readyz after %s, back after %s; others: %d sent, %d failed", name, strings.Join(r.codes, " "), r.seen.Round(time.Millisecond),
			r.back.Round(time.Millisecond), len(r.beside), len(r.failed))
	}
}

// inFault is the value of an attribute of a fault, as its reader has it.
func inFault(r *nation.Reply, attribute string) string {
	_, after, _ := strings.Cut(string(r.Body.Bytes()), attribute+`="`)
	value, _, _ := strings.Cut(after, `"`)
	return value
}

// told reports whether /readyz says that this cell is broken.
func (s *stage) told(r *report, a act) bool {
	is := s.Ready()
	c := is.Check(r.line)
	return is.Ready != r.unfit && c.Degraded && strings.Contains(c.Detail, a.says)
}

// The others are establishments that send to another insurer all the time.
type others struct {
	enough int // exchanges say something about a cell
	stops  chan struct{}
	stop   func() // may be called twice
	all    sync.WaitGroup

	mu     sync.Mutex // guards the fields below
	took   []time.Duration
	failed []string
}

type taken struct {
	took   []time.Duration
	failed []string
}

// begin has each of them send at a steady pace, one exchange after the other.
func begin(who ...*nation.Etablissement) *others {
	o := &others{enough: 8, stops: make(chan struct{})}
	pace := 250 * time.Millisecond
	if *full {
		o.enough, pace = 400, 5*time.Millisecond
	}
	o.stop = sync.OnceFunc(func() {
		close(o.stops)
		o.all.Wait()
	})
	for _, e := range who {
		o.all.Go(func() {
			tick := time.NewTicker(pace)
			defer tick.Stop()
			for {
				select {
				case <-o.stops:
					return
				case <-tick.C:
				}
				r := e.Send(roc.IDB, "verte")
				o.mu.Lock()
				o.took = append(o.took, r.Took)
				if !r.Answered(answered) {
					o.failed = append(o.failed, r.String())
				}
				o.mu.Unlock()
			}
		})
	}
	return o
}

// A mark is how much has been carried, and failed.
type mark struct{ took, failed int }

func (o *others) mark() mark {
	o.mu.Lock()
	defer o.mu.Unlock()
	return mark{len(o.took), len(o.failed)}
}

// carry waits until that many more exchanges have ended.
func (o *others) carry(t *testing.T, n int) {
	t.Helper()
	before := o.mark()
	await.Until(t, "others have sent", func() bool { return o.mark().took >= before.took+n })
}

func (o *others) since(m mark) taken {
	o.mu.Lock()
	defer o.mu.Unlock()
	return taken{slices.Clone(o.took[m.took:]), slices.Clone(o.failed[m.failed:])}
}

// quantiles of the times that callers waited.
func quantiles(took []time.Duration) (p50, p99 time.Duration) {
	if len(took) == 0 {
		return 0, 0
	}
	sorted := slices.Sorted(slices.Values(took))
	at := func(q float64) time.Duration {
		return sorted[int(q*float64(len(sorted)-1))].Round(100 * time.Microsecond)
	}
	return at(0.5), at(0.99)
}

// figures prints the table of docs/bench/chaos.md and, last, what it comes to; it
// reports whether every cell was played and held.
func figures(all []*report) bool {
	fmt.Println("\n| dependency | way | read, exchange after exchange | cause | to act | /readyz | others: sent, failed | p50, p99 beside | p50, p99 calm | /readyz says so after | back after |")
	fmt.Println("|---|---|---|---|---|---|---|---|---|---|---|")
	held, sent, failed := 0, 0, 0
	for _, r := range all {
		seen := "-"
		if r.line != "" {
			seen = r.seen.Round(time.Millisecond).String()
		}
		p50, p99 := quantiles(r.beside)
		q50, q99 := quantiles(r.calm)
		fmt.Printf("| %s | %s | %s | %s | %s | %s | %d, %d | %s, %s | %s, %s | %s | %s |\n", r.on, r.way.name, strings.Join(r.codes, " "),
			cmp.Or(r.cause, "-"), cmp.Or(r.whose, "-"), cmp.Or(r.line, "-"), len(r.beside), len(r.failed), p50, p99, q50, q99, seen, r.back.Round(time.Millisecond))
		if r.held {
			held++
		}
		if r.spares {
			sent, failed = sent+len(r.beside), failed+len(r.failed)
		}
	}
	toPlay := 0
	for _, c := range cells {
		if c.without == "" {
			toPlay++
			continue
		}
		fmt.Printf("| %s | %s | not played: %s | | | | | | | | |\n", c.on, c.way.name, c.without)
	}
	fmt.Printf("\n%d of %d cells hold; %d exchanges of others beside what spares them, %d failed\n", held, toPlay, sent, failed)
	return held == toPlay
}
