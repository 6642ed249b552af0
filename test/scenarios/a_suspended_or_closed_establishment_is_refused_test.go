package scenarios

import (
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

func TestASuspendedOrClosedEstablishmentIsRefused(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	n.Etablissement(nation.Suspended).SendBoth(roc.IDB, "bleue").WantRefused(roc.Suspended)
	n.Etablissement(nation.Closed).SendBoth(roc.CLC, "verte").WantRefused(roc.Suspended)
	n.AMC("bleue").WantReceived(0)
	n.AMC("verte").WantReceived(0)
}
