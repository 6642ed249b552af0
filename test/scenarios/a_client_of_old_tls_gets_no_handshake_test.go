package scenarios

import (
	"crypto/tls"
	"testing"

	"github.com/piano-roc/rpn/test/nation"
)

func TestAClientOfOldTLSGetsNoHandshake(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	chu := n.Etablissement()
	wantNoHandshake(t, n, "protocol", "", func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }, chu.TLS)
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		conn, err := connect(t, n, func(c *tls.Config) { c.MinVersion, c.MaxVersion = v, v }, chu.TLS)
		if err != nil {
			t.Errorf("%s: %v", tls.VersionName(v), err)
			continue
		}
		conn.Close()
	}
}
