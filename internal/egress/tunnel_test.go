package egress

import (
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

// A library that is told of the tunnel reaches its host, by the filter, and no
// other host; nobody else on the machine passes.
func TestATunnelLeavesByTheFilter(t *testing.T) {
	t.Parallel()
	far := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(r.URL.Path)) }))
	t.Cleanup(far.Close)
	get := func(f *Filter, of, target string, change func(*url.URL)) (string, error) {
		t.Helper()
		tunnel, err := f.OpenTunnel(of)
		if err != nil {
			t.Fatal(err)
		}
		defer tunnel.Close()
		transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, Proxy: func(r *http.Request) (*url.URL, error) {
			u, err := tunnel.Proxy(r)
			if u != nil && change != nil {
				own := *u
				change(&own)
				return &own, err
			}
			return u, err
		}}
		r, err := (&http.Client{Transport: transport}).Get(target)
		if err != nil {
			return "", err
		}
		defer r.Body.Close()
		b := make([]byte, 64)
		n, _ := r.Body.Read(b)
		return string(b[:n]), nil
	}
	loopback := &Filter{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	if s, err := get(loopback, far.URL+"/directory", far.URL+"/order", nil); s != "/order" || err != nil {
		t.Errorf("its host: %q, %v", s, err)
	}
	if _, err := get(&Filter{}, far.URL, far.URL, nil); err == nil || !strings.Contains(err.Error(), "Bad Gateway") {
		t.Errorf("an address that the filter forbids: %v", err)
	}
	if _, err := get(loopback, "https://acme.example/directory", far.URL, nil); !errors.Is(err, ErrForbidden) {
		t.Errorf("another host: %v", err)
	}
	for name, change := range map[string]func(*url.URL){
		"without the password": func(u *url.URL) { u.User = nil },
		"with another":         func(u *url.URL) { u.User = url.UserPassword("rpn", "x") },
	} {
		if _, err := get(loopback, far.URL, far.URL, change); err == nil || !strings.Contains(err.Error(), "Proxy Authentication Required") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, of := range []string{"http://acme.example/", "acme.example", "https:///x"} {
		if tunnel, err := loopback.OpenTunnel(of); err == nil {
			tunnel.Close()
			t.Errorf("a tunnel to %q", of)
		}
	}
}

// A tunnel goes to its own host and port, whatever CONNECT names.
func TestATunnelConnectsToOneHost(t *testing.T) {
	t.Parallel()
	far := httptest.NewTLSServer(nil)
	t.Cleanup(far.Close)
	f := &Filter{Allow: Everywhere()}
	tunnel, err := f.OpenTunnel("https://acme.example/directory")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tunnel.Close)
	req, _ := http.NewRequest(http.MethodGet, "https://acme.example:443/", nil)
	if _, err := tunnel.Proxy(req); !errors.Is(err, ErrForbidden) { // as it is written in the URL
		t.Errorf("%v", err)
	}
	transport := &http.Transport{DisableKeepAlives: true, Proxy: http.ProxyURL(tunnel.proxy)}
	if _, err := (&http.Client{Transport: transport}).Get(far.URL); err == nil || !strings.Contains(err.Error(), "Forbidden") {
		t.Errorf("CONNECT to another: %v", err)
	}
	if r, err := (&http.Client{Transport: transport}).Get("http://" + strings.TrimPrefix(far.URL, "https://")); err != nil || r.StatusCode != http.StatusForbidden {
		t.Errorf("a plain request through it: %v", err)
	} else {
		r.Body.Close()
	}
}
