package scenarios

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

// A responder answers with a redirect to our own admin listener, and to another
// host: neither is asked, by GET or POST, and the establishment comes in.
func TestAResponderDoesNotMakeTheRPNCallAnother(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.NotStarted)
	n.Edit("rpn.yaml", "\nrevocation:\n", "\nrevocation:\n  ocsp: true\n")
	n.Start()
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	t.Cleanup(other.Close)
	for _, to := range []string{other.URL, n.AdminURL()} {
		asked := make(chan string, 100)
		responder := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, to+"/-/reload?force=register", http.StatusTemporaryRedirect)
			asked <- r.Method
		}))
		t.Cleanup(responder.Close)
		chu := n.Etablissement(nation.TLS(igc.Responder(responder.URL)))
		chu.Send(roc.IDB, "bleue").WantAnswer()
		if method := await.Next(t, "the responder was asked", asked); method != http.MethodPost {
			t.Errorf("it was asked by %s", method)
		}
		chu.Send(roc.IDB, "bleue").WantAnswer()
		if elsewhere.Load() != 0 {
			t.Errorf("redirected to %s: %d requests there", to, elsewhere.Load())
		}
	}
	n.Restart() // what was logged is then written
	if strings.Contains(n.Log(), "force=register") {
		t.Error("the admin listener was called by way of the responder")
	}
}
