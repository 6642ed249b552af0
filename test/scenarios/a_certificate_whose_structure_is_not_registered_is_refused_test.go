package scenarios

import (
	"testing"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

func TestACertificateWhoseStructureIsNotRegisteredIsRefused(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	n.Etablissement(nation.Unregistered).SendBoth(roc.IDB, "bleue").WantRefused(roc.UnknownStructure)
	n.Etablissement(nation.TLS(igc.NoOU())).SendBoth(roc.IDB, "bleue").WantRefused(roc.UnknownStructure)
	n.Etablissement(nation.TLS(igc.TwoOUs("1990000999"))).SendBoth(roc.IDB, "bleue").WantRefused(roc.UnknownStructure)
	n.AMC("bleue").WantReceived(0)
}
