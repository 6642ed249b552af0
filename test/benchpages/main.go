// Command benchpages makes a fictitious country on real figures and a real
// journal, and measures its pages, or takes their images.
//
//	go run ./test/benchpages -out docs/bench/pages.md
//	go run ./test/benchpages -shots docs/images
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"time"

	"github.com/piano-roc/rpn/internal/durable"
)

func main() {
	large := size{}
	flag.IntVar(&large.establishments, "establishments", 3000, "")
	flag.IntVar(&large.amcs, "amcs", 450, "")
	flag.IntVar(&large.days, "days", 396, "")
	flag.IntVar(&large.perDay, "per-day", 1500, "exchanges of a full day")
	flag.IntVar(&large.perDayLately, "per-day-lately", 30_000, "the same, in the last week")
	rounds := flag.Int("rounds", 5, "times that each page is asked for")
	file := flag.String("out", "", "file whose table is replaced; none: standard output")
	shots := flag.String("shots", "", "folder of the images; none: the pages are measured")
	dir := flag.String("country", "", "folder where the country is kept, to use it again; none: it is made for this time")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, large, *rounds, *file, *shots, *dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		stop()
		os.Exit(1)
	}
}

// small is the country of the images.
var small = size{establishments: 240, amcs: 32, days: 396, perDay: 5000, perDayLately: 5000, grows: true}

func run(ctx context.Context, large size, rounds int, file, shots, dir string) error {
	s := large
	if shots != "" {
		s = small
	}
	began, last := time.Now(), 0
	w, err := open(ctx, s, dir, func(percent int) {
		if percent/10 != last/10 {
			last = percent
			fmt.Fprintf(os.Stderr, "%d %%, %s\n", percent, time.Since(began).Round(time.Second))
		}
	})
	if err != nil {
		return err
	}
	defer w.close()
	if shots != "" {
		return w.shots(ctx, shots, "test/portal/node")
	}
	var table strings.Builder
	fmt.Fprintf(&table, "%s, %s/%s, %s: %d establishments, %d insurers, %d days, %d exchanges, of which %d of the last week.\n\n",
		time.Now().Format(time.DateOnly), runtime.GOOS, runtime.GOARCH, runtime.Version(), s.establishments, s.amcs, s.days, w.starts[s.days], w.starts[s.days]-w.starts[max(0, s.days-7)])
	if err := w.bench(ctx, io.MultiWriter(os.Stderr, &table), rounds); err != nil || file == "" {
		return err
	}
	const heading = "## Measured\n"
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, _, _ := strings.Cut(string(text), heading)
	return durable.WriteFile(file, []byte(before+heading+"\n"+table.String()), 0o644)
}
