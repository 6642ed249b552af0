package app

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/piano-roc/rpn/annuaire"
	"github.com/piano-roc/rpn/app/config"
	"github.com/piano-roc/rpn/indicators/live"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/secret"
	"github.com/piano-roc/rpn/internal/xmlsig"
	"github.com/piano-roc/rpn/proxy/facade"
)

// openShared opens what the instances share: secrets, and Redis.
func (a *App) openShared() error {
	c := a.config
	if c.Secrets != "" {
		ring, err := secret.Read(c.Secrets)
		if err != nil {
			return setup(err, "correct secrets in "+c.File())
		}
		a.secrets = ring
	}
	if c.Redis.Given() {
		if err := a.openRedis(); err != nil {
			return setup(err, "correct redis in "+c.File())
		}
	}
	return nil
}

// openDirectory opens what the annuaire's answers are kept in, and the
// directory on top. What is kept is believed by client alone.
func (a *App) openDirectory(client *annuaire.Client) {
	c := a.config
	a.openAnswers()
	a.directory = annuaire.New(annuaire.Options{
		Asker: a.asker, TTL: c.Annuaire.TTL, MaxAge: c.Annuaire.MaxAge, NegativeTTL: c.Annuaire.NegativeTTL, AskTimeout: c.Annuaire.Timeout,
		Disk: a.disk, Shared: a.shared, Believe: client.Believe,
		Guard: annuaire.GuardOptions{Share: c.Annuaire.HeldShare, Least: c.Annuaire.HeldLeast},
		Log:   a.log, Now: a.now,
	})
	a.onStop("annuaire", func(context.Context) error { a.directory.Close(); return nil })
}

// openAnswers opens the answers of the state folder. Without them the RPN only
// starts with nothing remembered, so it starts.
func (a *App) openAnswers() {
	file := a.config.AnswersFile()
	if file == "" {
		return
	}
	o := annuaire.DiskOptions{File: file, MaxAge: a.config.Annuaire.MaxAge, Now: a.now}
	if a.secrets != nil {
		o.Tags = a.secrets
	}
	disk, err := annuaire.OpenDisk(o)
	if err != nil {
		a.log.Error("the answers of the annuaire cannot be kept on disk", slog.String("error", err.Error()))
		return
	}
	a.disk = disk
	a.annuaire.keeps(disk.Newest())
	a.onStop("answers of the annuaire on disk", func(context.Context) error { return disk.Close() })
}

// facade is what answers the searches of establishments.
func (a *App) facade(answers *xmlsig.Verifier) (*facade.Facade, error) {
	c := a.config
	o := facade.Options{
		Verifier: answers, Signer: c.Annuaire.Signer, MaxAge: c.Annuaire.MaxAge, Limits: soapLimits(c),
		Endpoint: c.Endpoint, Life: c.Facade.Life, Now: a.now,
	}
	if c.Facade.Signature == nil {
		return facade.New(o), nil
	}
	pair, err := tls.LoadX509KeyPair(c.Facade.Signature.Certificate, c.Facade.Signature.Key)
	if err != nil {
		return nil, setup(fmt.Errorf("%s: facade.signature: %w", c.File(), err), "give a certificate and its key, in PEM")
	}
	signer, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, setup(errors.New(c.File()+": facade.signature: this key does not sign"), "give an RSA or ECDSA key")
	}
	chain, err := parseChain(pair.Certificate)
	if err != nil {
		return nil, setup(fmt.Errorf("%s: facade.signature: %w", c.File(), err), "give the certificate in PEM")
	}
	if h := validity(chain[0], a.now()); !h.OK {
		return nil, setup(errors.New(c.File()+": facade.signature: "+h.Detail), "renew it")
	}
	key := xmlsig.Key{Certificate: chain[0], Chain: chain[1:], Signer: signer}
	o.Keys = a.secrets
	o.Sign = func(m roc.Content, at time.Time) (roc.Content, error) {
		return xmlsig.Sign(m, key, xmlsig.SignOptions{At: at})
	}
	return facade.New(o), nil
}

