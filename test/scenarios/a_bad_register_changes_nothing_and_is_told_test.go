package scenarios

import (
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

func TestABadRegisterChangesNothingAndIsTold(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	chu := n.Etablissement()
	chu.Send(roc.IDB, "bleue").WantAnswer()
	// Two changes of which one is wrong: neither takes effect.
	n.Edit("etablissements.yaml", "nom: \"Etablissement 1\"\n    etat: cercle", "nom: \"Etablissement 1\"\n    etat: suspendu\n    etta: cercle")
	n.RPN().Signal(syscall.SIGHUP)
	const failed = "reload failed: what was read before stays in use"
	await.Until(t, "the log tells", func() bool { return len(n.Lines(failed)) == 1 })
	if told := n.Lines(failed)[0]; told.Text("part") != "register" || !strings.Contains(told.Text("error"), "etablissements.yaml") || !strings.Contains(told.Text("error"), "etta") {
		t.Errorf("the log says %v", told)
	}
	chu.SendBoth(roc.IDB, "bleue").WantAnswer()
	if r := n.Ready(); !r.Ready || !slices.Contains(r.Degraded, "register") {
		t.Errorf("readyz: %+v", r)
	}
	if got := n.Metric(`rpn_reload_last_successful{what="register"}`); got != "0" {
		t.Errorf("rpn_reload_last_successful is %q", got)
	}
	n.Edit("etablissements.yaml", "\n    etta: cercle", "")
	n.RPN().Signal(syscall.SIGHUP)
	await.Until(t, "the right file takes effect", func() bool { return chu.Send(roc.IDB, "bleue").Refused(roc.Suspended) })
}
