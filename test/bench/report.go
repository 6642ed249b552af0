package main

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// report prints the medians, and writes them to the file asked for. A ratio is
// the median of those of each round: what else the machine does in a round falls
// on both.
func report(w *setting, results map[string][]result, o options) error {
	var b strings.Builder
	columns := []string{"", "CPU us per exchange, median", "min to max", "beside HAProxy", "exchanges/s that a core allows"}
	command := "make bench-proxy"
	if len(o.beside) > 0 {
		columns = append(columns, "beside "+o.beside[0].name)
		command = fmt.Sprintf("go run ./test/bench -rounds %d -for %s -write docs/bench/proxy.md", o.rounds, o.duration)
		for _, b := range o.beside {
			command += " -beside " + strings.TrimPrefix(b.name, "RPN ") + "=FILE"
		}
	}
	fmt.Fprintf(&b, "| %s |\n|%s\n", strings.Join(columns, " | "), strings.Repeat("---|", len(columns)))
	for _, p := range w.processes {
		rs := results[p.name]
		costs := costs(rs)
		m := median(costs)
		fmt.Fprintf(&b, "| %s | %.1f | %.1f to %.1f | %.2f | %.0f |", p.name, m, slices.Min(costs), slices.Max(costs), beside(rs, results["HAProxy"]), 1e6/m)
		if len(o.beside) > 0 {
			fmt.Fprintf(&b, " %.2f |", beside(rs, results[o.beside[0].name]))
		}
		b.WriteByte('\n')
	}
	fmt.Print("\n", b.String())
	if o.write == "" {
		return nil
	}
	return os.WriteFile(o.write, []byte(fmt.Sprintf(page, command, time.Now().Format(time.DateOnly), machine(), versions(),
		w.message, w.answer, o.connections, o.rounds, o.duration, w.load, b.String())), 0o644)
}

const page = `# The RPN beside HAProxy and Caddy

What one exchange costs the proxy in CPU time. HAProxy and Caddy forward, mTLS to mTLS, and look at nothing; the RPN
checks the request (signature, certificates, rights, route) and the signature of the answer, and writes its record.

    %s

%s, %s.
%s.
Signed IDB of %d bytes, answer of %d bytes, %d connections kept alive, TLS 1.3 and RSA-2048 certificates on
both legs, the proxy on one core, load and insurer on another; %d interleaved rounds of %s, every second in the other
order. CPU time is utime + stime of the process, from /proc. A ratio is the median of those of the rounds, and is to be
trusted; absolute figures are those of this machine on that day; its load average was %s when the bench started.

%s
The file is written by the command; it says what was measured, whatever that is.
`

func costs(rs []result) []float64 {
	var v []float64
	for _, r := range rs {
		v = append(v, r.perExchange())
	}
	return v
}

// beside is the median, over the rounds, of what one took for what the other did.
func beside(rs, others []result) float64 {
	var v []float64
	for i := range rs {
		v = append(v, rs[i].perExchange()/others[i].perExchange())
	}
	return median(v)
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

func machine() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			n := strings.Count(string(b), "model name")
			return fmt.Sprintf("%d virtual cores of %s", n, strings.TrimSpace(value))
		}
	}
	return "machine unknown"
}

func loadAverage() string {
	b, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(b), " ")
	return first
}

func versions() string {
	var v []string
	for _, c := range [][]string{{"haproxy", "-v"}, {"caddy", "version"}, {"go", "version"}} {
		out, _ := exec.Command(c[0], c[1:]...).Output()
		line, _, _ := strings.Cut(string(out), "\n")
		line, _, _ = strings.Cut(line, " - ")
		switch c[0] {
		case "caddy":
			line = "Caddy " + line
		case "haproxy":
			line += " with " + tlsOfHAProxy()
		}
		v = append(v, strings.TrimSpace(line))
	}
	return strings.Join(v, ", ")
}

// tlsOfHAProxy names the TLS library that HAProxy runs with: its figures are
// those of that library as much as its own.
func tlsOfHAProxy() string {
	out, _ := exec.Command("haproxy", "-vv").Output()
	for line := range strings.Lines(string(out)) {
		if _, name, ok := strings.Cut(line, "Running on OpenSSL version : "); ok {
			return strings.TrimSpace(name)
		}
	}
	return "an unknown TLS library"
}
