package egress

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// Client is an HTTP client whose connections go by the filter. It takes no
// proxy from the environment, keeps no connection, and follows redirections as
// Redirects says. A zero timeout leaves the time to the context of each request.
func (f *Filter) Client(config *tls.Config, timeout time.Duration) *http.Client {
	return &http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			Proxy:                  nil,
			DialContext:            f.DialContext,
			TLSClientConfig:        config,
			DisableKeepAlives:      true,
			MaxResponseHeaderBytes: 32 << 10,
		},
		CheckRedirect: Redirects,
	}
}

const maxRedirects = 3

// Redirects is an http.Client's CheckRedirect: a GET may be redirected on its
// own host, at most three times; nothing else is. A server must not be able to
// redirect our request to another host.
func Redirects(req *http.Request, via []*http.Request) error {
	first := via[0]
	switch {
	case first.Method != http.MethodGet && first.Method != http.MethodHead:
		return fmt.Errorf("a redirected %s is not followed", first.Method)
	case len(via) > maxRedirects:
		return errors.New("redirected more than three times")
	case !sameHost(req.URL, first.URL):
		return errors.New("redirected to another host, which is not followed")
	}
	return nil
}

// sameHost also allows the usual redirection from http to https, each on its
// default port.
func sameHost(to, from *url.URL) bool {
	if to.Scheme == from.Scheme && to.Host == from.Host {
		return true
	}
	return to.Hostname() == from.Hostname() && from.Scheme == "http" && to.Scheme == "https" &&
		(from.Port() == "" || from.Port() == "80") && (to.Port() == "" || to.Port() == "443")
}
