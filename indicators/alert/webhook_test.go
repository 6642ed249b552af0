package alert

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/piano-roc/rpn/internal/egress"
	"github.com/piano-roc/rpn/internal/secret"
)

// A receiver is a real HTTPS server that is called.
type receiver struct {
	*httptest.Server
	status func() int

	mu    sync.Mutex
	calls []*http.Request
	body  string
}

func newReceiver(t *testing.T, status int) *receiver {
	t.Helper()
	r := &receiver{status: func() int { return status }}
	r.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		b, _ := io.ReadAll(q.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.calls, r.body = append(r.calls, q), string(b)
		if r.status() == http.StatusTemporaryRedirect {
			w.Header().Set("Location", "https://127.0.0.1:1/")
		}
		w.WriteHeader(r.status())
	}))
	t.Cleanup(r.Close)
	return r
}

// caller calls it by the egress filter, with its authority known or not.
func (r *receiver) caller(f *egress.Filter, known bool, keys *secret.Ring) func(context.Context, Event) error {
	c := &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	if known {
		c.RootCAs.AddCert(r.Certificate())
	}
	return NewWebhook(f.Client(c, 0), keys, func() time.Time { return at(0, 0) })
}

var loopback = &egress.Filter{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}

func ring(t *testing.T, keys ...string) *secret.Ring {
	t.Helper()
	r, err := secret.Parse([]byte(strings.Join(keys, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var oldKey, newKey = strings.Repeat("0a", 32), strings.Repeat("0b", 32)

// A call bears its id, its instant and a signature that openssl makes too; who has
// the secret of before a change of key verifies it as well.
func TestACallIsSigned(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, http.StatusNoContent)
	e := Event{ID: "panne.0099000003.1764000000.1010003812", URL: r.URL + "/rpn", Subscriber: "1010003812", Body: []byte(`{"type":"panne"}`)}
	if err := r.caller(loopback, true, ring(t, newKey, oldKey))(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	h := r.calls[0].Header
	if r.calls[0].Method != http.MethodPost || r.body != string(e.Body) || h.Get("webhook-id") != e.ID || h.Get("webhook-timestamp") != "1795424400" {
		t.Errorf("called: %s %q %v", r.calls[0].Method, r.body, h)
	}
	given := strings.Fields(h.Get("webhook-signature"))
	for _, key := range []string{oldKey, newKey} {
		text, ok := strings.CutPrefix(Secret(ring(t, key), e.Subscriber, e.URL), "whsec_")
		raw, err := base64.StdEncoding.DecodeString(text)
		if !ok || err != nil || len(raw) != 32 {
			t.Fatalf("the secret is %q", text)
		}
		cmd := exec.Command("openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", "hexkey:"+hex.EncodeToString(raw), "-binary")
		cmd.Stdin = strings.NewReader(h.Get("webhook-id") + "." + h.Get("webhook-timestamp") + "." + r.body)
		sum, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		if want := "v1," + base64.StdEncoding.EncodeToString(sum); len(given) != 2 || given[0] != want && given[1] != want {
			t.Errorf("signed %v, want %s", given, want)
		}
	}
	if Secret(ring(t, newKey), "1020000012", e.URL) == Secret(ring(t, newKey), e.Subscriber, e.URL) {
		t.Error("two subscribers share a secret")
	}
}

// What is not a plain success is told as such, and no error names the address; a
// redirection is not followed, a private address not dialled, a stranger's
// certificate not believed.
func TestACallThatFails(t *testing.T) {
	t.Parallel()
	keys := ring(t, newKey)
	for name, c := range map[string]struct {
		status int
		filter *egress.Filter
		known  bool
		scheme string
		want   error // nil: any
	}{
		"it fails":                {http.StatusInternalServerError, loopback, true, "https", nil},
		"it is no more":           {http.StatusGone, loopback, true, "https", ErrGone},
		"it sends us elsewhere":   {http.StatusTemporaryRedirect, loopback, true, "https", nil},
		"its address is private":  {http.StatusOK, &egress.Filter{}, true, "https", egress.ErrForbidden},
		"its authority is nobody": {http.StatusOK, loopback, false, "https", nil},
		"it is not https":         {http.StatusOK, loopback, true, "http", nil},
	} {
		r := newReceiver(t, c.status)
		err := r.caller(c.filter, c.known, keys)(t.Context(), Event{ID: "x", URL: c.scheme + strings.TrimPrefix(r.URL, "https") + "/a-secret-path", Subscriber: "1010003812"})
		if err == nil || c.want != nil && !errors.Is(err, c.want) || c.want != ErrGone && errors.Is(err, ErrGone) {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(err.Error(), "a-secret-path") {
			t.Errorf("%s: the error names the address: %v", name, err)
		}
		if called := len(r.calls) > 0; called != (c.filter == loopback && c.known && c.scheme == "https") {
			t.Errorf("%s: called: %v", name, called)
		}
	}
}
