package scenarios

import (
	"bytes"
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

func TestAGoodMessageIsCarriedByteForByte(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	chu, bleue := n.Etablissement(nation.WithSite("990000909")), n.AMC("bleue")
	for _, s := range []roc.Service{roc.IDB, roc.SIM, roc.CLC} {
		chu.SendBoth(s, "bleue").WantAnswer()
	}
	for _, how := range [][]nation.Mutation{{nation.V1}, {nation.V1, nation.SOAP11}, {nation.SOAP11}, {}} {
		r := chu.Send(roc.CLC, "bleue", how...).WantAnswer()
		got := bleue.Last()
		if !bytes.Equal(got.Body, r.Sent) {
			t.Error("the insurer received other bytes than those that were sent")
		}
		if int(got.Length) != len(r.Sent) || len(got.Coding) > 0 {
			t.Errorf("it was sent with length %d and coding %v", got.Length, got.Coding)
		}
		for name, want := range map[string]string{
			"RPN-Echange": string(r.Exchange()), "RPN-Structure": string(roc.StructureOf(chu.EJ)), "Via": "1.1 rpn",
		} {
			if got.Header.Get(name) != want {
				t.Errorf("the insurer was told %s: %q, want %q", name, got.Header.Get(name), want)
			}
		}
	}
	bleue.WantReceived(10)
}
