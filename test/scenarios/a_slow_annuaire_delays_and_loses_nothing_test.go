package scenarios

import (
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

func TestASlowAnnuaireDelaysAndLosesNothing(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary, nation.Annuaire("timeout: 50s\nprobe: 0s"))
	chu := n.Etablissement()
	n.Annuaire.Slow(300 * time.Millisecond)
	replies := make(chan *nation.Reply)
	for range 8 {
		go func() { replies <- chu.Send(roc.IDB, "bleue") }()
	}
	for range 8 {
		(<-replies).WantAnswer()
	}
	if asked := n.Annuaire.Questions(); asked != 1 {
		t.Errorf("the annuaire was asked %d times for one key", asked)
	}
}
