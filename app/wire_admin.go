package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"

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
	server := admin.New(admin.Options{Handler: admin.Handler(a.adminParts()), Hosts: a.config.AdminHosts, Log: a.log, ErrorLog: a.httpLog()})
	a.adminAddr, a.adminListener = ln.Addr(), ln
	a.closeAdmin = func() { a.adminListener.Close() }
	secure, err := a.adminTLS()
	if err != nil {
		ln.Close()
		return err
	}
	if secure != nil {
		ln = tls.NewListener(ln, secure)
	}
	if path := a.config.AdminSocket; path != "" {
		socket, err := admin.Listen(path)
		if err != nil {
			ln.Close()
			return setup(fmt.Errorf("%s: admin_socket: %w", a.config.File(), err), "give it a folder where the RPN may write")
		}
		a.closeAdmin = func() { a.adminListener.Close(); socket.Close() }
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

// adminTLS reads what the operator's listener shows and whom it lets act; nil: it
// speaks plain HTTP.
func (a *App) adminTLS() (*tls.Config, error) {
	t := a.config.AdminTLS
	if t == nil {
		return nil, nil
	}
	own, err := trust.ReadPair(t.Certificate, t.Key)
	clients, also := trust.ReadPool(t.Clients)
	if err = errors.Join(err, also); err != nil {
		return nil, setup(fmt.Errorf("%s: admin_tls: %w", a.config.File(), err), "give a certificate, its key and the authorities of the operators, in PEM")
	}
	return admin.TLS(own, clients), nil
}

// adminParts are what the handlers of the operator's listener ask.
func (a *App) adminParts() admin.Parts {
	return admin.Parts{
		Version: a.opts.Version, Socket: a.config.AdminSocket, Log: a.log,
		Metrics:   a.live.Handler(),
		EachES:    a.eachES.Handler(),
		Readiness: a.Readiness,
		Clocks:    func() any { return a.clocks.List() },
		Top:       a.activity,
		Certificates: func() admin.Certificates {
			all := a.expiries()
			return admin.Certificates{At: a.now().UTC(), Territories: a.territories(all), Certificates: all}
		},
		Reload: func(who string, register, certificates bool) ([]string, error) {
			return a.reload(act{Force{Register: register, Certificates: certificates}, "asked", who})
		},
		Explain: func(ctx context.Context, question url.Values) (any, error) {
			q, at, err := readQuestion(question)
			if err != nil {
				return nil, err
			}
			ctx, cancel := context.WithTimeout(ctx, a.config.Annuaire.Timeout)
			defer cancel()
			return a.explain(ctx, q, at), nil
		},
		Upgrade: a.askUpgrade,
		Console: a.console(),
		Held:    func() any { return a.directory.Held() },
		Portal:  a.portalActs(),
		Decide:  a.decideAlone,
		Revalidate: func() {
			a.directory.RevalidateAll(time.Minute)
			a.log.Info("annuaire cache invalidated by an operator; entries revalidated within 1 min", slog.String("event", "annuaire_revalidated"))
		},
	}
}

// Readiness asks each dependency, now.
func (a *App) Readiness() admin.Readiness { return admin.Ready(a.checks, a.now()) }

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
