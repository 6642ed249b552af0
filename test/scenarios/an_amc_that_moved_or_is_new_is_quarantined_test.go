package scenarios

import (
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	inner "github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/test/nation"
)

func TestAnAMCThatMovedOrIsNewIsQuarantined(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary, nation.Insurer("bleue", func(i *inner.Insurer) { i.Domain = "autre.example" }))
	chu := n.Etablissement()
	chu.SendBoth(roc.IDB, "bleue").WantRefused(roc.Quarantined)
	n.Rows("{numero_amc: 0099000077, nom: Mutuelle Nouvelle, service: IDB, version: V1, url: URL, debut: DEBUT, fin: FIN}",
		"{numero_amc: 0099000077, nom: Mutuelle Nouvelle, service: IDB, version: V2, url: URL, debut: DEBUT, fin: FIN}")
	chu.SendBoth(roc.IDB, "0099000077").WantRefused(roc.Quarantined)
	n.AMC("bleue").WantReceived(0)
}
