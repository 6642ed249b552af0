package scenarios

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

func TestAStopLosesNoExchange(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary)
	chu, bleue := n.Etablissement(nation.Limited(1000, 1000)), n.AMC("bleue")
	bleue.Hold()
	const exchanges = 12
	replies := make(chan *nation.Reply)
	for range exchanges {
		go func() { replies <- chu.Send(roc.CLC, "bleue") }()
	}
	await.Until(t, "all are at the insurer", func() bool { return bleue.Received() == exchanges })
	admin := n.AdminURL()

	n.RPN().Signal(syscall.SIGTERM)
	await.Until(t, "readyz says that it stops", func() bool {
		r := n.Ready()
		return r.Status == http.StatusServiceUnavailable && slices.Contains(r.Missing, "accepting")
	})
	await.Until(t, "new connections are refused", func() bool {
		conn, err := connect(t, n, nil, chu.TLS)
		if err == nil {
			conn.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED)
	})
	if !strings.HasPrefix(admin, "http://127.0.0.1:") || n.Ready().Status == 0 {
		t.Error("the operators' listener ended before the exchanges")
	}
	bleue.Release()
	for range exchanges {
		(<-replies).WantAnswer()
	}
	n.RPN().WantExit(0)
	if got := len(n.Lines("exchange")); got != exchanges {
		t.Errorf("%d lines for %d exchanges", got, exchanges)
	}
}
