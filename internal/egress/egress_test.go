package egress

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Profile section 6, on the very address that is dialled.
func TestTheFilterAtTheDial(t *testing.T) {
	t.Parallel()
	narrow := &Filter{Allow: []netip.Prefix{netip.MustParsePrefix("10.20.0.0/16"), netip.MustParsePrefix("fd00:1::/32")}}
	everywhere := &Filter{Allow: Everywhere()}
	for _, c := range []struct {
		address          string
		narrow, operator bool
	}{
		{"8.8.8.8:443", true, true},
		{"[2606:4700::1111]:443", true, true},
		{"10.20.3.4:443", true, true}, // by the configuration
		{"[::ffff:10.20.3.4]:443", true, true},
		{"[::10.20.3.4]:443", true, true},
		{"[::8.8.8.8]:443", true, true},
		{"[fd00:1::5]:443", true, true},
		{"127.0.0.1:443", false, true},
		{"127.8.9.10:443", false, true},
		{"[::1]:443", false, true},
		{"[::ffff:127.0.0.1]:443", false, true},
		{"[::127.0.0.1]:443", false, true}, // IPv4-compatible
		{"[::169.254.169.254]:80", false, true},
		{"[::ffff:169.254.169.254]:80", false, true},
		{"[::ffff:0:127.0.0.1]:443", false, true}, // IPv4-translated
		{"10.0.0.1:443", false, true},
		{"10.21.0.1:443", false, true},
		{"172.16.0.1:443", false, true},
		{"172.31.255.255:443", false, true},
		{"192.168.1.1:443", false, true},
		{"[fd00:2::1]:443", false, true},
		{"169.254.169.254:80", false, true}, // cloud metadata
		{"[fe80::1%eth0]:443", false, true},
		{"[fd00:ec2::254]:80", false, true}, // cloud metadata
		{"100.64.0.1:443", false, true},     // shared (RFC 6598)
		{"192.0.2.1:443", false, true},
		{"198.18.0.1:443", false, true},
		{"240.0.0.1:443", false, true},
		{"[64:ff9b::7f00:1]:443", false, true}, // NAT64 of 127.0.0.1
		{"[2002:7f00:1::]:443", false, true},   // 6to4 of 127.0.0.1
		{"[fec0::1]:443", false, true},
		{"0.1.2.3:443", false, true},
		// what is no single host's is dialled for nobody
		{"0.0.0.0:443", false, false},
		{"[::]:443", false, false},
		{"[::ffff:0.0.0.0]:443", false, false},
		{"224.0.0.1:443", false, false},
		{"[::224.0.0.1]:443", false, false},
		{"255.255.255.255:443", false, false},
		{"[ff02::1]:443", false, false},
		{"not an address", false, false},
	} {
		for what, f := range map[string]struct {
			*Filter
			allowed bool
		}{"narrow": {narrow, c.narrow}, "operator": {everywhere, c.operator}} {
			err := f.Control("tcp", c.address, nil)
			if (err == nil) != f.allowed || err != nil && !errors.Is(err, ErrForbidden) {
				t.Errorf("%s, %s: %v, want allowed %v", c.address, what, err, f.allowed)
			}
		}
	}
}

// A server counts who comes, and redirects.
func server(t *testing.T, answer http.HandlerFunc) (*httptest.Server, *atomic.Int32) {
	t.Helper()
	var came atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		came.Add(1)
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s, &came
}

func TestAForbiddenAddressIsNotConnectedTo(t *testing.T) {
	t.Parallel()
	s, came := server(t, func(http.ResponseWriter, *http.Request) {})
	var f Filter
	if _, err := f.Client(nil, time.Minute).Get(s.URL); !errors.Is(err, ErrForbidden) {
		t.Errorf("%v", err)
	}
	// nor by a name, whatever says its address
	port := s.URL[strings.LastIndex(s.URL, ":")+1:]
	f.Hosts = func(string) (netip.Addr, bool) { return netip.MustParseAddr("127.0.0.1"), true }
	if _, err := f.DialContext(context.Background(), "tcp", net.JoinHostPort("crl.example", port)); !errors.Is(err, ErrForbidden) {
		t.Errorf("by a name: %v", err)
	}
	if came.Load() != 0 {
		t.Error("it was connected to")
	}
	f.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	answer, err := f.Client(nil, time.Minute).Get("http://crl.example:" + port)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if came.Load() != 1 {
		t.Error("what is allowed was not connected to")
	}
}

// A responder that redirects a question to the admin listener has it put to
// nobody: not a POST at all, a GET on its own host only.
func TestOnlyAGetOnItsOwnHostIsRedirected(t *testing.T) {
	t.Parallel()
	f := Filter{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	admin, acts := server(t, func(http.ResponseWriter, *http.Request) {})
	for _, status := range []int{301, 302, 303, 307, 308} {
		responder, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/away":
				http.Redirect(w, r, admin.URL+"/-/reload?force=register", status)
			case "/here":
				http.Redirect(w, r, "/there", status)
			case "/round":
				http.Redirect(w, r, "/round", status)
			}
		})
		c := f.Client(nil, time.Minute)
		for _, path := range []string{"/away", "/here"} {
			if answer, err := c.Post(responder.URL+path, "application/ocsp-request", strings.NewReader("x")); err == nil {
				answer.Body.Close()
				t.Errorf("%d: a POST to %s was redirected", status, path)
			}
		}
		for path, follows := range map[string]bool{"/away": false, "/round": false, "/here": true} {
			answer, err := c.Get(responder.URL + path)
			if err == nil {
				answer.Body.Close()
			}
			if (err == nil) != follows {
				t.Errorf("%d: a GET of %s: %v", status, path, err)
			}
		}
	}
	if acts.Load() != 0 {
		t.Errorf("%d requests came to the admin listener", acts.Load())
	}
}

func TestFromHTTPToHTTPSIsTheSameHost(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from, to string
		same     bool
	}{
		{"http://crl.example/a", "http://crl.example/b", true},
		{"http://crl.example/a", "https://crl.example/a", true},
		{"http://crl.example:80/a", "https://crl.example:443/a", true},
		{"https://crl.example/a", "http://crl.example/a", false},
		{"http://crl.example/a", "http://crl.example:8080/a", false},
		{"http://crl.example:8080/a", "https://crl.example/a", false},
		{"http://crl.example/a", "http://other.example/a", false},
	} {
		from, _ := http.NewRequest(http.MethodGet, c.from, nil)
		to, _ := http.NewRequest(http.MethodGet, c.to, nil)
		if err := Redirects(to, []*http.Request{from}); (err == nil) != c.same {
			t.Errorf("%s to %s: %v", c.from, c.to, err)
		}
	}
}
