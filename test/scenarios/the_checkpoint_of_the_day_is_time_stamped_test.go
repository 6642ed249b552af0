package scenarios

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
	"github.com/piano-roc/rpn/test/tsa"
)

// An authority that does not answer hinders nothing; once it does, the checkpoint
// of the day is stamped, and rpn journal verify checks that offline.
func TestTheCheckpointOfTheDayIsTimeStamped(t *testing.T) {
	t.Parallel()
	authority := tsa.Usual(t)
	var away atomic.Bool
	away.Store(true)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if away.Load() {
			http.Error(w, "away", http.StatusBadGateway)
			return
		}
		authority.Handler().ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	n := nation.New(t, nation.Binary, nation.Section("journal", "origin: rpn.example/journal/demo\nseal: 200ms\ntimestamp: {url: "+server.URL+", authority: "+authority.File()+"}"))
	chu := n.Etablissement()
	chu.Send(roc.IDB, "bleue").WantAnswer()
	await.Until(t, "the failure is counted", func() bool { return n.Metric(`rpn_journal_confirm_failures_total{by="timestamp"}`) == "1" })
	chu.Send(roc.IDB, "bleue").WantAnswer()

	n.RestartAfter(func() { away.Store(false) }) // the next try is minutes away: another process tries at once
	await.Until(t, "the checkpoint of the day is stamped", func() bool { return n.Metric(`rpn_journal_confirmed_timestamp_seconds{by="timestamp"}`) != "" })
	dir, key := journalOf(n), filepath.Join(journalOf(n), "key.pub")
	verify := []string{"journal", "verify", "--dir", dir, "--key", key}
	if said := rpn(t, 0, verify...); !strings.Contains(said, "1 points de contrôle horodatés, non vérifiés") {
		t.Errorf("without the authority:\n%s", said)
	}
	verify = append(verify, "--tsa", authority.File())
	if said := rpn(t, 0, verify...); !strings.Contains(said, "horodatés par CN=HORODATAGE FICTIF") {
		t.Errorf("with the authority:\n%s", said)
	}

	// Another checkpoint beside the token, and the authority is not of it.
	files, err := filepath.Glob(filepath.Join(dir, "timestamps", "*.checkpoint"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	b, err := os.ReadFile(files[0])
	if err == nil {
		err = os.WriteFile(files[0], append(b, '\n'), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if said := rpn(t, 1, verify...); !strings.Contains(said, "ANOMALIE : horodatage du") {
		t.Errorf("another checkpoint beside the token:\n%s", said)
	}
	rpn(t, 2, append(verify[:len(verify)-1], key)...)
}
