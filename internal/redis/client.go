// Package redis is the only access to Redis: one opener (a single server,
// Sentinels or a Cluster), one health and one prefix of keys for everything
// that the instances of one RPN share. The library behind it, go-redis, is
// imported here and nowhere else.
//
// Redis is neither trusted nor required. When a command fails in a way that
// means that Redis is lost (errors.go has the list), every command after it
// fails at once with ErrLost, without contacting Redis, until a probe in the
// background, on fresh connections, has written something: no message waits for
// a Redis that is away, and none keeps a connection to a server that is no
// longer the master.
package redis

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Prefix begins every key and every channel: the rights that the RPN needs in
// Redis are those on "rpn:*".
const Prefix = "rpn:"

// Options are what a Client needs. URLs is required.
type Options struct {
	// URLs are that of one Redis, of the Sentinels, or of some nodes of the
	// Cluster: "redis://host:6379/0", with rediss for TLS.
	URLs           []string
	SentinelMaster string // the name of the master; "": the URLs are no Sentinels
	Cluster        bool

	User, Password string

	// SentinelUser and SentinelPassword are those of the Sentinels. Default:
	// User and Password. Sentinels without a password are contacted without
	// one.
	SentinelUser, SentinelPassword string

	// Roots are the authorities of rediss. Default: those of the system.
	Roots *x509.CertPool

	// Timeout bounds each command. Default: 250 ms. See Within.
	Timeout time.Duration

	// Probe is the interval between two probes of Redis. Default: 1 s.
	Probe time.Duration

	Log *slog.Logger     // default: nothing is logged
	Now func() time.Time // default: time.Now
}

// A Client is the access to Redis for the whole process. It is safe for
// concurrent use.
type Client struct {
	*shared
	timeout time.Duration
}

// shared is common to the views of one Client.
type shared struct {
	o      Options
	open   func(context.Context) (redis.UniversalClient, error) // a fresh client, which has no connection yet
	end    context.CancelFunc
	done   sync.WaitGroup
	lost   chan struct{} // wakes the probe
	probed chan struct{} // closed when it is known whether Redis is there

	mu      sync.Mutex    // guards all below
	current *generation   // nil: Redis was never there
	changed chan struct{} // closed when current is another
	health  Health
	refused time.Time // when a command that Redis refuses was last logged
	closed  bool
}

// A generation is the connections between two losses. Its context ends with it.
type generation struct {
	client redis.UniversalClient
	over   context.Context
	end    context.CancelFunc
}

func (o *Options) setDefaults() {
	if o.Timeout <= 0 {
		o.Timeout = 250 * time.Millisecond
	}
	if o.Probe <= 0 {
		o.Probe = time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

// Open makes a Client and begins to probe; Redis need not be there. The error
// is about the options.
func Open(o Options) (*Client, error) {
	quiet()
	o.setDefaults()
	u, err := o.universal()
	if err != nil {
		return nil, err
	}
	ctx, end := context.WithCancel(context.Background())
	s := newShared(o)
	s.end = end
	s.open = func(ctx context.Context) (redis.UniversalClient, error) { return o.fresh(ctx, u) }
	s.done.Go(func() { s.watch(ctx) })
	return &Client{shared: s, timeout: o.Timeout}, nil
}

func newShared(o Options) *shared {
	return &shared{o: o, lost: make(chan struct{}, 1), probed: make(chan struct{}), changed: make(chan struct{}), health: Health{OK: true}}
}

func newGeneration(c redis.UniversalClient) *generation {
	g := &generation{client: c}
	g.over, g.end = context.WithCancel(context.Background())
	return g
}

func (g *generation) close() error {
	g.end()
	return g.client.Close()
}

// Within returns the same Client, whose commands are bounded by d.
func (c *Client) Within(d time.Duration) *Client { return &Client{shared: c.shared, timeout: d} }

// Close ends the probe and the connections. Commands fail from then on.
func (c *Client) Close() error {
	c.end()
	c.done.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	if c.current == nil {
		return nil
	}
	return c.current.close()
}

// quiet keeps go-redis from writing to standard error: its problems are
// returned as errors.
var quiet = sync.OnceFunc(func() { redis.SetLogger(silence{}) })

type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

// universal are the library's options, without the login of Sentinels.
func (o *Options) universal() (*redis.UniversalOptions, error) {
	u := &redis.UniversalOptions{
		MasterName: o.SentinelMaster, IsClusterMode: o.Cluster,
		Username: o.User, Password: o.Password, ClientName: "rpn",
		DialTimeout: time.Second, ReadTimeout: 500 * time.Millisecond, WriteTimeout: 500 * time.Millisecond,
		ContextTimeoutEnabled: true, MaxRetries: 1, DialerRetries: 1, PoolSize: 32, PoolTimeout: 500 * time.Millisecond,
		DisableIdentity: true,
		// The notifications of Redis Enterprise: not asked for.
		MaintNotificationsConfig: noNotifications(),
	}
	if len(o.URLs) == 0 {
		return nil, errors.New("redis: no URL is given")
	}
	for _, raw := range o.URLs {
		r, err := url.Parse(raw)
		if err != nil || r.Hostname() == "" {
			return nil, errors.New("redis: one of the URLs is not a URL")
		}
		port := r.Port()
		if port == "" {
			port = "6379"
		}
		u.Addrs = append(u.Addrs, joinHostPort(r.Hostname(), port))
		if db := strings.Trim(r.Path, "/"); db != "" && !o.Cluster {
			if u.DB, err = strconv.Atoi(db); err != nil {
				return nil, errors.New("redis: the path of a URL is not a database number")
			}
		}
		if r.Scheme == "rediss" {
			u.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.Roots}
		}
	}
	return u, nil
}
