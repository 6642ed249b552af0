// Package admin is the operator's listener: who may ask it and who may act, and
// its pages: metrics, health, certificates, what of the annuaire waits. Its
// handlers get functions (Parts), and none of them decides who may.
//
// Reading (GET) is for whoever reaches the listener by a name that is its own.
// Acting (any other method) is for who may open the unix socket, by the rights
// of its file, or shows a client certificate. It fails closed.
package admin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Options are what New needs.
type Options struct {
	Handler http.Handler // what is asked; Who tells it who acts

	// Hosts are names by which the listener may be asked, beside localhost and
	// addresses. A page of any site can lead a browser to this machine under a
	// name of its own (DNS rebinding), and would read everything here.
	Hosts []string

	Log      *slog.Logger
	ErrorLog *log.Logger // net/http's own lines; may be nil
}

// New makes the server of the operator's listeners: by TCP, TLS and unix
// socket alike.
func New(o Options) *http.Server {
	s := &http.Server{
		Handler:           protect(o),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          o.ErrorLog,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if unix, ok := c.(*net.UnixConn); ok {
				return context.WithValue(ctx, peerKey{}, peerOf(unix))
			}
			return ctx
		},
	}
	return s
}

type (
	peerKey struct{} // of a unix socket: who is at its other end
	whoKey  struct{} // who acts
)

// Who is who acts: the user of the socket or the subject of the certificate;
// "" for a request that only reads.
func Who(ctx context.Context) string {
	who, _ := ctx.Value(whoKey{}).(string)
	return who
}

// protect lets through what may be asked, and logs who acts.
func protect(o Options) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, socket := r.Context().Value(peerKey{}).(string)
		if !socket && !named(r.Host, o.Hosts) {
			http.Error(w, "this listener is not known by that name: ask it by its address, or add the name to admin_hosts", http.StatusMisdirectedRequest)
			return
		}
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			if strings.HasPrefix(r.URL.Path, "/-/") && !nearby(r, socket) {
				http.Error(w, "this is answered to this machine only, and through no proxy", http.StatusForbidden)
				return
			}
			o.Handler.ServeHTTP(w, r)
			return
		}
		who, err := actor(r, socket)
		if err != nil {
			o.Log.Warn("an operator's act was refused", slog.String("event", "operator_act_refused"), slog.String("act", r.URL.Path),
				slog.String("peer", r.RemoteAddr), slog.String("error", err.Error()))
			http.Error(w, "refused: "+err.Error(), http.StatusForbidden)
			return
		}
		o.Log.Info("an operator acts", slog.String("event", "operator_act"), slog.String("act", r.URL.Path), slog.String("query", r.URL.RawQuery), slog.String("who", who))
		o.Handler.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), whoKey{}, who)))
	})
}

// actor says who acts, or why nobody may.
func actor(r *http.Request, socket bool) (string, error) {
	switch {
	case browsed(r):
		return "", errors.New("a page elsewhere has led a browser here")
	case proxied(r):
		return "", errors.New("it came through a proxy: who asked is not known")
	case socket:
		who, _ := r.Context().Value(peerKey{}).(string)
		return who, nil
	case r.TLS != nil && len(r.TLS.VerifiedChains) > 0:
		return r.TLS.VerifiedChains[0][0].Subject.String(), nil
	}
	return "", errors.New("acts go by the unix socket (the commands of rpn use it: give --config) or by a client certificate (admin_tls)")
}

// nearby reports whether a request comes from this machine, by no proxy and no
// browser that a page elsewhere has led here.
func nearby(r *http.Request, socket bool) bool {
	if browsed(r) || proxied(r) {
		return false
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	return socket || err == nil && peer.Addr().Unmap().IsLoopback() || r.TLS != nil && len(r.TLS.VerifiedChains) > 0
}

func browsed(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	return r.Header.Get("Origin") != "" || site != "" && site != "none"
}

// proxied reports whether a proxy says that it carried the request.
func proxied(r *http.Request) bool {
	for name := range r.Header {
		if name == "Forwarded" || name == "Via" || name == "X-Real-Ip" || strings.HasPrefix(name, "X-Forwarded") {
			return true
		}
	}
	return false
}

// named reports whether a Host is one that nobody else can give out: an
// address, localhost, or a name of the configuration.
func named(host string, hosts []string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.ToLower(strings.TrimSuffix(strings.Trim(name, "[]"), "."))
	if _, err := netip.ParseAddr(name); err == nil || name == "localhost" {
		return true
	}
	return name != "" && slices.ContainsFunc(hosts, func(h string) bool { return strings.EqualFold(h, name) })
}

// peerOf says who is at the other end of a unix socket.
func peerOf(c *net.UnixConn) string {
	var cred *syscall.Ucred
	if raw, err := c.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { cred, _ = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED) })
	}
	if cred == nil {
		return "unknown user"
	}
	id := strconv.FormatUint(uint64(cred.Uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "uid " + id
}

// TLS is a TLS configuration whose clients may show a certificate of these
// authorities, and may then act. One that is shown and is not theirs ends the
// handshake.
func TLS(own tls.Certificate, clients *x509.CertPool) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{own}, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: clients,
		SessionTicketsDisabled: true,
	}
}
