package egress

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"
)

// A Tunnel is the way out by a filter for a library that makes its own
// connections, and can be told of an HTTP proxy: this one listens on the
// loopback, asks for a password that only the library has, and connects to one
// host alone. What passes through it is the library's own TLS.
type Tunnel struct {
	filter *Filter
	to     *url.URL
	secret string
	server *http.Server
	proxy  *url.URL
}

// tunnelIdle ends a tunnel through which nothing passes.
const tunnelIdle = 2 * time.Minute

// OpenTunnel opens a tunnel to the host of that https URL. Close it.
func (f *Filter) OpenTunnel(to string) (*Tunnel, error) {
	u, err := url.Parse(to)
	if err != nil {
		return nil, err
	}
	if u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("egress: a tunnel to %s: only https is carried", u.Redacted())
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	t := &Tunnel{filter: f, to: u, secret: rand.Text()}
	t.proxy = &url.URL{Scheme: "http", Host: l.Addr().String(), User: url.UserPassword("rpn", t.secret)}
	t.server = &http.Server{
		Handler: http.HandlerFunc(t.connect), ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), // who else knocks is no matter of ours
	}
	go t.server.Serve(l)
	return t, nil
}

// Proxy is an http.Transport's Proxy: this tunnel, for requests to its host; an
// error for every other, redirected or not.
func (t *Tunnel) Proxy(req *http.Request) (*url.URL, error) {
	if req.URL.Scheme != t.to.Scheme || req.URL.Host != t.to.Host {
		return nil, fmt.Errorf("%w: %s is not the host of %s", ErrForbidden, req.URL.Host, t.to.Redacted())
	}
	return t.proxy, nil
}

// Close lets nobody in any more. What passes through goes on to its end.
func (t *Tunnel) Close() { t.server.Close() }

// address is the host and port of the URL.
func (t *Tunnel) address() string {
	if t.to.Port() == "" {
		return net.JoinHostPort(t.to.Hostname(), "443")
	}
	return t.to.Host
}

func (t *Tunnel) connect(w http.ResponseWriter, r *http.Request) {
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte("rpn:"+t.secret))
	switch {
	case subtle.ConstantTimeCompare([]byte(r.Header.Get("Proxy-Authorization")), []byte(want)) != 1:
		w.WriteHeader(http.StatusProxyAuthRequired)
		return
	case r.Method != http.MethodConnect || r.Host != t.address():
		w.WriteHeader(http.StatusForbidden)
		return
	}
	far, err := t.filter.DialContext(r.Context(), "tcp", t.address())
	if err != nil {
		http.Error(w, "not connected", http.StatusBadGateway)
		return
	}
	defer far.Close()
	near, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer near.Close()
	if _, err := io.WriteString(near, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	passed := func() { // what passes one way keeps both open
		end := time.Now().Add(tunnelIdle)
		near.SetDeadline(end)
		far.SetDeadline(end)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		copyAll(far, buffered, passed)
		far.Close()
	}()
	copyAll(near, far, passed)
	near.Close()
	<-done
}

// copyAll copies until one end is closed, or has waited too long; passed is
// called before each part is waited for.
func copyAll(to io.Writer, from io.Reader, passed func()) {
	b := make([]byte, 16<<10)
	for {
		passed()
		n, err := from.Read(b)
		if n > 0 {
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
