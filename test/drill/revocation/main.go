// Command drill is the revocation drill: it opens thousands of connections of
// many establishments to the real binary, kept alive and resumed ones, then
// puts establishments out by each means there is, and measures how long each
// connection still lives after the change on disk.
//
//	go run ./test/drill/revocation                # make drill-revocation
//
// It exits with 1 when the 99th percentile reaches 5 s, when anything is
// accepted of somebody who is out, or when somebody else is disturbed.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	var o options
	flag.IntVar(&o.connections, "connections", 2000, "open connections")
	flag.IntVar(&o.establishments, "establishments", 40, "establishments they are of: a quarter for each means, a quarter that stays")
	flag.IntVar(&o.rounds, "rounds", 5, "changes of each means")
	flag.DurationVar(&o.limit, "limit", 5*time.Second, "what the 99th percentile must stay below")
	flag.Parse()
	o.out = os.Stdout
	r, err := drill(ctx, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "drill:", err)
		os.Exit(1)
	}
	r.print(os.Stdout)
	if faults := r.faults(o.limit); len(faults) > 0 {
		for _, f := range faults {
			fmt.Fprintln(os.Stderr, "drill:", f)
		}
		os.Exit(1)
	}
}
