package scenarios

import (
	"io"
	"net/http"
	"testing"

	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/mutuelle"
	inner "github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/test/nation"
)

func TestAnAnswerThatIsCutOrIsNoHTTPIsRefused(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary, nation.Section("limits", "answer_bytes: 1MiB\nrest_after: 1000"))
	chu, bleue := n.Etablissement(), n.AMC("bleue")
	for _, adherent := range []string{mutuelle.Coupee, mutuelle.CoupeeEnSilence, mutuelle.Volumineuse} {
		chu.SendBoth(roc.CLC, "bleue", inner.ForAdherent(adherent)).WantRefused(roc.AMCBadAnswer)
	}
	for _, words := range []string{
		"SSH-2.0-OpenSSH_9.9\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
	} {
		bleue.Answers(func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			io.WriteString(conn, words)
			conn.Close()
		})
		chu.SendBoth(roc.CLC, "bleue").WantRefused(roc.AMCBadAnswer)
	}
	bleue.WantReceived(18) // each once: what may have been read is never sent again
}
