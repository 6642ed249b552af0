package tlstest

import (
	"cmp"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/egress"
	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/tlsconf/revocation"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// Loopback lets a test reach its own servers and nothing else.
var Loopback = egress.Filter{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}

// A Registry says who is revoked among the establishments of a PKI.
type Registry struct {
	PKI     *igc.PKI
	Clock   *Clock
	Log     *Buffer
	Options revocation.Options // changed before Open
	*revocation.Checker
	t *testing.T
}

// Revocation completes the options of a revocation with what a test does not
// give.
func Revocation(o revocation.Options) revocation.Options {
	o.Every, o.Timeout, o.MaxBytes = cmp.Or(o.Every, time.Hour), cmp.Or(o.Timeout, 10*time.Second), cmp.Or(o.MaxBytes, 64<<20)
	o.Age.Warn, o.Age.Grace, o.Age.Then = cmp.Or(o.Age.Warn, 4*time.Hour), cmp.Or(o.Age.Grace, 72*time.Hour), cmp.Or(o.Age.Then, revocation.FailClosed)
	o.Unannounced = cmp.Or(o.Unannounced, revocation.FailOpen)
	return o
}

// NewRegistry prepares a registry; more, unless it is nil, changes its options.
func NewRegistry(t *testing.T, more func(*revocation.Options)) *Registry {
	t.Helper()
	r := &Registry{t: t, PKI: NewPKI(), Clock: &Clock{}, Log: &Buffer{}}
	r.Options = revocation.Options{
		Folder: t.TempDir(),
		Authorities: func() []*x509.Certificate {
			return append(r.PKI.Roots(igc.EtablissementTLS), r.PKI.Intermediates(igc.EtablissementTLS)...)
		},
		Log:     slog.New(slog.NewJSONHandler(r.Log, nil)),
		Client:  Loopback.Client(nil, 0),
		Own:     Loopback.Client(nil, 0),
		Timeout: time.Second,
		Poll:    30 * time.Millisecond,
		Now:     r.Clock.Now,
	}
	if more != nil {
		more(&r.Options)
	}
	return r
}

// Open opens the registry until the test ends, or again with its options.
func (r *Registry) Open() *Registry {
	r.t.Helper()
	c, err := revocation.Open(r.t.Context(), Revocation(r.Options))
	if err != nil {
		r.t.Fatal(err)
	}
	r.Checker = c
	return r
}

// Reread has the registry read its files and places again. What it refuses of
// them, its status and its log tell.
func (r *Registry) Reread() { r.Reload(context.Background()) }

// Chain is the chain of a pair, its root included.
func (r *Registry) Chain(p igc.Pair) []*x509.Certificate {
	return append(append([]*x509.Certificate{p.Cert}, p.Chain...), r.PKI.Roots(igc.EtablissementTLS)...)
}

// Says is why the registry refuses a pair; "" when it passes.
func (r *Registry) Says(p igc.Pair) trust.Reason {
	r.t.Helper()
	return Reason(r.Check(r.Chain(p), r.Clock.Now()))
}

// NewEd25519 makes a key that signs deny lists.
func NewEd25519(t *testing.T) crypto.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// WritePublic writes the public half of a key in PEM, and returns its file.
func WritePublic(t *testing.T, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return Write(t, filepath.Join(t.TempDir(), "signer.pub"), string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
}

// DenyList is a deny list of those lines, signed.
func DenyList(t *testing.T, key crypto.Signer, sequence uint64, lines ...string) []byte {
	t.Helper()
	signed, err := revocation.SignDenyList([]byte(strings.Join(lines, "\n")), sequence, time.Now(), key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}
