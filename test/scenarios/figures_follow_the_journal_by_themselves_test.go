package scenarios

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/piano-roc/rpn/indicators/store/postgrestest"
	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

// followed waits until all that was written is in the figures.
func followed(t *testing.T, n *nation.Nation) {
	t.Helper()
	await.Until(t, "the figures are up to date", func() bool { return n.Metric("rpn_indicators_behind_records") == "0" })
}

// counted is how many exchanges a store holds.
func counted(t *testing.T, address string) float64 {
	t.Helper()
	var f map[string]float64
	if err := json.Unmarshal([]byte(rpn(t, 0, "indicators", "show", "--store", address, "--json")), &f); err != nil {
		t.Fatal(err)
	}
	return f["echanges"]
}

// The RPN brings its figures up to date by itself. Killed and started again, it
// counts each exchange once; and a rebuild beside it changes nothing.
func TestFiguresFollowTheJournalByThemselves(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary, nation.Section("journal", "seal: 100ms"), nation.Section("indicators", "every: 50ms"))
	chu, db := n.Etablissement(), n.File("rpn/state/indicateurs.db")
	sent := 0.0
	for range 3 {
		for range 5 {
			chu.Send(roc.IDB, "bleue").WantAnswer()
			sent++
		}
		n.Crash() // some of them are counted, some are not
	}
	chu.Send(roc.IDB, "bleue").WantAnswer()
	sent++
	followed(t, n)
	if got := counted(t, db); got != sent {
		t.Errorf("%v exchanges counted, %v were sent", got, sent)
	}
	rpn(t, 0, "indicators", "rebuild", "--store", db, "--dir", journalOf(n))
	followed(t, n)
	if got := counted(t, db); got != sent {
		t.Errorf("after a rebuild: %v exchanges counted, %v were sent", got, sent)
	}
	if c := n.Ready().Check("indicators"); !c.OK || c.Degraded {
		t.Errorf("/readyz: %+v", c)
	}
}

// Two instances share one PostgreSQL. While it is down exchanges are answered
// and only the figures are late; then they catch up, and each exchange counts
// once.
func TestFiguresCatchUpWhenTheirDatabaseIsBack(t *testing.T) {
	t.Parallel()
	pg := postgrestest.Start(t)
	db := pg.Database("indicateurs")
	instance := func(name string) *nation.Nation {
		return nation.New(t, nation.Binary, nation.Section("journal", "seal: 100ms\norigin: rpn.example/journal/"+name),
			nation.Section("indicators", "every: 50ms\nstore: "+db))
	}
	both := []*nation.Nation{instance("a"), instance("b")}
	sent := 0.0
	send := func() {
		t.Helper()
		for _, n := range both {
			n.Etablissement().Send(roc.IDB, "bleue").WantAnswer()
			sent++
		}
	}
	send()
	for _, n := range both {
		followed(t, n)
	}
	pg.Stop("immediate")
	send()
	for _, n := range both {
		await.Until(t, "/readyz says that the figures are late", func() bool {
			r := n.Ready()
			return r.Ready && slices.Contains(r.Degraded, "indicators") && len(n.Lines("the figures cannot be brought up to date; they catch up from the journal as soon as they can be")) == 1
		})
	}
	both[0].Crash() // and one that starts without its database carries too
	send()
	pg.Restart()
	for _, n := range both {
		followed(t, n)
		await.Until(t, "/readyz says that they are not late", func() bool { return !n.Ready().Check("indicators").Degraded })
	}
	if got := counted(t, db); got != sent {
		t.Errorf("%v exchanges counted, %v were sent", got, sent)
	}
}
