package routing_test

import (
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/routing"
)

// Whatever the annuaire writes: what the address policy accepts, net/url reads the same
// way, and it leads nowhere but to a name within the known domains.
func FuzzAddressPolicy(f *testing.F) {
	for _, s := range []string{
		"https://roc.amc.example/idb?x=1", "HTTPS://ROC.amc.example:8443", "https://u@amc.example/", "https://[::1]/", "https://0x7f.1/", "https://amc.example\\@evil.example/",
		"https://evil.example#.amc.example/", "https://amc.example:443@evil.example/", "https://roc.amc.example/%2e%2e/", "https://xn--rc-fka.amc.example//a/../b", "https://amc.example?a#b",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		route, err := to(routing.Policy{}, []register.DNSName{"amc.example"}, s)
		if err != nil {
			if route.URL() != "" {
				t.Fatalf("%q: refused, and yet %q", s, route.URL())
			}
			return
		}
		asked, err := url.Parse(s)
		if err != nil {
			t.Fatalf("%q: accepted, and net/url refuses it: %v", s, err)
		}
		got, err := url.Parse(route.URL())
		if err != nil {
			t.Fatalf("%q became %q: %v", s, route.URL(), err)
		}
		host := got.Hostname()
		if got.Scheme != "https" || got.User != nil || got.Fragment != "" || strings.Contains(route.URL(), "#") || host != route.Host() {
			t.Fatalf("%q became %q, host %q", s, route.URL(), route.Host())
		}
		if host != "amc.example" && !strings.HasSuffix(host, ".amc.example") {
			t.Fatalf("%q leads to %q", s, host)
		}
		if _, err := netip.ParseAddr(host); err == nil {
			t.Fatalf("%q leads to an address", s)
		}
		if !strings.EqualFold(asked.Hostname(), host) || asked.Port() != got.Port() || asked.RawQuery != got.RawQuery ||
			asked.EscapedPath() != got.EscapedPath() && !(asked.EscapedPath() == "" && got.EscapedPath() == "/") {
			t.Fatalf("%q became %q", s, route.URL())
		}
		if p := got.Path + "/"; strings.Contains(p, "/../") || strings.Contains(p, "/./") {
			t.Fatalf("%q: dot segments in %q", s, p)
		}
	})
}
