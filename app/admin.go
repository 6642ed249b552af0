package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/piano-roc/rpn/annuaire"
	"github.com/piano-roc/rpn/app/admin"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// startAdmin opens the operator's listeners: HTTP, on the loopback unless the
// configuration says otherwise, and the unix socket by which operators act.
func (a *App) startAdmin() error {
	ln := a.opts.Admin
	if ln == nil {
		var err error
		if ln, err = a.listen("admin", a.config.Admin); err != nil {
			return err
		}
	}
	server := admin.New(admin.Options{Handler: a.adminHandler(), Hosts: a.config.AdminHosts, Log: a.log, ErrorLog: a.httpLog()})
	a.adminAddr = ln.Addr()
	if t := a.config.AdminTLS; t != nil {
		own, err := trust.ReadPair(t.Certificate, t.Key)
		clients, also := trust.ReadPool(t.Clients)
		if err = errors.Join(err, also); err != nil {
			ln.Close()
			return setup(fmt.Errorf("%s: admin_tls: %w", a.config.File(), err), "give a certificate, its key and the authorities of the operators, in PEM")
		}
		ln = tls.NewListener(ln, admin.TLS(own, clients))
	}
	if path := a.config.AdminSocket; path != "" {
		socket, err := admin.Listen(path)
		if err != nil {
			ln.Close()
			return setup(fmt.Errorf("%s: admin_socket: %w", a.config.File(), err), "give it a folder where the RPN may write")
		}
		a.serve(func() error { return server.Serve(socket) }, http.ErrServerClosed)
	}
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
// message, and only what is under /-/ changes anything. Package admin has seen
// to it that who acts may.
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
	mux.HandleFunc("GET /-/socket", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, a.config.AdminSocket) })
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Write([]byte("rpn " + a.opts.Version + "\n/metrics\n/livez\n/readyz\n/horloges\n/certificats\n/annuaire\nPOST /-/reload\nPOST /-/annuaire/approve\nPOST /-/annuaire/reject\nPOST /-/annuaire/revalidate\n"))
	})
	return mux
}

// serveReload reloads and says what changed or failed. With ?force=register the
// register is taken however much it drops, and with ?force=certificates a CA
// goes although it has clients, each alone or both.
func (a *App) serveReload(w http.ResponseWriter, r *http.Request) {
	var force Force
	for _, f := range r.URL.Query()["force"] {
		switch f {
		case "":
		case "register":
			force.Register = true
		case "certificates":
			force.Certificates = true
		default:
			http.Error(w, "the register or the certificates can be forced: force=register, force=certificates", http.StatusBadRequest)
			return
		}
	}
	what, err := a.reload("asked", force)
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
