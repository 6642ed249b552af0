package app

import (
	"context"
	"time"

	"github.com/piano-roc/rpn/annuaire"
	"github.com/piano-roc/rpn/app/config"
	"github.com/piano-roc/rpn/internal/redis"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

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
