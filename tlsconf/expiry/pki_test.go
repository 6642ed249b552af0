package expiry_test

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// keys is shared by the tests: RSA keys are slow to make.
var keys = igc.NewKeys()

const (
	chu   = "1010000008" // fictitious structure ids
	autre = "1020000009"
)

func newPKI(t *testing.T) *igc.PKI {
	t.Helper()
	return igc.New(igc.Options{Keys: keys, ECDSA: true})
}

func trustOf(p *igc.PKI, s igc.Side) *trust.Trust {
	return trust.NewTrust(p.Roots(s), p.Intermediates(s))
}

func write(t *testing.T, file, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func pemOf(certs ...*x509.Certificate) string {
	var b strings.Builder
	for _, c := range certs {
		pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
	}
	return b.String()
}
