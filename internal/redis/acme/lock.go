package acme

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/piano-roc/rpn/internal/redis"
)

// Only its holder renews a lock, or releases it.
var (
	extend  = redis.NewScript(`if redis.call("get",KEYS[1])==ARGV[1] then return redis.call("pexpire",KEYS[1],ARGV[2]) end return 0`)
	release = redis.NewScript(`if redis.call("get",KEYS[1])==ARGV[1] then return redis.call("del",KEYS[1]) end return 0`)
)

// again is the interval between two attempts to take a held lock.
const again = 200 * time.Millisecond

// Lock waits until the lock is ours, or ctx ends. It is renewed until Unlock;
// when its holder dies, it is free after Options.Lease.
func (s *Storage) Lock(ctx context.Context, name string) error {
	tick := time.NewTicker(again)
	defer tick.Stop()
	for {
		if ok, err := s.TryLock(ctx, name); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// TryLock takes the lock when nobody has it.
func (s *Storage) TryLock(ctx context.Context, name string) (bool, error) {
	key, token := s.lockKey(name), rand.Text()
	ours, err := s.o.Client.SetNew(ctx, key, []byte(token), s.o.Lease)
	if err != nil {
		return false, fmt.Errorf("acme storage: lock %s: %w", name, err)
	}
	if !ours {
		return false, nil
	}
	renewing, stop := context.WithCancel(context.WithoutCancel(ctx))
	l := &lock{token: token, stop: stop, done: make(chan struct{})}
	s.mu.Lock()
	s.held[name] = l
	s.mu.Unlock()
	go s.renew(renewing, key, l)
	return true, nil
}

// renew keeps the lock until it is released or was lost.
func (s *Storage) renew(ctx context.Context, key string, l *lock) {
	defer close(l.done)
	tick := time.NewTicker(s.o.Lease / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		n, err := s.o.Client.Run(ctx, extend, key, l.token, s.o.Lease.Milliseconds())
		if err == nil && n == 0 {
			return // another has it: Redis lost it, or was away for too long
		}
	}
}

// Unlock releases a lock of ours; one that was lost meanwhile is left to its
// new holder.
func (s *Storage) Unlock(ctx context.Context, name string) error {
	s.mu.Lock()
	l := s.held[name]
	delete(s.held, name)
	s.mu.Unlock()
	if l == nil {
		return fmt.Errorf("acme storage: lock %s is not held", name)
	}
	l.stop()
	<-l.done
	if _, err := s.o.Client.Run(ctx, release, s.lockKey(name), l.token); err != nil {
		return fmt.Errorf("acme storage: unlock %s: %w", name, err)
	}
	return nil
}
