// Package portal plays the portal of a whole nation: the real RPN in process, real
// certificates, and a real browser.
package portal

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/piano-roc/rpn/internal/await"
	"github.com/piano-roc/rpn/nation"
	"github.com/piano-roc/rpn/test/binary"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if err := binary.Remove(); err != nil {
			panic(err)
		}
		os.Exit(code)
	}))
}

// played is a nation with a portal, that has lived its day.
func played(t *testing.T) *nation.Nation { t.Helper(); return playedWith(t, "") }

// playedWith is such a nation whose portal lets persons in by that section oidc.
func playedWith(t *testing.T, oidc string) *nation.Nation {
	t.Helper()
	n, err := nation.New(nation.Options{Dir: t.TempDir(), Portal: true, OIDC: oidc, Reload: 200 * time.Millisecond, Sections: map[string]string{
		"indicators": "every: 200ms", "journal": "origin: rpn.example/journal/demo\nsegment_bytes: 2MiB\nseal: 200ms",
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, s := range nation.Day() {
		if _, err := n.Play(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// browser is a client with the certificate of a reader, or none.
func browser(t *testing.T, n *nation.Nation, cert, key string) *http.Client {
	t.Helper()
	config := &tls.Config{RootCAs: authority(t, n)}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		// Shown whatever authorities the server names.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// get asks for a page.
func get(t testing.TB, c *http.Client, url string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// counted waits until the figures have every exchange of the day.
func counted(t *testing.T, n *nation.Nation, c *http.Client) {
	t.Helper()
	await.Until(t, "the figures are up to date", func() bool {
		code, body := get(t, c, n.PortalURL()+"/etablissement/990000011/echanges?du="+time.Now().Format("2006-01-02"))
		return code == http.StatusOK && strings.Contains(body, "/echange/0")
	})
}
