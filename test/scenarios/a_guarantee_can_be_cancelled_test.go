package scenarios

import (
	"regexp"
	"testing"

	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/roc"
	inner "github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/test/nation"
)

func TestAGuaranteeCanBeCancelled(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	chu := n.Etablissement()
	answer := chu.Send(roc.CLC, "verte").WantAnswer()
	found := regexp.MustCompile(`<reference>([^<]+)</reference>`).FindSubmatch(answer.Body.Bytes())
	if found == nil {
		t.Fatal("the calculation gave no reference")
	}
	chu.SendBoth(roc.ANL, "verte", func(d *inner.Draft) {
		d.Body = func(d *inner.Draft) roc.Content {
			return message.ANLRequest{Version: d.Version, Demande: d.Demande, Reference: string(found[1])}.Envelope(d.SOAP)
		}
	}).WantAnswer()
}
