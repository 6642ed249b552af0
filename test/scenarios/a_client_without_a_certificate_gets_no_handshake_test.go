package scenarios

import (
	"crypto/tls"
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

func TestAClientWithoutACertificateGetsNoHandshake(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	wantNoHandshake(t, n, "no-certificate", "", nil)
	wantNoHandshake(t, n, "no-certificate", "", func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 })
	n.Etablissement().Send(roc.IDB, "bleue").WantAnswer()
}
