package tlsconf_test

import (
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

const es = igc.EtablissementTLS

// A registry of who is revoked, as a test opens it.
type world struct {
	t   *testing.T
	pki *igc.PKI
	at  *clock
	o   revocation.Options
	*revocation.Checker
}

// loopback is where the servers of a test are.
var loopback = egress.Filter{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}

func newWorld(t *testing.T, more func(*revocation.Options)) *world {
	t.Helper()
	w := &world{t: t, pki: newPKI(t), at: &clock{}}
	w.o = revocation.Options{
		Folder:      t.TempDir(),
		Authorities: func() []*x509.Certificate { return append(w.pki.Roots(es), w.pki.Intermediates(es)...) },
		Log:         slog.New(slog.DiscardHandler),
		Client:      loopback.Client(nil, 0),
		Own:         loopback.Client(nil, 0),
		Timeout:     time.Second,
		Poll:        30 * time.Millisecond,
		Now:         w.at.now,
	}
	if more != nil {
		more(&w.o)
	}
	return w
}

func (w *world) open() *world {
	w.t.Helper()
	r, err := revocation.Open(w.t.Context(), w.o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.Checker = r
	return w
}

func (w *world) reload() { w.Reload(context.Background()) }

func reasonOf(err error) trust.Reason {
	if err == nil {
		return ""
	}
	return trust.AsFailure(err).Reason
}

func writePublic(t *testing.T, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return write(t, filepath.Join(t.TempDir(), "signer.pub"), string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
}

func newEd25519(t *testing.T) crypto.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func denyList(t *testing.T, key crypto.Signer, sequence uint64, lines ...string) []byte {
	t.Helper()
	signed, err := revocation.SignDenyList([]byte(strings.Join(lines, "\n")), sequence, time.Now(), key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}
