package scenarios

import (
	"fmt"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	inner "github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/test/nation"
)

// Profile section 2: 2 MiB, depth 64, 64 attributes, 32 declarations, names of
// 256 bytes, 50 000 elements.
func TestAMessageTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	chu := n.Etablissement()
	body := func(inside string) nation.Mutation {
		return with(func(d *inner.Draft) {
			ns := d.SOAP.Namespace()
			text := `<e:Envelope xmlns:e="` + ns + `"><e:Body><a>` + inside + `</a></e:Body></e:Envelope>`
			d.Alter = func([]byte) []byte { return []byte(text) }
		})
	}
	chu.SendBoth(roc.IDB, "bleue", body(strings.Repeat("x", 2<<20))).WantRefused(roc.TooLarge).WantSaying("2097152 octets")
	chu.SendBoth(roc.IDB, "bleue", body(strings.Repeat("<d>", 64)+strings.Repeat("</d>", 64))).WantRefused(roc.TooLarge)
	chu.SendBoth(roc.IDB, "bleue", body(strings.Repeat("<d/>", 50_000))).WantRefused(roc.TooLarge)
	attributes, declarations := "<d", "<d"
	for i := range 65 {
		attributes += fmt.Sprintf(` a%d=""`, i)
		declarations += fmt.Sprintf(` xmlns:p%d="urn:p"`, i)
	}
	chu.SendBoth(roc.IDB, "bleue", body(attributes+"/>")).WantRefused(roc.TooLarge)
	chu.SendBoth(roc.IDB, "bleue", body(declarations+"/>")).WantRefused(roc.TooLarge)
	chu.SendBoth(roc.IDB, "bleue", body("<"+strings.Repeat("n", 257)+"/>")).WantRefused(roc.TooLarge)
	n.AMC("bleue").WantReceived(0)
}
