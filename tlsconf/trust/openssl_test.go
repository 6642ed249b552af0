package trust_test

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/tlsconf/trust"
)

func writePEM(t *testing.T, file string, all ...forged) string {
	t.Helper()
	var text strings.Builder
	for _, f := range all {
		pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: f.cert.Raw})
	}
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// opensslVerify says whether `openssl verify` accepts the leaf as a client.
func opensslVerify(t *testing.T, roots, intermediates []forged, peer forged) bool {
	t.Helper()
	dir := t.TempDir()
	args := []string{"verify", "-x509_strict", "-purpose", "sslclient", "-no-CApath", "-no-CAstore", "-CAfile", writePEM(t, filepath.Join(dir, "roots.pem"), roots...)}
	if len(intermediates) > 0 {
		args = append(args, "-untrusted", writePEM(t, filepath.Join(dir, "others.pem"), intermediates...))
	}
	said, err := exec.Command("openssl", append(args, writePEM(t, filepath.Join(dir, "leaf.pem"), peer))...).CombinedOutput()
	if err != nil && !strings.Contains(string(said), "verification failed") {
		t.Fatalf("openssl: %v: %s", err, said)
	}
	return err == nil
}

// What a chain may be, by us and by OpenSSL: path lengths, key usages, extended
// key usages, dates, names of CAs that repeat, one fault or none in each.
func TestChainsAreWhatOpenSSLTakes(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	ended := func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().AddDate(-2, 0, 0), time.Now().AddDate(0, 0, -1)
	}
	faults := []func(*x509.Certificate){
		nil, nil, nil,
		ended,
		func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) },
		func(c *x509.Certificate) { c.MaxPathLen, c.MaxPathLenZero = 0, true },
		func(c *x509.Certificate) { c.MaxPathLen = 1 },
		func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign },
		func(c *x509.Certificate) { c.IsCA = false },
		func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} },
		func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} },
	}
	accepted := 0
	for i := range 120 {
		root := forge(t, forged{}, "AC RACINE", nil, nil)
		chain := []forged{root}
		at, fault := r.IntN(4), faults[r.IntN(len(faults))]
		n := r.IntN(4)
		for k := range n {
			name := fmt.Sprint("AC ", k)
			var change func(*x509.Certificate)
			if k == at {
				change = fault
			}
			chain = append(chain, forge(t, chain[len(chain)-1], name, nil, change))
		}
		peer := leaf(t, chain[len(chain)-1])
		above := slices.Clone(chain[1:])
		slices.Reverse(above)
		if len(above) > 0 && r.IntN(6) == 0 {
			above = above[:len(above)-1] // one is missing
		}
		want := opensslVerify(t, []forged{root}, above, peer)
		_, err := trust.NewTrust(certs(root), nil).Verify(certs(append([]forged{peer}, above...)...), trust.AsClient, nil, time.Now())
		if (err == nil) != want {
			t.Errorf("chain %d, %d CAs, fault at %d: openssl %t, ours %v", i, n, at, want, err)
		}
		if want {
			accepted++
		}
	}
	if accepted < 20 || accepted > 110 {
		t.Errorf("%d of 120 accepted: the test proves little", accepted)
	}
}
