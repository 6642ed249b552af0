package scenarios

import (
	"bytes"
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	inner "github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/test/nation"
)

func TestASignedMessageThatComesAgainIsRefusedByPolicy(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary, nation.Section("policies", "replay: enforce"))
	chu := n.Etablissement()
	for _, first := range chu.SendBoth(roc.IDB, "bleue").WantAnswer() {
		again := with(func(d *inner.Draft) { d.Alter = func([]byte) []byte { return first.Sent } })
		how := []nation.Mutation{again}
		if bytes.Contains(first.Sent, []byte("urn:roc:idb:1.0.0")) {
			how = []nation.Mutation{nation.V1, nation.SOAP11, again}
		}
		chu.Send(roc.IDB, "bleue", how...).WantRefused(roc.Replayed)
	}
	n.AMC("bleue").WantReceived(2)
}
