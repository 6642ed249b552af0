// Command benchindicators measures the store of indicators: how fast it projects
// a journal, and how large and how quick it is for a whole country.
//
//	go run ./test/benchindicators -out docs/bench/indicators.md
package main

import (
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/piano-roc/rpn/indicators/report"
	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/durable"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/journal"
)

// A country is who exchanges with whom, and how much.
type country struct {
	establishments, amcs, perDay, days int
	from                               time.Time

	r        *rand.Rand
	busy     []float64 // establishments, summed
	insurers []float64
}

// weights are those of Zipf's law, summed: few are large, most are small.
func weights(n int) []float64 {
	w, sum := make([]float64, n), 0.0
	for i := range w {
		sum += 1 / math.Pow(float64(i+1), 0.9)
		w[i] = sum
	}
	return w
}

func newCountry(establishments, amcs, perDay, days int) *country {
	return &country{establishments: establishments, amcs: amcs, perDay: perDay, days: days,
		from: store.Day.Begin(time.Date(2025, 9, 1, 12, 0, 0, 0, store.Paris)), r: rand.New(rand.NewPCG(1, 2)),
		busy: weights(establishments), insurers: weights(amcs)}
}

func (c *country) pick(w []float64) int {
	x := c.r.Float64() * w[len(w)-1]
	lo, hi := 0, len(w)-1
	for lo < hi {
		if m := (lo + hi) / 2; w[m] < x {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return lo
}

func structure(i int) roc.StructureID {
	return roc.StructureOf(roc.FINESS(fmt.Sprintf("%09d", 10000000+i)))
}

// exchange is the next one, at a share of its day.
func (c *country) exchange(day int, share float64) roc.Record {
	x := roc.Record{From: structure(c.pick(c.busy)), Outcome: roc.Answered, Origin: roc.FromAMC}
	x.To.AMC = roc.NumeroAMC(fmt.Sprintf("%010d", 99000000+c.pick(c.insurers)))
	x.Service, x.Version = roc.AMCServices[min(c.r.IntN(len(roc.AMCServices)), c.r.IntN(len(roc.AMCServices)))], roc.V1
	x.RequestIn = c.from.AddDate(0, 0, day).Add(6*time.Hour + time.Duration(share*float64(14*time.Hour)))
	x.ID = roc.NewExchangeID(x.RequestIn)
	x.Read, x.Check = time.Duration(c.r.IntN(20_000))*time.Microsecond, 300*time.Microsecond
	x.AMC = time.Duration(200*math.Exp(c.r.NormFloat64())) * time.Millisecond
	x.RequestOut = x.RequestIn.Add(x.Read + x.Check)
	x.AnswerOut = x.RequestOut.Add(x.AMC)
	x.RequestBytes, x.AnswerBytes = 5300, 5100
	binary.BigEndian.PutUint32(x.Dossier[:], c.r.Uint32()) // most dossiers are of one exchange: those that take most room
	x.Dossier[5] = 1
	off := time.Duration(c.r.IntN(2000)) * time.Millisecond
	x.ClockOffset = &off
	switch n := c.r.IntN(100); {
	case n < 2:
		x.Outcome = roc.FarFault
	case n < 5:
		x.Outcome, x.Reason = roc.Refused, []roc.Reason{roc.AMCSilent, roc.AMCUnreachable, roc.StaleTimestamp, roc.TooMany}[c.r.IntN(4)]
	}
	return x
}

// A sheet is a journal that is made as it is read.
type sheet struct {
	*country
	size uint64
}

func (s *sheet) Bounds() (uint64, uint64) { return 0, s.size }
func (s *sheet) Checkpoint() (*journal.Checkpoint, error) {
	return &journal.Checkpoint{Origin: "bench", Size: s.size}, nil
}
func (s *sheet) Entry(uint64) (journal.Entry, error) { return journal.Entry{}, journal.ErrPruned }
func (s *sheet) Entries(from uint64) iter.Seq2[journal.Entry, error] {
	return func(yield func(journal.Entry, error) bool) {
		for i := from; i < s.size; i++ {
			day := i / uint64(s.perDay)
			x := &journal.Exchange{Record: s.exchange(int(day), float64(i%uint64(s.perDay))/float64(s.perDay))}
			x.MustAct = x.Responsable()
			if !yield(journal.Entry{Index: i, Exchange: x}, nil) {
				return
			}
		}
	}
}

// cpu is the processor time of this process.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// write makes a real journal of n records, closed segments and the open one.
func write(dir string, c *country, n int) error {
	const origin = "rpn.example/journal/bench"
	private, _, err := journal.NewKey(origin)
	if err != nil {
		return err
	}
	keys, err := journal.ParseKeys(private, origin)
	if err != nil {
		return err
	}
	j, err := journal.Open(journal.Options{Dir: dir, Origin: origin, Key: keys, Log: slog.New(slog.DiscardHandler), SegmentBytes: 32 << 20, SegmentAge: 24 * time.Hour,
		Durability: journal.Relaxed, OnFull: journal.Refuse, SealEvery: time.Second, KeepFor: 1000 * 24 * time.Hour})
	if err != nil {
		return err
	}
	ctx, end := context.WithCancel(context.Background())
	defer end()
	var running sync.WaitGroup
	running.Go(func() { j.Run(ctx) })
	for i := range n {
		x := c.exchange(i/c.perDay, float64(i%c.perDay)/float64(c.perDay))
		for {
			if ok, _ := j.Reserve(); ok {
				break
			}
			runtime.Gosched() // it outruns the making of segments
		}
		if _, err := j.Append(&x); err != nil {
			return err
		}
		j.Release()
	}
	end()
	running.Wait()
	return j.Close()
}

// rate projects a real journal, and returns the records and the processor time.
func rate(ctx context.Context, dir, address, profile string, c *country, records int) (uint64, time.Duration, error) {
	if err := write(dir, c, records); err != nil {
		return 0, 0, err
	}
	l, err := journal.OpenLog(dir)
	if err != nil {
		return 0, 0, err
	}
	defer l.Close()
	s, err := store.Open(ctx, address, store.Options{})
	if err != nil {
		return 0, 0, err
	}
	defer s.Close()
	runtime.GC()
	if profile != "" {
		f, err := os.Create(profile)
		if err != nil {
			return 0, 0, err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return 0, 0, err
		}
		defer pprof.StopCPUProfile()
	}
	before := cpu()
	if err := s.Project(ctx, l, nil); err != nil {
		return 0, 0, err
	}
	used := cpu() - before
	sealed, err := l.Checkpoint()
	if err != nil {
		return 0, 0, err
	}
	p, err := s.Position(ctx, sealed.Origin)
	return p.Next, used, err
}

// page asks what the page of an establishment shows: its last week by insurer,
// its months.
func page(ctx context.Context, s *store.Store, who roc.StructureID, end time.Time) (time.Duration, int, error) {
	began, rows := time.Now(), 0
	for _, q := range []store.Query{
		{Grain: store.Day, Structures: []roc.StructureID{who}, From: end.AddDate(0, 0, -7), To: end, By: append([]store.Dimension{store.ByAMC, store.ByVersion}, report.Dimensions...)},
		{Grain: store.Day, Structures: []roc.StructureID{who}, By: append([]store.Dimension{store.ByPeriod}, report.Dimensions...)},
	} {
		found, err := s.Figures(ctx, q)
		if err != nil {
			return 0, 0, err
		}
		rows += len(found)
	}
	return time.Since(began), rows, nil
}

func run(ctx context.Context, out io.Writer, address, profile string, records int, c *country) error {
	runtime.GOMAXPROCS(1)
	dir, err := os.MkdirTemp("", "benchindicators")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	where := "PostgreSQL"
	first := address
	if address == "" {
		where, first, address = "SQLite", filepath.Join(dir, "rate.db"), filepath.Join(dir, "country.db")
	}
	n, used, err := rate(ctx, filepath.Join(dir, "journal"), first, profile, newCountry(c.establishments, c.amcs, c.perDay, c.days), records)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "| %s: a real journal of %d records, closed segments, processor time of `rpn` | %.0f records/s on one core |\n", where, n, float64(n)/used.Seconds())

	s, err := store.Open(ctx, address, store.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	began, before := time.Now(), cpu()
	sheet := &sheet{c, uint64(c.perDay) * uint64(c.days)}
	last := 0
	err = s.Project(ctx, sheet, func(done, total uint64) {
		if percent := int(100 * done / max(total, 1)); percent/5 != last/5 {
			last = percent
			fmt.Fprintf(os.Stderr, "%d %%, %s\n", percent, time.Since(began).Round(time.Second))
		}
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "| %s: %d establishments, %d insurers, %d exchanges a day, %d days, making the records included | %.0f records/s of processor time |\n",
		where, c.establishments, c.amcs, c.perDay, c.days, float64(sheet.size)/(cpu()-before).Seconds())
	if where == "SQLite" {
		var size int64
		for _, f := range []string{"", "-wal"} {
			if info, err := os.Stat(address + f); err == nil {
				size += info.Size()
			}
		}
		fmt.Fprintf(out, "| size of it | %.1f MB, %.0f bytes an exchange |\n", float64(size)/1e6, float64(size)/float64(sheet.size))
	}
	for _, e := range []struct {
		name string
		i    int
	}{{"largest", 0}, {"median", c.establishments / 2}} {
		var times []string
		var rows int
		for range 3 {
			var d time.Duration
			if d, rows, err = page(ctx, s, structure(e.i), c.from.AddDate(0, 0, c.days)); err != nil {
				return err
			}
			times = append(times, d.Round(100*time.Microsecond).String())
		}
		fmt.Fprintf(out, "| page of the %s establishment: its last week by insurer, and every day (%d rows), three times | %s |\n", e.name, rows, strings.Join(times, ", "))
	}
	return nil
}

func main() {
	address := flag.String("store", "", "an empty PostgreSQL; none: a file")
	records := flag.Int("records", 1_000_000, "of the real journal")
	establishments := flag.Int("establishments", 3000, "")
	amcs := flag.Int("amcs", 450, "")
	perDay := flag.Int("per-day", 500_000, "exchanges of a day")
	days := flag.Int("days", 396, "")
	file := flag.String("out", "", "file whose table is replaced; none: standard output")
	profile := flag.String("cpuprofile", "", "file of a profile of the first line; none: not profiled")
	flag.Parse()
	var table strings.Builder
	err := run(context.Background(), io.MultiWriter(os.Stderr, &table), *address, *profile, *records, newCountry(*establishments, *amcs, *perDay, *days))
	if err == nil && *file != "" {
		err = replace(*file, fmt.Sprintf("%s, %s/%s, %s:\n\n| | |\n|---|---|\n%s", time.Now().Format(time.DateOnly), runtime.GOOS, runtime.GOARCH, runtime.Version(), &table))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// replace puts a table in the place of the former one, which goes from its
// heading to the end.
func replace(file, table string) error {
	const heading = "## Measured\n"
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, _, _ := strings.Cut(string(text), heading)
	return durable.WriteFile(file, []byte(before+heading+"\n"+table), 0o644)
}
