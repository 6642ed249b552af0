package scenarios

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/test/nation"
)

// A witness cosigns whatever checkpoint it is shown, written from the text of C2SP
// tlog-witness and tlog-cosignature.
type witness struct {
	*httptest.Server
	name string
	key  ed25519.PrivateKey

	mu    sync.Mutex
	shown int
}

// seen is how many checkpoints it was shown.
func (w *witness) seen() int { w.mu.Lock(); defer w.mu.Unlock(); return w.shown }

func newWitness(t *testing.T, name string) *witness {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &witness{name: name, key: key}
	w.Server = httptest.NewServer(http.HandlerFunc(w.add))
	t.Cleanup(w.Close)
	return w
}

// public is the algorithm of cosignature/v1, and the key.
func (w *witness) public() []byte {
	return append([]byte{4}, w.key.Public().(ed25519.PublicKey)...)
}

func (w *witness) id() []byte {
	sum := sha256.Sum256(append([]byte(w.name+"\n"), w.public()...))
	return sum[:4]
}

// policy demands its cosignature of a journal.
func (w *witness) policy(journal string) string {
	return fmt.Sprintf("log %s\nwitness w %s+%x+%s %s\nquorum w\n", strings.TrimSpace(journal), w.name, w.id(), base64.StdEncoding.EncodeToString(w.public()), w.URL)
}

func (w *witness) add(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	_, signed, found := strings.Cut(string(body), "\n\n")
	text, _, also := strings.Cut(signed, "\n\n")
	if err != nil || !found || !also || r.URL.Path != "/add-checkpoint" {
		http.Error(rw, "no", http.StatusBadRequest)
		return
	}
	w.mu.Lock()
	w.shown++
	w.mu.Unlock()
	now := time.Now().Unix()
	signature := ed25519.Sign(w.key, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s\n", now, text))
	line := append(binary.BigEndian.AppendUint64(w.id(), uint64(now)), signature...)
	fmt.Fprintf(rw, "— %s %s\n", w.name, base64.StdEncoding.EncodeToString(line))
}

// A witness that the policy names cosigns the checkpoints of the journal. A receipt
// is then valid by the policy, which one of before, or a policy of another witness,
// is not.
func TestAWitnessCosignsTheJournal(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.Binary, nation.Section("journal", "origin: rpn.example/journal/demo\nseal: 100ms"))
	r := n.Etablissement().Send(roc.CLC, "bleue").WantAnswer()
	alone := prove(t, n, r)
	w, other := newWitness(t, "temoin.example"), newWitness(t, "autre.example")
	key := filepath.Join(journalOf(n), "key.pub")
	public, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	policy := keep(t, "temoins.policy", []byte(w.policy(string(public))))
	n.RestartAfter(func() {
		n.Edit("rpn.yaml", "origin: rpn.example/journal/demo", "origin: rpn.example/journal/demo\n  witnesses: "+policy)
	})
	await.Until(t, "the witness has cosigned", func() bool {
		return strings.Contains(n.Ready().Check("witnesses").Detail, "records are cosigned")
	})
	proof := prove(t, n, r)
	verify := func(code int, proof, policy string) string {
		return rpn(t, code, "receipt", "verify", "--key", key, "--proof", proof, "--policy", policy, "--request", keep(t, "requete.xml", r.Sent))
	}
	verify(0, proof, policy)
	verify(1, alone, policy)
	verify(1, proof, keep(t, "autres.policy", []byte(other.policy(string(public)))))
	if ours, theirs := w.seen(), other.seen(); ours == 0 || theirs != 0 {
		t.Errorf("the witness was shown %d checkpoints, the other one %d", ours, theirs)
	}
}
