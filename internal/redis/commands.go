package redis

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Each command names one key, without Prefix, so that it works on a Cluster.
// Its error is ErrLost while Redis is lost, and ErrNone where there is nothing.

// Get returns a value.
func (c *Client) Get(ctx context.Context, key string) (value []byte, err error) {
	err = c.ask(ctx, func(ctx context.Context, r redis.UniversalClient) (err error) {
		value, err = r.Get(ctx, Prefix+key).Bytes()
		return err
	})
	return value, err
}

// GetAtMost returns the first most bytes of a value, however long it is.
func (c *Client) GetAtMost(ctx context.Context, key string, most int) (value []byte, err error) {
	err = c.ask(ctx, func(ctx context.Context, r redis.UniversalClient) (err error) {
		value, err = r.GetRange(ctx, Prefix+key, 0, int64(most)-1).Bytes()
		return err
	})
	return value, err
}

// Set keeps a value for that long; 0: for ever.
func (c *Client) Set(ctx context.Context, key string, value []byte, life time.Duration) error {
	return c.ask(ctx, func(ctx context.Context, r redis.UniversalClient) error {
		return r.Set(ctx, Prefix+key, value, life).Err()
	})
}

// SetNew keeps a value for that long, unless there is one: it reports whether
// it did.
func (c *Client) SetNew(ctx context.Context, key string, value []byte, life time.Duration) (bool, error) {
	err := c.ask(ctx, func(ctx context.Context, r redis.UniversalClient) error {
		return r.SetArgs(ctx, Prefix+key, value, redis.SetArgs{Mode: "NX", TTL: life}).Err()
	})
	if err == ErrNone {
		return false, nil
	}
	return err == nil, err
}

// Del removes a key. None is not an error.
func (c *Client) Del(ctx context.Context, key string) error {
	return c.ask(ctx, func(ctx context.Context, r redis.UniversalClient) error { return r.Del(ctx, Prefix+key).Err() })
}

// HGet returns a field of a hash.
func (c *Client) HGet(ctx context.Context, key, field string) (value []byte, err error) {
	err = c.ask(ctx, func(ctx context.Context, r redis.UniversalClient) (err error) {
		value, err = r.HGet(ctx, Prefix+key, field).Bytes()
		return err
	})
	return value, err
}

// HSet keeps a field of a hash.
func (c *Client) HSet(ctx context.Context, key, field string, value []byte) error {
	return c.ask(ctx, func(ctx context.Context, r redis.UniversalClient) error {
		return r.HSet(ctx, Prefix+key, field, value).Err()
	})
}

// HDel removes fields of a hash.
func (c *Client) HDel(ctx context.Context, key string, fields ...string) error {
	return c.ask(ctx, func(ctx context.Context, r redis.UniversalClient) error {
		return r.HDel(ctx, Prefix+key, fields...).Err()
	})
}

// HKeys returns the fields of a hash: none when there is no hash.
func (c *Client) HKeys(ctx context.Context, key string) (fields []string, err error) {
	err = c.ask(ctx, func(ctx context.Context, r redis.UniversalClient) (err error) {
		fields, err = r.HKeys(ctx, Prefix+key).Result()
		return err
	})
	return fields, err
}

// HGetAll returns a whole hash.
func (c *Client) HGetAll(ctx context.Context, key string) (all map[string]string, err error) {
	err = c.ask(ctx, func(ctx context.Context, r redis.UniversalClient) (err error) {
		all, err = r.HGetAll(ctx, Prefix+key).Result()
		return err
	})
	return all, err
}

// A Script runs in Redis, whole, on one key: KEYS[1].
type Script struct{ s *redis.Script }

// NewScript makes a script of Lua.
func NewScript(text string) *Script { return &Script{redis.NewScript(text)} }

// Run runs a script that returns a number.
func (c *Client) Run(ctx context.Context, s *Script, key string, args ...any) (n int, err error) {
	err = c.ask(ctx, func(ctx context.Context, r redis.UniversalClient) (err error) {
		n, err = s.s.Run(ctx, r, []string{Prefix + key}, args...).Int()
		return err
	})
	return n, err
}

