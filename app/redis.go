package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/piano-roc/rpn/app/config"
)

// quiet keeps go-redis from writing on standard error: what it meets comes
// back as errors, and is logged by those who asked.
var quiet = sync.OnceFunc(func() { redis.SetLogger(silence{}) })

type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

// openRedis connects to Redis, when it is asked something first.
func openRedis(r *config.Redis, password string) (redis.UniversalClient, error) {
	quiet()
	o := &redis.UniversalOptions{
		MasterName: r.SentinelMaster, IsClusterMode: r.Cluster,
		Username: r.User, Password: password, ClientName: "rpn",
		DialTimeout: time.Second, ReadTimeout: 500 * time.Millisecond, WriteTimeout: 500 * time.Millisecond,
		ContextTimeoutEnabled: true, MaxRetries: 1, DialerRetries: 1, PoolSize: 32, PoolTimeout: 500 * time.Millisecond,
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	for _, raw := range r.URLs {
		u, err := url.Parse(raw)
		if err != nil {
			return nil, errors.New("redis.urls holds what is no URL")
		}
		port := u.Port()
		if port == "" {
			port = "6379"
		}
		o.Addrs = append(o.Addrs, u.Hostname()+":"+port)
		if db := strings.Trim(u.Path, "/"); db != "" && !r.Cluster {
			o.DB, _ = strconv.Atoi(db)
		}
		if u.Scheme == "rediss" && o.TLSConfig == nil {
			if o.TLSConfig, err = redisTLS(r); err != nil {
				return nil, err
			}
		}
	}
	if r.SentinelMaster != "" { // the Sentinels know the same user, or none
		o.SentinelUsername, o.SentinelPassword = "", ""
	}
	return redis.NewUniversalClient(o), nil
}

func redisTLS(r *config.Redis) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if r.CA == "" {
		return c, nil
	}
	pem, err := os.ReadFile(r.CA)
	if err != nil {
		return nil, err
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", r.CA)
	}
	return c, nil
}
