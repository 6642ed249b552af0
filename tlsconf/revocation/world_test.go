package revocation_test

import (
	"bytes"
	"context"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/piano-roc/rpn/internal/igc"
)

// keys is shared by the tests: RSA keys are slow to make.
var keys = igc.NewKeys()

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	chu   = "1010000008" // fictitious structure ids
	autre = "1020000009"
)

func newPKI(t *testing.T) *igc.PKI {
	t.Helper()
	return igc.New(igc.Options{Keys: keys, ECDSA: true})
}

type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// A clock that a test moves.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) forward(d time.Duration) { c.ahead.Add(int64(d)) }

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	// Its exit status says less than its words.
	out, _ := exec.CommandContext(ctx, name, args...).CombinedOutput()
	return string(bytes.ToValidUTF8(out, []byte("?")))
}
