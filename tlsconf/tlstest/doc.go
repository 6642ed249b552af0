// Package tlstest is what the tests of certificates and of connections share: a
// throw-away PKI, a door to knock at, a registry of revocation, deny lists and
// files. It imports testing: no program links it.
package tlstest

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// Fictitious structure ids.
const (
	Hospital = "1010000008"
	Another  = "1020000009"
)

// Keys is shared by the tests: RSA keys are slow to make.
var Keys = igc.NewKeys()

// NewPKI makes authorities of their own for a test, with ECDSA keys.
func NewPKI() *igc.PKI { return igc.New(igc.Options{Keys: Keys, ECDSA: true}) }

// Trust is the trust in the authorities of one side.
func Trust(p *igc.PKI, s igc.Side) *trust.Trust {
	return trust.NewTrust(p.Roots(s), p.Intermediates(s))
}

// Reason is why err refuses a certificate; "" when it is nil.
func Reason(err error) trust.Reason {
	if err == nil {
		return ""
	}
	return trust.AsFailure(err).Reason
}

// PEM writes certificates one after the other.
func PEM(certs ...*x509.Certificate) string {
	var b strings.Builder
	for _, c := range certs {
		pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
	}
	return b.String()
}

// KeyPEM is the private key of a pair, in PKCS #8.
func KeyPEM(t *testing.T, pair igc.Pair) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// Write writes a file, and its folder when there is none, and returns its name.
func Write(t *testing.T, file, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Run runs a program for 60 s at most, and returns all that it wrote: of the
// programs that tests run, the exit status says less than the words. It fails
// the test when the program is not installed.
func Run(t *testing.T, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is needed: make deps", name)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	out, _ := exec.CommandContext(ctx, path, args...).CombinedOutput()
	return string(bytes.ToValidUTF8(out, []byte("?")))
}

// A Clock is the time of day, that a test moves.
type Clock struct{ ahead atomic.Int64 }

// Now is the time that the clock shows.
func (c *Clock) Now() time.Time { return time.Now().Add(c.Ahead()) }

// Ahead is how far the clock is before the real one.
func (c *Clock) Ahead() time.Duration { return time.Duration(c.ahead.Load()) }

// Forward moves the clock by d.
func (c *Clock) Forward(d time.Duration) { c.ahead.Add(int64(d)) }

// A Buffer is a log that is read while others write to it.
type Buffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
