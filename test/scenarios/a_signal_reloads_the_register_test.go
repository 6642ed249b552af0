package scenarios

import (
	"syscall"
	"testing"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

func TestASignalReloadsTheRegister(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	e := n.Etablissement()
	e.Send(roc.IDB, "verte").WantAnswer()
	n.Edit("amc.yaml", "numeros: [\"0099000002\"]\n    etat: cercle", "numeros: [\"0099000002\"]\n    etat: suspendu")
	n.RPN().Signal(syscall.SIGHUP)
	await.Until(t, "the insurer is suspended", func() bool { return e.Send(roc.IDB, "verte").Refused(roc.AMCSuspended) })
	e.Send(roc.IDB, "bleue").WantAnswer()
}
