// Command bench measures the CPU time that the RPN takes for one exchange
// beside HAProxy and Caddy, which forward the same message without looking at
// it: mTLS on both legs, TLS 1.3, RSA-2048 certificates, 32 connections kept
// alive, a signed IDB of 5 kB and an answer of the same size.
//
// Each proxy runs on one core; the load and the insurer run on another, in
// this process. Rounds are interleaved, so that what else the machine does
// falls on all alike. Trust the ratios of one run, not its absolute figures.
//
//	go run ./test/bench -write docs/bench/proxy.md
//
// With -beside NAME=FILE, once or several times, it measures other builds of the
// RPN in the same run, and the table has a column for the ratio to the first.
//
// With -tls it measures what a new connection costs, beside HAProxy (tls.go):
//
//	go run ./test/bench -tls -write docs/bench/tls.md
//
// It needs haproxy, caddy and taskset (make bench-proxy installs them).
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/piano-roc/rpn/test/binary"
)

type options struct {
	rounds      int
	duration    time.Duration
	connections int
	bytes       int
	write       string
	tls         bool
	handshakes  int
	beside      []build
}

// A build is another rpn, with the limits that it has by itself.
type build struct{ name, file string }

func main() {
	var o options
	flag.IntVar(&o.rounds, "rounds", 6, "interleaved rounds")
	flag.DurationVar(&o.duration, "for", 3*time.Second, "how long each proxy is measured in a round")
	flag.IntVar(&o.connections, "connections", 32, "connections kept alive")
	flag.IntVar(&o.bytes, "bytes", 5000, "size of the message before it is signed")
	flag.StringVar(&o.write, "write", "", "file where the table is written, too")
	flag.BoolVar(&o.tls, "tls", false, "measure handshakes instead, beside HAProxy")
	flag.IntVar(&o.handshakes, "handshakes", 600, "with -tls: connections measured on each proxy in a round")
	flag.Func("beside", "NAME=FILE: another build of rpn, with the limits that it has by itself (a build that limits bytes refuses this load), measured in the same run; the table compares with the first", func(v string) error {
		name, file, ok := strings.Cut(v, "=")
		if !ok || name == "" || file == "" {
			return fmt.Errorf("write NAME=FILE")
		}
		o.beside = append(o.beside, build{name: "RPN " + name, file: file})
		return nil
	})
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

const (
	proxyCore = "0"
	loadCore  = "1"
)

func run(o options) error {
	if runtime.NumCPU() < 2 && os.Getenv("RPN_BENCH_PINNED") == "" {
		return fmt.Errorf("it takes two cores: one for the proxy, one for the load")
	}
	if err := pinMyself(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "rpn-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	defer binary.Remove()
	w, err := newSetting(dir, o)
	if err != nil {
		return err
	}
	defer w.close()
	if o.tls {
		return runTLS(w, o)
	}
	proxies, err := w.startProxies(o)
	if err != nil {
		return err
	}
	results, err := measure(w, proxies, o)
	if err != nil {
		return err
	}
	return report(w, results, o)
}

// pinMyself runs this program again on the core of the load, all its threads.
func pinMyself() error {
	if os.Getenv("RPN_BENCH_PINNED") != "" {
		return nil
	}
	taskset, err := exec.LookPath("taskset")
	if err != nil {
		return fmt.Errorf("taskset is missing: run test/deps.sh bench")
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	args := append([]string{"taskset", "-c", loadCore, self}, os.Args[1:]...)
	return syscall.Exec(taskset, args, append(os.Environ(), "RPN_BENCH_PINNED=1"))
}

// A result is what one proxy took in one round.
type result struct {
	exchanges int
	cpu, wall time.Duration
}

func (r result) perExchange() float64 { return float64(r.cpu.Microseconds()) / float64(r.exchanges) }

func measure(w *setting, proxies []*process, o options) (map[string][]result, error) {
	results := map[string][]result{}
	for round := range o.rounds {
		order := slices.Clone(proxies)
		if round%2 == 1 {
			slices.Reverse(order) // who follows whom weighs on neither
		}
		for _, p := range order {
			r, err := measureOne(w, p, o)
			if err != nil {
				return nil, fmt.Errorf("%s: %w\n%s", p.name, err, p.lastWords())
			}
			results[p.name] = append(results[p.name], r)
			fmt.Printf("round %d  %-30s %6.1f us/exchange %8.0f exchanges/s\n", round+1, p.name, r.perExchange(), float64(r.exchanges)/r.wall.Seconds())
		}
	}
	return results, nil
}

// measureOne opens the connections and warms them up before it counts.
func measureOne(w *setting, p *process, o options) (result, error) {
	l, err := w.dial(p.url, o.connections)
	if err != nil {
		return result{}, err
	}
	defer l.close()
	if _, err := l.run(o.duration / 6); err != nil {
		return result{}, err
	}
	before, err := p.cpu()
	if err != nil {
		return result{}, err
	}
	start := time.Now()
	n, err := l.run(o.duration)
	if err != nil {
		return result{}, err
	}
	wall := time.Since(start)
	after, err := p.cpu()
	if err != nil {
		return result{}, err
	}
	return result{exchanges: n, cpu: after - before, wall: wall}, nil
}
