package register

import (
	"net/http"
	"net/mail"
	"strings"
	"testing"
)

func TestWhatIsAnAddress(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"dsi@chu.example": true, "dsi+roc@sub.chu.example": true, "dsi": false, "@chu.example": false, "dsi@": false, "dsi@localhost": false, "dsi@10.0.0.1": false,
		"dsi@chu.example\r\nBcc: x@y.example": false, "a b@chu.example": false, "a@b@chu.example": false, "a..b@chu.example": false, "<dsi@chu.example>": false, "dsi@[10.0.0.1]": false,
	} {
		if got := IsCourriel(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
	for text, want := range map[string]bool{
		"https://chu.example/rpn": true, "https://chu.example:8443/rpn?jeton=x": true, "https://10.0.0.1/": true, "http://chu.example/": false, "https://": false, "https://u:p@chu.example/": false,
		"https:chu.example": false, "https://chu.example/#a": false, "//chu.example/": false, "https://chu.example/" + strings.Repeat("a", 500): false, "https://chu.example/\n": false,
	} {
		if got := IsWebhook(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// FuzzIsWebhook: what is a webhook can be called, by HTTPS, and bears nobody's name.
func FuzzIsWebhook(f *testing.F) {
	for _, s := range []string{"https://chu.example/rpn", "https://[::1]:8443/?a=b", "https://u:p@chu.example/", "HTTPS://x", "https://%41"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !IsWebhook(s) {
			return
		}
		r, err := http.NewRequest(http.MethodPost, s, nil)
		if err != nil || r.URL.Scheme != "https" || r.URL.Hostname() == "" || r.URL.User != nil || strings.ContainsAny(s, " \r\n") {
			t.Errorf("%q: %v", s, err)
		}
	})
}

// FuzzIsCourriel: what is an address is one to those who write to it.
func FuzzIsCourriel(f *testing.F) {
	for _, s := range []string{"dsi@chu.example", "a..b@chu.example", "\"a b\"@chu.example", "dsi@chu.example>, <x@y.example"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !IsCourriel(s) {
			return
		}
		if a, err := mail.ParseAddress(s); err != nil || a.Address != s || strings.ContainsAny(s, " \r\n,;") {
			t.Errorf("%q: %v", s, err)
		}
	})
}
