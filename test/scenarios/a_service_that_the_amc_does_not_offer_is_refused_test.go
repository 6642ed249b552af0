package scenarios

import (
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

func TestAServiceThatTheAMCDoesNotOfferIsRefused(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	n.Rows("{numero_amc: AMC, nom: Mutuelle Bleue, service: IDB, version: V1, url: URL, debut: DEBUT, fin: FIN}",
		"{numero_amc: 0099000002, nom: Mutuelle Verte, roc: false, service: IDB, version: V2, url: URL, debut: DEBUT, fin: FIN}")
	chu := n.Etablissement()
	chu.Send(roc.IDB, "bleue", nation.V1).WantAnswer()
	chu.Send(roc.IDB, "bleue").WantRefused(roc.ServiceNotOffered).WantSaying("en V1, pas en V2")
	chu.Send(roc.CLC, "bleue", nation.V1, nation.SOAP11).WantRefused(roc.ServiceNotOffered)
	chu.SendBoth(roc.IDB, "verte").WantRefused(roc.ServiceNotOffered)
	n.AMC("bleue").WantReceived(1)
	n.AMC("verte").WantReceived(0)
}
