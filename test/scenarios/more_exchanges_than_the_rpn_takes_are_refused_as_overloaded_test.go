package scenarios

import (
	"testing"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

func TestMoreExchangesThanTheRPNTakesAreRefusedAsOverloaded(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary, nation.Section("limits", "exchanges: 1"))
	chu, bleue := n.Etablissement(), n.AMC("bleue")
	bleue.Hold()
	first := make(chan *nation.Reply)
	go func() { first <- chu.Send(roc.IDB, "bleue") }()
	await.Until(t, "the first message is at the insurer", func() bool { return bleue.Received() == 1 })
	chu.SendBoth(roc.IDB, "verte").WantRefused(roc.Overloaded)
	bleue.Release()
	(<-first).WantAnswer()
	await.Until(t, "there is room again", func() bool { return n.Metric("rpn_exchanges_in_flight") == "0" })
	chu.Send(roc.IDB, "verte").WantAnswer()
}
