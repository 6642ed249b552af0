package app

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/piano-roc/rpn/annuaire"
	"github.com/piano-roc/rpn/app/admin"
	"github.com/piano-roc/rpn/app/config"
	"github.com/piano-roc/rpn/internal/redis"
	"github.com/piano-roc/rpn/internal/secret"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// openShared opens what the instances share: secrets, and Redis.
func (a *App) openShared() error {
	c := a.config
	if err := a.readSecrets(); err != nil {
		return err
	}
	if c.Redis.Given() {
		if err := a.openRedis(); err != nil {
			return setup(err, "correct redis in "+c.File())
		}
	}
	return nil
}

// readSecrets reads what the instances share, where there is something.
func (a *App) readSecrets() error {
	file := a.config.Secrets
	if file == "" {
		return nil
	}
	ring, err := secret.Read(file)
	if err != nil {
		return setup(unreadable(file, err), "correct secrets in "+a.config.File())
	}
	a.secrets = ring
	return nil
}

// unreadable is the error of a file that cannot be read, with who may not and the
// command that changes it; another error stays what it is.
func unreadable(file string, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return trust.FileProblem(file, err)
	}
	return err
}

// openRedis makes what speaks to Redis for everybody here; Redis need not be
// there.
func (a *App) openRedis() error {
	o, err := redisOptions(&a.config.Redis)
	if err != nil {
		return err
	}
	o.Log, o.Now = a.log, a.now
	client, err := redis.Open(o)
	if err != nil {
		return err
	}
	a.redis = client
	a.onStop("connections to Redis", func(context.Context) error { return client.Close() })
	a.shared = annuaire.NewShared(annuaire.SharedOptions{Client: client, Tags: a.secrets, MaxAge: a.config.Annuaire.MaxAge})
	return nil
}

// redisForACME bounds a command of ACME's storage, which no message waits for.
const redisForACME = 2 * time.Second

func redisOptions(r *config.Redis) (redis.Options, error) {
	o := redis.Options{
		URLs: r.URLs, SentinelMaster: r.SentinelMaster, Cluster: r.Cluster,
		User: r.User, Password: r.Password(), SentinelUser: r.SentinelUser, SentinelPassword: r.SentinelPassword(),
	}
	if r.CA == "" {
		return o, nil
	}
	var err error
	o.Roots, err = trust.ReadPool(r.CA)
	return o, err
}

// checkRedis says whether Redis is there. The RPN never needs it.
func (a *App) checkRedis(time.Time) admin.Health {
	h := admin.Health{Name: "redis", OK: true, Detail: "not configured: this instance is alone"}
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