// RunOnSlot runs a script that returns a list, on several keys: they share one
// hash tag, so that a Cluster has them in one slot.
func (c *Client) RunOnSlot(ctx context.Context, s *Script, keys []string, args ...any) (list []any, err error) {
	all := make([]string, len(keys))
	for i, key := range keys {
		if hashTag(key) == "" || hashTag(key) != hashTag(keys[0]) {
			return nil, errors.New("redis: the keys of a script do not share one hash tag")
		}
		all[i] = Prefix + key
	}
	err = c.ask(ctx, func(ctx context.Context, r redis.UniversalClient) (err error) {
		list, err = s.s.Run(ctx, r, all, args...).Slice()
		return err
	})
	return list, err
}

// hashTag is what stands in the first braces of a key: a Cluster places it by
// that alone.
func hashTag(key string) string {
	_, rest, _ := strings.Cut(key, "{")
	tag, _, _ := strings.Cut(rest, "}")
	return tag
}

// ZAdd enters a member into a sorted set, or changes its score.
func (c *Client) ZAdd(ctx context.Context, key, member string, score float64) error {
	return c.ask(ctx, func(ctx context.Context, r redis.UniversalClient) error {
		return r.ZAdd(ctx, Prefix+key, redis.Z{Score: score, Member: member}).Err()
	})
}

// ZCard returns how many members a sorted set has: 0 when there is none.
func (c *Client) ZCard(ctx context.Context, key string) (n int, err error) {
	err = c.ask(ctx, func(ctx context.Context, r redis.UniversalClient) error {
		m, err := r.ZCard(ctx, Prefix+key).Result()
		n = int(m)
		return err
	})
	return n, err
}

// ZPopMin takes the members with the lowest scores out of a sorted set.
func (c *Client) ZPopMin(ctx context.Context, key string, n int) (members []string, err error) {
	err = c.ask(ctx, func(ctx context.Context, r redis.UniversalClient) error {
		list, err := r.ZPopMin(ctx, Prefix+key, int64(n)).Result()
		for _, z := range list {
			if m, ok := z.Member.(string); ok {
				members = append(members, m)
			}
		}
		return err
	})
	return members, err
}

// Memory returns how much memory Redis may take, 0 for no bound, and what it
// does once it has.
func (c *Client) Memory(ctx context.Context) (most int64, policy string, err error) {
	var info string
	err = c.ask(ctx, func(ctx context.Context, r redis.UniversalClient) (err error) {
		info, err = r.Info(ctx, "memory").Result()
		return err
	})
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch name {
		case "maxmemory":
			most, _ = strconv.ParseInt(value, 10, 64)
		case "maxmemory_policy":
			policy = value
		}
	}
	return most, policy, err
}

// Publish tells a channel.
func (c *Client) Publish(ctx context.Context, channel, text string) error {
	return c.ask(ctx, func(ctx context.Context, r redis.UniversalClient) error {
		return r.Publish(ctx, Prefix+channel, text).Err()
	})
}

// Subscribe passes what is published on a channel to received, until ctx ends.
// It calls joined each time that the subscription begins: what was published
// before, since the start or the last loss, was missed. Both are called by this
// goroutine.
func (c *Client) Subscribe(ctx context.Context, channel string, joined func(), received func(text string)) {
	for ctx.Err() == nil {
		c.mu.Lock()
		g, changed := c.current, c.changed
		c.mu.Unlock()
		if g != nil {
			c.subscribe(ctx, g, channel, joined, received)
		}
		select {
		case <-ctx.Done():
		case <-changed:
		case <-time.After(c.o.Probe): // a subscription that ended by itself
		}
	}
}

// subscribe is Subscribe on one generation.
func (c *Client) subscribe(ctx context.Context, g *generation, channel string, joined func(), received func(text string)) {
	sub := g.client.Subscribe(ctx, Prefix+channel)
	defer sub.Close()
	hears := false
	defer func() { c.hearing(&hears, false) }()
	said := sub.ChannelWithSubscriptions(redis.WithChannelHealthCheckInterval(c.o.Probe))
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.over.Done():
			return
		case m, open := <-said:
			if !open {
				return
			}
			switch m := m.(type) {
			case *redis.Subscription:
				c.hearing(&hears, true)
				joined()
			case *redis.Message:
				received(m.Payload)
			}
		}
	}
}

// subscribed counts a channel that is subscribed, or is no more.
func (s *shared) hearing(was *bool, is bool) {
	if *was == is {
		return
	}
	*was = is
	s.mu.Lock()
	defer s.mu.Unlock()
	if is {
		s.health.Subscribed++
	} else {
		s.health.Subscribed--
	}
}
