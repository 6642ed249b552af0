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

	"github.com/piano-roc/rpn/internal/strict"
)

// given reports whether the configuration has a Redis.
func (r *Redis) given() bool { return len(r.URLs) > 0 }

// checkRedis checks the section redis.
func (c *Config) checkRedis(doc *strict.Document) {
	r := &c.Redis
	if !r.given() {
		if r.SentinelMaster != "" || r.Cluster || r.User != "" || r.PasswordFile != "" || r.CA != "" {
			doc.Refuse(doc.At("redis"), `add urls: ["rediss://redis.example:6379"], or remove the section`, "redis.urls is missing")
		}
		return
	}
	if c.Secrets == "" {
		doc.Refuse(doc.At("redis"), "add secrets: secrets.txt, made with `openssl rand -hex 32`, the same on every instance", "redis needs secrets: who can write in Redis could else give one answer for another")
	}
	schemes := map[string]bool{}
	for i, raw := range r.URLs {
		u, err := url.Parse(raw)
		switch at := doc.At("redis", "urls", i); {
		case err != nil || u.Hostname() == "" || u.Scheme != "redis" && u.Scheme != "rediss":
			doc.RefuseSecret(at, `write it like "rediss://redis.example:6379/0"`, "it is not a redis or rediss URL")
			return
		case u.User != nil:
			doc.RefuseSecret(at, "move them to redis.user and redis.password_file", "the URL holds a user or a password")
			return
		case strings.Trim(u.Path, "/") != "" && !isDatabase(u.Path):
			doc.Refuse(at, "end it with the number of the database: /0", "%q is not a database", u.Path)
		default:
			schemes[u.Scheme] = true
		}
	}
	switch {
	case len(schemes) > 1:
		doc.Refuse(doc.At("redis", "urls"), "write all of them with rediss", "some URLs are TLS and some are not")
	case r.SentinelMaster != "" && r.Cluster:
		doc.Refuse(doc.At("redis", "cluster"), "remove one of the two", "Redis is behind Sentinels, or a Cluster, not both")
	case len(r.URLs) > 1 && r.SentinelMaster == "" && !r.Cluster:
		doc.Refuse(doc.At("redis", "urls"), "add sentinel_master or cluster: true, or keep one URL", "several URLs and no word of what they are")
	case r.CA != "" && !schemes["rediss"]:
		doc.Refuse(doc.At("redis", "ca"), "write the URLs with rediss", "an authority is given and Redis is not reached by TLS")
	}
	if c.Environment == Production && !schemes["rediss"] && !r.local() {
		doc.Refuse(doc.At("redis", "urls"), "write it with rediss", "in production a Redis on another machine is reached by TLS")
	}
	r.readPassword(doc)
}

// local reports whether every URL is of this machine.
func (r *Redis) local() bool {
	for _, raw := range r.URLs {
		u, _ := url.Parse(raw)
		if h := u.Hostname(); h != "localhost" && h != "127.0.0.1" && h != "::1" {
			return false
		}
	}
	return true
}

func isDatabase(path string) bool {
	n, err := strconv.Atoi(strings.Trim(path, "/"))
	return err == nil && n >= 0 && n < 1<<16
}

func (r *Redis) readPassword(doc *strict.Document) {
	if r.PasswordFile == "" {
		return
	}
	b, err := os.ReadFile(r.PasswordFile)
	if err != nil {
		return // said by checkFiles
	}
	r.password = strings.TrimSpace(string(b))
	if r.password == "" || strings.Contains(r.password, "\n") {
		doc.Refuse(doc.At("redis", "password_file"), "write the password on its only line", "%s does not hold one line", r.PasswordFile)
	}
}

// quiet keeps go-redis from writing on standard error: what it meets comes
// back as errors, and is logged by those who asked.
var quiet = sync.OnceFunc(func() { redis.SetLogger(silence{}) })

type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

// open connects to Redis, when it is asked something first.
func (r *Redis) open() (redis.UniversalClient, error) {
	quiet()
	o := &redis.UniversalOptions{
		MasterName: r.SentinelMaster, IsClusterMode: r.Cluster,
		Username: r.User, Password: r.password, ClientName: "rpn",
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
			if o.TLSConfig, err = r.tls(); err != nil {
				return nil, err
			}
		}
	}
	if r.SentinelMaster != "" { // the Sentinels know the same user, or none
		o.SentinelUsername, o.SentinelPassword = "", ""
	}
	return redis.NewUniversalClient(o), nil
}

func (r *Redis) tls() (*tls.Config, error) {
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
