package redis

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"
)

// Health is the state of Redis, for /readyz and the metrics.
type Health struct {
	OK          bool
	LastSuccess time.Time // zero: never
	LastError   error     // the last one, also once it is over; nil: none
	FailedAt    time.Time
	Losses      uint64 // how many times it was lost
	Subscribed  int    // channels subscribed now
}

// Health returns the state of Redis.
func (c *Client) Health() Health {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.health
}

// generation returns the connections in use, and false while Redis is lost.
func (s *shared) generation() (*generation, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current, s.health.OK && !s.closed
}

// note records the result of a command on that generation. The result of an
// older generation says nothing about Redis now.
func (s *shared) note(g *generation, v verdict, err error) {
	s.mu.Lock()
	if g != s.current || s.closed || v == silent {
		s.mu.Unlock()
		return
	}
	now, was := s.o.Now(), s.health.OK
	sayRefused := false
	switch v {
	case serves:
		if was { // while it is lost only found says otherwise
			s.health.LastSuccess = now
		}
	case refuses:
		if sayRefused = now.Sub(s.refused) >= time.Minute; sayRefused {
			s.refused = now
		}
	case lost:
		s.health.OK = false
		s.health.LastError, s.health.FailedAt = err, now
		if was {
			s.health.Losses++
		}
	}
	s.mu.Unlock()
	switch {
	case sayRefused:
		s.o.Log.Error("Redis refuses a command: check the rights of its user", slog.String("event", "redis_refused"), slog.Any("error", err))
	case v == lost && was:
		s.o.Log.Error("Redis is lost: this instance works alone", slog.String("event", "redis_lost"), slog.Any("error", err))
		select {
		case s.lost <- struct{}{}:
		default:
		}
	}
}

// watch probes Redis, so that its loss is known before a message meets it, and
// its return without waiting for one.
func (s *shared) watch(ctx context.Context) {
	tick := time.NewTicker(s.o.Probe)
	defer tick.Stop()
	for first := true; ; first = false {
		s.probe(ctx)
		if first {
			close(s.probed)
		}
		select {
		case <-ctx.Done():
			return
		case <-s.lost: // at once, on fresh connections
		case <-tick.C:
		}
	}
}

// probe uses the connections in use while all is well, and fresh ones while
// Redis is lost: Sentinels, a Cluster and DNS are then asked again who is
// master, and nothing stays connected to the former one.
func (s *shared) probe(ctx context.Context) {
	g, ok := s.generation()
	if ok && g != nil {
		err := s.ping(ctx, g.client)
		v := verdictOf(ctx, err)
		if v == refuses { // it may not write: of no use
			v = lost
		}
		s.note(g, v, err)
		return
	}
	opening, cancel := context.WithTimeout(ctx, sentinelsWithin)
	client, err := s.open(opening)
	cancel()
	if err == nil {
		if err = s.ping(ctx, client); err != nil {
			client.Close()
		}
	}
	switch {
	case ctx.Err() != nil:
		if err == nil {
			client.Close()
		}
	case err != nil:
		s.note(g, lost, err)
	default:
		s.found(newGeneration(client))
	}
}

// found replaces the former connections by proven ones.
func (s *shared) found(g *generation) {
	s.mu.Lock()
	former := s.current
	s.current = g
	s.health.OK, s.health.LastSuccess = true, s.o.Now()
	close(s.changed)
	s.changed = make(chan struct{})
	s.mu.Unlock()
	if former != nil {
		former.close()
	}
	s.o.Log.Info("Redis answers: the instances share their state", slog.String("event", "redis_found"))
}

// sentinelsWithin bounds the question to the Sentinels.
const sentinelsWithin = time.Second

// pingWithin bounds a ping, connecting included.
func (o *Options) pingWithin() time.Duration { return max(time.Second, 4*o.Timeout) }

// foundWithin bounds the time from the promotion of a master to its use: the
// probe that was under way and saw none, the pause after it, and the probe that
// finds it.
func (o *Options) foundWithin() time.Duration {
	probe := sentinelsWithin + o.pingWithin()
	return probe + o.Probe + probe
}

// ping writes, because a Redis that only answers reads (a replica, a Cluster
// that lost its majority) is of no use; and of a Cluster it asks every master,
// each of which holds a part of the keys.
func (s *shared) ping(ctx context.Context, c redis.UniversalClient) error {
	ctx, cancel := context.WithTimeout(ctx, s.o.pingWithin())
	defer cancel()
	err := c.Set(ctx, Prefix+"ping", 1, time.Minute).Err()
	if cluster, ok := c.(*redis.ClusterClient); ok && err == nil {
		err = cluster.ForEachMaster(ctx, func(ctx context.Context, m *redis.Client) error { return m.Ping(ctx).Err() })
	}
	return err
}

// ask runs one command, or returns ErrLost without asking.
func (c *Client) ask(ctx context.Context, command func(context.Context, redis.UniversalClient) error) error {
	within, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	select {
	case <-c.probed:
	case <-within.Done():
		if err := ctx.Err(); err != nil {
			return err
		}
		return ErrLost // not known yet
	}
	g, ok := c.generation()
	if !ok {
		return ErrLost
	}
	err := command(within, g.client)
	c.note(g, verdictOf(ctx, err), err)
	if errors.Is(err, redis.Nil) {
		return ErrNone
	}
	return err
}
