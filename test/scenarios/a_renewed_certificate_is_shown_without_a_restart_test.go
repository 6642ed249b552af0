package scenarios

import (
	"syscall"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

func TestARenewedCertificateIsShownWithoutARestart(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	chu := n.Etablissement()
	shown := func() string {
		conn, err := connect(t, n, nil, chu.TLS)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	before := shown()
	if err := n.Renew(100 * 24 * time.Hour); err != nil {
		t.Fatal(err)
	}
	n.RPN().Signal(syscall.SIGHUP)
	await.Until(t, "the new one is shown", func() bool { return shown() != before })
	chu.Send(roc.IDB, "bleue").WantAnswer()
}