// resolver is network.resolver; nil is the system's.
func resolver(n *config.Network) *net.Resolver {
	if !n.Resolver.IsValid() {
		return nil
	}
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, n.Resolver.String())
	}}
}

// redisState is how Redis does, for the metrics.
func (a *App) redisState() live.RedisState {
	switch {
	case a.redis == nil:
		return live.NoRedis
	case a.redis.Health().OK:
		return live.RedisThere
	}
	return live.RedisLost
}

// checkHeld says whether the annuaire's changes wait for an operator.
func (a *App) checkHeld(time.Time) Health {
	h := a.directory.Held()
	if h.Keys == 0 {
		return Health{Name: "annuaire_changes", OK: true, Detail: fmt.Sprintf("none is held; %d routes are known", h.Routes)}
	}
	return Health{Name: "annuaire_changes", OK: true, Degraded: true, Detail: fmt.Sprintf(
		"the annuaire moves %d routes since %s; the previous ones serve: look with `rpn annuaire held`, then `rpn annuaire approve`", len(h.Changes), h.Since.UTC().Format(time.RFC3339))}
}

// checkMemory says whether the annuaire's answers are kept on disk.
func (a *App) checkMemory(time.Time) Health {
	h := Health{Name: "annuaire_memory", OK: true}
	switch {
	case a.config.State == "":
		h.Detail = "answers are not kept on disk: the configuration names no state folder"
	case a.disk == nil:
		h.Degraded, h.Detail = true, "answers are not kept on disk: the log says why"
	default:
		n, bytes, err := a.disk.Size()
		h.Detail = fmt.Sprintf("%d answers on disk, %d kB", n, bytes>>10)
		if err != nil {
			h.Degraded, h.Detail = true, h.Detail+"; the last write failed: "+err.Error()
		}
	}
	return h
}

// checkRedis says whether Redis is there. The RPN never needs it.
func (a *App) checkRedis(time.Time) Health {
	h := Health{Name: "redis", OK: true, Detail: "not configured: this instance is alone"}
	if a.redis == nil {
		return h
	}
	s := a.redis.Health()
	h.Detail = "there: the instances share"
	if !s.OK {
		h.Degraded, h.Detail = true, "lost: this instance goes on alone"
	}
	if !s.LastSuccess.IsZero() {
		h.LastSuccess = s.LastSuccess.UTC().Format(time.RFC3339)
	}
	if s.LastError != nil {
		h.LastError = s.FailedAt.UTC().Format(time.RFC3339) + " " + s.LastError.Error()
	}
	return h
}

// serveHeld shows what the annuaire moves that waits for an operator.
func (a *App) serveHeld(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, a.directory.Held())
}

// serveApprove lets it pass, when it is still what the operator looked at:
// ?digest=.
func (a *App) serveApprove(w http.ResponseWriter, r *http.Request) {
	if !fromThisMachine(r) {
		http.Error(w, "an approval is accepted from this machine only", http.StatusForbidden)
		return
	}
	n, err := a.directory.Approve(r.URL.Query().Get("digest"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	fmt.Fprintf(w, "approved: %d changes\n", n)
}

// serveDoubt has everything that is remembered asked again within a minute.
func (a *App) serveDoubt(w http.ResponseWriter, r *http.Request) {
	if !fromThisMachine(r) {
		http.Error(w, "it is accepted from this machine only", http.StatusForbidden)
		return
	}
	a.directory.Doubt(time.Minute)
	a.log.Warn("an operator doubts what the annuaire said: each answer is asked again when it is next needed, within a minute")
	fmt.Fprintln(w, "each remembered answer is asked again when it is next needed, a minute from now at the latest")
}

func parseChain(ders [][]byte) ([]*x509.Certificate, error) {
	chain := make([]*x509.Certificate, len(ders))
	for i, der := range ders {
		var err error
		if chain[i], err = roc.ParseCertificate(der); err != nil {
			return nil, err
		}
	}
	return chain, nil
}
