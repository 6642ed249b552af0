package app

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/piano-roc/rpn/annuaire"
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
// directory on top. What is kept is verified by client alone.
func (a *App) openDirectory(client *annuaire.Client) error {
	c := a.config
	acts, err := annuaire.OpenActs(c.ActsFile())
	if err != nil {
		return setup(err, "correct the line, or move the file away: what operators approved and rejected is then forgotten")
	}
	a.acts = acts
	a.openAnswers()
	a.directory = annuaire.New(annuaire.Options{
		Asker: a.asker, TTL: c.Annuaire.TTL, Stale: c.Annuaire.Stale, MaxAge: c.Annuaire.MaxAge, NegativeTTL: c.Annuaire.NegativeTTL,
		AskTimeout: c.Annuaire.Timeout, PerSecond: c.Annuaire.PerSecond, NewKeys: c.Annuaire.NewKeys,
		Disk: a.disk, Shared: a.shared, VerifyStored: client.VerifyStored,
		Changes: annuaire.ChangeOptions{Share: c.Annuaire.HeldShare, Least: c.Annuaire.HeldLeast, Registered: func(n roc.NumeroAMC) bool {
			_, ok := a.register.Current().AMC(n)
			return ok
		}},
		ChangesFile: c.RoutesFile(), Acts: acts, Log: a.log, Now: a.now,
	})
	a.onStop("annuaire", func(context.Context) error { a.directory.Close(); return nil })
	return nil
}

// openAnswers opens the answers of the state folder. Without them the RPN only
// starts with nothing remembered, so it starts.
func (a *App) openAnswers() {
	file := a.config.AnswersFile()
	if file == "" {
		return
	}
	o := annuaire.DiskOptions{File: file, MaxAge: a.config.Annuaire.MaxAge, Log: a.log, Now: a.now}
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

// checkHeld says whether something of the annuaire waits for an operator.
func (a *App) checkHeld(time.Time) Health {
	h := a.directory.Held()
	waiting := h.Waiting()
	if waiting == 0 {
		return Health{Name: "annuaire_changes", OK: true, Detail: fmt.Sprintf("nothing waits; %d routes are known", h.Routes)}
	}
	return Health{Name: "annuaire_changes", OK: true, Degraded: true, Detail: fmt.Sprintf(
		"%d changes or new hosts of the annuaire wait for an operator; the previous addresses serve: look with `rpn annuaire held`", waiting)}
}

// checkQuestions says whether the annuaire is asked as often as it may be.
func (a *App) checkQuestions(time.Time) Health {
	s := a.directory.Stats()
	h := Health{Name: "annuaire_questions", OK: true, Detail: fmt.Sprintf("%d asked, none waits for annuaire.per_second", s.Asks)}
	if !s.LimitedAt.IsZero() && time.Since(s.LimitedAt) < time.Minute {
		h.Degraded, h.Detail = true, fmt.Sprintf("questions wait: annuaire.per_second (%g) is reached", a.config.Annuaire.PerSecond)
	}
	return h
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
		s := a.disk.Size()
		h.Detail = fmt.Sprintf("%d keys and %d answers on disk, %d kB", s.Keys, s.Contents, s.Bytes>>10)
		if s.Damaged > 0 {
			h.Degraded, h.Detail = true, h.Detail+fmt.Sprintf("; %d records were damaged since the start, and are kept in %s.bad", s.Damaged, a.config.AnswersFile())
		}
		if s.Err != nil {
			h.Degraded, h.Detail = true, h.Detail+"; the last write failed: "+s.Err.Error()
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

// serveHeld shows what of the annuaire waits for an operator.
func (a *App) serveHeld(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, a.directory.Held())
}

// serveDecide approves or rejects what is held or quarantined: ?amc=, ?host=,
// ?who= and ?why=.
func (a *App) serveDecide(act string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !fromThisMachine(r) {
			http.Error(w, "it is accepted from this machine only", http.StatusForbidden)
			return
		}
		q := r.URL.Query()
		amc, err := roc.ParseNumeroAMC(q.Get("amc"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		n, err := a.directory.Decide(annuaire.Act{Act: act, AMC: amc, Host: q.Get("host"), Who: q.Get("who"), Why: q.Get("why")})
		if err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
			return
		}
		fmt.Fprintf(w, "%s: %d routes or hosts\n", act, n)
	}
}

// serveRevalidate has everything that is remembered asked again within a
// minute.
func (a *App) serveRevalidate(w http.ResponseWriter, r *http.Request) {
	if !fromThisMachine(r) {
		http.Error(w, "it is accepted from this machine only", http.StatusForbidden)
		return
	}
	a.directory.RevalidateAll(time.Minute)
	a.log.Warn("annuaire cache invalidated by an operator; entries revalidated within 1 min", slog.String("event", "annuaire_revalidated"))
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
