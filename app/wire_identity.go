package app

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/piano-roc/rpn/app/config"
	"github.com/piano-roc/rpn/internal/redis/acme"
	"github.com/piano-roc/rpn/tlsconf/identity"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// openOwn opens one of our identities. With ACME nothing is asked yet:
// startOwn does.
func (a *App) openOwn(own config.Identity, stores *trust.Stores) (*identity.Source, error) {
	name, pair := own.Name, own.Pair
	o := identity.SourceOptions{
		Name: a.config.File() + ": " + name, Files: pair.Sets(), Purpose: own.Purpose, Production: a.config.Environment == config.Production, Now: a.now,
		Authorities: func() []*x509.Certificate { return authoritiesOf(stores) },
	}
	if pair.ACME != nil {
		acme, err := a.openACME(name, pair.ACME)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", a.config.File(), name, err)
		}
		o.ACME = acme
		a.acme[name] = acme
		a.onRelease("certificates of "+name, func(context.Context) error { acme.Stop(); return nil })
	}
	s, err := identity.OpenSource(o)
	if err != nil {
		return nil, err
	}
	for _, problem := range s.Unlinked() {
		a.log.Warn("our certificate goes without the CA that issued it", slog.String("event", "own_chain_incomplete"), slog.String("part", name), slog.String("error", problem))
	}
	return s, nil
}

func (a *App) openACME(name string, c *config.ACME) (*identity.ACME, error) {
	proxy := noProxy
	if a.looks == nil {
		tunnel, err := a.written().OpenTunnel(c.Directory)
		if err != nil {
			return nil, err
		}
		a.onStop("the way to the ACME directory of "+name, func(context.Context) error { tunnel.Close(); return nil })
		proxy = tunnel.Proxy
	}
	o := identity.ACMEOptions{
		Directory: c.Directory, Names: c.Names, Email: c.Email, AgreedTerms: c.AgreeTerms, RSA: c.RSA, Storage: c.Storage,
		HTTP: c.HTTP, TLSALPN: c.TLSALPN, EABKeyID: c.AccountKeyID, Proxy: proxy, Log: a.log,
	}
	if c.Storage == config.StorageRedis {
		o.Storage = ""
		o.Shared = func(kind string) identity.ACMEStorage {
			return acme.New(acme.Options{Client: a.redis.Within(redisForACME), Keys: a.secrets, Name: name + "/" + kind})
		}
	}
	if c.Roots != "" {
		roots, err := trust.OpenStore(trust.StoreOptions{Name: "acme.roots", Paths: []string{c.Roots}, Now: a.now})
		if err != nil {
			return nil, err
		}
		o.Roots = roots.Trust().Roots()
	}
	if c.AccountKeyFile != "" {
		key, err := os.ReadFile(c.AccountKeyFile)
		if err != nil {
			return nil, errors.New(config.Missing(c.AccountKeyFile, err))
		}
		o.EABKey = strings.TrimSpace(string(key))
	}
	return identity.NewACME(o)
}

// noProxy has nothing asked of an authority.
func noProxy(*http.Request) (*url.URL, error) { return nil, errors.New("nothing is asked by a check") }

// startOwn begins what keeps our certificates alive: ACME, and the OCSP answer
// beside the one that we show to establishments.
func (a *App) startOwn() error {
	for name, acme := range a.acme {
		if err := acme.Start(func() {
			if changed, err := a.own.Of(name).Reload(); err != nil {
				a.log.Error("the certificate obtained by ACME cannot be used", slog.String("event", "acme_certificate_unusable"), slog.String("part", name), slog.String("error", oneLine(err)))
			} else if changed {
				a.log.Info("a certificate came by ACME", slog.String("event", "acme_certificate_obtained"), slog.String("part", name))
			}
		}); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	a.running.Go(func() {
		a.own.Of("server").Staple(ctx, identity.StapleOptions{Log: a.log, Client: a.anybody().Client(nil, 10*time.Second)})
	})
	a.onStop("OCSP answers", func(context.Context) error { cancel(); return nil })
	return nil
}
