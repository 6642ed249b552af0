package app_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/nation"
)

// The certificate that signs the façade's answers is one of ours like the two
// others: in /readyz, in the inventory, reloaded, and a bad one is refused.
func TestTheFacadesSignatureIsOneOfOurCertificates(t *testing.T) {
	t.Parallel()
	n, _ := start(t, nation.Options{Facade: true})
	if got := certificatesOf(t, n, "&nature=rpn-signature").Certificates; len(got) != 1 || got[0].Owner != "facade.signature" {
		t.Errorf("the inventory: %+v", got)
	}
	if slices.Contains(ready(t, n).Degraded, "facade_signature_certificate") {
		t.Error("it is degraded from the start")
	}
	key := filepath.Join(n.Dir, "rpn", "signature.key")
	if err := os.WriteFile(key, []byte("-----BEGIN PRIVATE KEY-----\ncut"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := n.App.Reload()
	if err == nil || !strings.Contains(err.Error(), "facade.signature") || !strings.Contains(err.Error(), "signature.key") {
		t.Errorf("a broken key: %v", err)
	}
	await.Until(t, "readiness says it", func() bool { return slices.Contains(ready(t, n).Degraded, "facade_signature_certificate") })
}
