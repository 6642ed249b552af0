package resting

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/journal"
	"github.com/piano-roc/rpn/test/nation"
)

// full measures; else a few refusals are played.
var full = flag.Bool("full", false, "measure, for some seconds")

func TestMain(m *testing.M) {
	flag.Parse()
	code := nation.Main(m)
	fmt.Println(figure)
	os.Exit(code)
}

// figure is printed last.
var figure string

// The time is that of the record of the journal, from the request to the answer.
func TestWhatARefusalOfARestingInsurerTakes(t *testing.T) {
	n := nation.New(t, nation.Binary)
	chu := n.Etablissement(nation.Limited(10_000, 10_000))
	many := 20
	if *full {
		many = 500
	}
	refused := 0
	for range many {
		if chu.Send(roc.IDB, "absente").Refused(roc.AMCResting) {
			refused++
		}
	}
	await.Until(t, "the journal is sealed", func() bool { return n.Metric("rpn_journal_unsealed_records") == "0" })
	l, err := journal.OpenLog(n.File("rpn/state/journal"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var took []time.Duration
	for e, err := range l.Entries(0) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Exchange != nil && e.Exchange.Reason == roc.AMCResting {
			took = append(took, e.Exchange.Total())
		}
	}
	if len(took) != refused || refused == 0 {
		t.Fatalf("%d of %d were refused, the journal has %d of them", refused, many, len(took))
	}
	slices.Sort(took)
	at := func(q float64) time.Duration { return took[int(q*float64(len(took)-1))] }
	figure = fmt.Sprintf("an insurer that rests: %d refused, from the request to the answer p50 %s, p95 %s, p99 %s, longest %s", len(took), at(0.5), at(0.95), at(0.99), at(1))
	if *full && at(0.5) > time.Millisecond {
		t.Errorf("half of the refusals take more than %s", at(0.5))
	}
}
