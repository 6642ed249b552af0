package revocation_test

import (
	"fmt"
	"io"
	"slices"
	"testing"
	"time"
)

// A report is what a drill measured.
type report struct {
	connections, establishments int
	names                       []string
	delays                      map[string][]time.Duration

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
	fmt.Fprintf(w, "\nAccepted afterwards: %d. Of the others, disturbed: %d.\n", r.accepted, r.disturbed)
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
	if r.accepted > 0 {
		f = append(f, fmt.Sprintf("%d times somebody who is out was served", r.accepted))
	}
	if r.disturbed > 0 {
		f = append(f, fmt.Sprintf("%d connections or messages of others were disturbed", r.disturbed))
	}
	return f
}

func TestAReportTellsWhatIsWrong(t *testing.T) {
	t.Parallel()
	var good report
	for i := range 100 {
		good.add("x", time.Duration(i)*time.Millisecond)
	}
	if f := good.faults(time.Second); len(f) != 0 || percentile(good.all(), 99) != 98*time.Millisecond || percentile(good.all(), 50) != 49*time.Millisecond {
		t.Errorf("%v, %s", f, percentile(good.all(), 99))
	}
	for name, r := range map[string]report{
		"nothing": {}, "accepted": {accepted: 1}, "disturbed": {disturbed: 1},
	} {
		if name != "nothing" {
			r.add("x", time.Millisecond)
		}
		if f := r.faults(time.Second); len(f) != 1 {
			t.Errorf("%s: %v", name, f)
		}
	}
	var slow report
	slow.add("x", 5*time.Second)
	if f := slow.faults(5 * time.Second); len(f) != 1 {
		t.Errorf("slow: %v", f)
	}
}
