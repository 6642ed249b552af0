package scenarios

import (
	"testing"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/mutuelle"
	inner "github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/test/nation"
)

func TestEachExchangeIsCounted(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	chu := n.Etablissement()
	chu.SendBoth(roc.IDB, "bleue").WantAnswer()
	chu.Send(roc.CLC, "grise").WantRefused(roc.AMCSuspended)
	chu.Send(roc.IDB, "bleue", inner.ForAdherent(mutuelle.PanneTechnique))
	chu.Send(roc.IDB, "0099000099").WantRefused(roc.UnknownAMC)
	for name, want := range map[string]string{
		`rpn_exchanges_total{code="answered",responsable="personne",service="IDB",version="V1"}`:    "1",
		`rpn_exchanges_total{code="far-fault",responsable="amc",service="IDB",version="V2"}`:        "1",
		`rpn_exchanges_total{code="RPN307",responsable="amc",service="CLC",version="V2"}`:           "1",
		`rpn_exchanges_total{code="RPN301",responsable="etablissement",service="IDB",version="V2"}`: "1",
		`rpn_amc_exchanges_total{amc="0099000003",outcome="answered"}`:                              "2",
		`rpn_amc_exchanges_total{amc="0099000003",outcome="far-fault"}`:                             "1",
		`rpn_amc_exchanges_total{amc="autre",outcome="refused"}`:                                    "1",
		`rpn_exchange_step_seconds_count{service="IDB",step="total"}`:                               "4",
		`rpn_exchanges_in_flight`: "0",
	} {
		await.Until(t, name+" is "+want, func() bool { return n.Metric(name) == want })
	}
}
