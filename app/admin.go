package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/piano-roc/rpn/annuaire"
)

// startAdmin opens the operator's listener: plain HTTP, on the loopback unless
// the configuration says otherwise.
func (a *App) startAdmin() error {
	ln := a.opts.Admin
	if ln == nil {
		var err error
		if ln, err = a.listen("admin", a.config.Admin); err != nil {
			return err
		}
	}
	server := &http.Server{
		Handler:           a.adminHandler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          a.httpLog(),
	}
	a.adminAddr = ln.Addr()
	a.serve(func() error { return server.Serve(ln) }, http.ErrServerClosed)
	a.onStop("admin listener", func(ctx context.Context) error {
		if err := server.Shutdown(ctx); err != nil {
			return errors.Join(err, server.Close())
		}
		return nil
	})
	return nil
}

// adminHandler is what operators and their tools ask. Nothing here shows a
// message, and only what is under /-/ changes anything.
func (a *App) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", a.live.Handler())
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]bool{"live": true})
	})
	mux.HandleFunc("GET /readyz", a.serveReadyz)
	mux.HandleFunc("GET /horloges", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]any{"horloges": a.clocks.List()})
	})
	mux.HandleFunc("GET /certificats", a.serveCertificates)
	mux.HandleFunc("POST /-/reload", a.serveReload)
	mux.HandleFunc("GET /-/explain", a.serveExplain)
	mux.HandleFunc("GET /annuaire", a.serveHeld)
	mux.HandleFunc("POST /-/annuaire/approve", a.serveDecide(annuaire.Approve))
	mux.HandleFunc("POST /-/annuaire/reject", a.serveDecide(annuaire.Reject))
	mux.HandleFunc("POST /-/annuaire/revalidate", a.serveRevalidate)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Write([]byte("rpn " + a.opts.Version + "\n/metrics\n/livez\n/readyz\n/horloges\n/certificats\n/annuaire\nPOST /-/reload\nPOST /-/annuaire/approve\nPOST /-/annuaire/doubt\n"))
	})
	return mux
}

// serveReload reloads and says what failed. It answers this machine only: who
// can reach an admin listener on a network may read, not act. A browser on
// this machine that was led here by a page elsewhere says so in Origin or
// Sec-Fetch-Site, and is refused. With ?force=register the register is taken
// however many rows it drops, and with ?force=certificates a CA goes although
// it has clients.
func (a *App) serveReload(w http.ResponseWriter, r *http.Request) {
	if !fromThisMachine(r) {
		http.Error(w, "a reload is accepted from this machine only: send SIGHUP, or POST to the loopback address", http.StatusForbidden)
		return
	}
	var what []string
	var err error
	switch force := r.URL.Query().Get("force"); force {
	case "":
		what, err = a.reloader.reload("asked", a.now(), false)
	case "register":
		err = a.ForceReload()
	case "certificates":
		what, err = a.reloader.reload("forced", a.now(), true)
	default:
		http.Error(w, "the register or the certificates can be forced: force=register, force=certificates", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprintf(w, "not reloaded; what was read before stays in use:\n%v\n", err)
	} else {
		fmt.Fprintln(w, "reloaded")
	}
	for _, line := range what {
		fmt.Fprintln(w, "  "+line)
	}
	if len(what) == 0 && err == nil {
		fmt.Fprintln(w, "  certificates and trust stores: the same as before")
	}
}

// fromThisMachine reports whether a request comes from this machine, and not by
// way of a browser that a page elsewhere has led here.
func fromThisMachine(r *http.Request) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	site := r.Header.Get("Sec-Fetch-Site")
	return err == nil && peer.Addr().Unmap().IsLoopback() && r.Header.Get("Origin") == "" && (site == "" || site == "none")
}

// serve runs a server until it ends; an end that nobody asked for stops the
// RPN.
func (a *App) serve(run func() error, expected error) {
	a.running.Go(func() {
		if err := run(); err != nil && !errors.Is(err, expected) && !errors.Is(err, net.ErrClosed) {
			select {
			case a.failed <- err:
			default:
			}
		}
	})
}
