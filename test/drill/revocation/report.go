package main

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// A report is what a drill measured.
type report struct {
	connections, establishments int
	names                       []string
	delays                      map[string][]time.Duration

	stillOpen int // connections of somebody who is out
	accepted  int // of somebody who is out, after the last connection ended
	disturbed int // connections and messages of the others
}

func (r *report) add(means string, d time.Duration) {
	if r.delays == nil {
		r.delays = map[string][]time.Duration{}
	}
	if r.delays[means] == nil {
		r.names = append(r.names, means)
	}
	r.delays[means] = append(r.delays[means], d)
}

func (r *report) all() []time.Duration {
	var all []time.Duration
	for _, d := range r.delays {
		all = append(all, d...)
	}
	return all
}

// percentile returns the smallest delay that p percent do not exceed.
func percentile(d []time.Duration, p int) time.Duration {
	if len(d) == 0 {
		return 0
	}
	d = slices.Clone(d)
	slices.Sort(d)
	return d[min(len(d)-1, (len(d)*p+99)/100-1)]
}

func (r *report) print(w io.Writer) {
	fmt.Fprintf(w, "\nFrom the change on disk to the end of the connection; %d connections of %d establishments.\n\n", r.connections, r.establishments)
	fmt.Fprintf(w, "| put out by | connections | p50 | p99 | max |\n|---|---|---|---|---|\n")
	row := func(name string, d []time.Duration) {
		ms := func(p int) time.Duration { return percentile(d, p).Round(time.Millisecond) }
		fmt.Fprintf(w, "| %s | %d | %s | %s | %s |\n", name, len(d), ms(50), ms(99), ms(100))
	}
	for _, name := range r.names {
		row(name, r.delays[name])
	}
	row("all", r.all())
	fmt.Fprintf(w, "\nStill open: %d. Accepted afterwards: %d. Of the others, disturbed: %d.\n", r.stillOpen, r.accepted, r.disturbed)
}

// faults says what keeps the drill from being good.
func (r *report) faults(limit time.Duration) []string {
	var f []string
	if p := percentile(r.all(), 99); p >= limit {
		f = append(f, fmt.Sprintf("the 99th percentile is %s, %s or more", p.Round(time.Millisecond), limit))
	}
	if len(r.all()) == 0 {
		f = append(f, "nothing was measured")
	}
	if r.stillOpen > 0 {
		f = append(f, fmt.Sprintf("%d connections of somebody who is out stayed open", r.stillOpen))
	}
	if r.accepted > 0 {
		f = append(f, fmt.Sprintf("%d times somebody who is out was served", r.accepted))
	}
	if r.disturbed > 0 {
		f = append(f, fmt.Sprintf("%d connections or messages of others were disturbed", r.disturbed))
	}
	return f
}
