package scenarios

import (
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	inner "github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/test/nation"
)

func TestASignedMessageThatComesAgainIsCarriedAndToldByDefault(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	chu := n.Etablissement()
	first := chu.Send(roc.IDB, "bleue").WantAnswer()
	again := chu.Send(roc.IDB, "bleue", with(func(d *inner.Draft) { d.Alter = func([]byte) []byte { return first.Sent } })).WantAnswer()
	if record, _ := again.Line()["record"].(map[string]any); record["replayed"] != true {
		t.Errorf("the log does not say that it was a replay: %v", record)
	}
	n.AMC("bleue").WantReceived(2)
}
