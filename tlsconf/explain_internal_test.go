package tlsconf

import (
	"crypto/tls"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/tlsconf/trust"
)

// A peer that speaks TLS is never said not to.
func TestARecordOfAnotherVersionIsStillTLS(t *testing.T) {
	t.Parallel()
	for header, isTLS := range map[[5]byte]bool{
		{22, 3, 1, 0, 5}: true, // a record of version 301 once 1.2 was agreed on
		{23, 3, 3, 0, 5}: true, {21, 3, 4, 0, 2}: true,
		{22, 2, 0, 0, 5}: false, {'S', 'S', 'H', '-', '2'}: false, {25, 3, 3, 0, 1}: false,
	} {
		f := explain(tls.RecordHeaderError{Msg: "received record with version 301 when expecting version 303", RecordHeader: header}, offered{})
		if said := strings.Contains(f.Detail, "does not speak TLS"); f.Reason != trust.Protocol || said == isTLS {
			t.Errorf("%v: %v", header, f)
		}
	}
}
