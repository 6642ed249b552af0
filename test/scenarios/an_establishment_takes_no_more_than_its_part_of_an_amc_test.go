package scenarios

import (
	"testing"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

// Two seats at each insurer: one establishment may hold one of them.
func TestAnEstablishmentTakesNoMoreThanItsPartOfAnAMC(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary, nation.Section("limits", "per_amc: 2"))
	chu, clinique, bleue := n.Etablissement(), n.Etablissement(), n.AMC("bleue")
	bleue.Hold()
	replies := make(chan *nation.Reply, 3)
	send := func(es *nation.Etablissement) { go func() { replies <- es.Send(roc.IDB, "bleue") }() }
	send(chu)
	await.Until(t, "the first is at the insurer", func() bool { return bleue.Received() == 1 })
	send(chu)
	await.Until(t, "the second waits for its turn", func() bool { return n.Metric("rpn_exchanges_in_flight") == "2" })
	send(clinique)
	await.Until(t, "that of another is at the insurer, before it", func() bool { return bleue.Received() == 2 })
	chu.Send(roc.IDB, "verte").WantAnswer()
	bleue.Release()
	for range 3 {
		(<-replies).WantAnswer()
	}
}
