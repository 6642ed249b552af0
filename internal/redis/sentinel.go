package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

func noNotifications() *maintnotifications.Config {
	return &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

func joinHostPort(host, port string) string { return net.JoinHostPort(host, port) }

// fresh makes a client, behind Sentinels with the login that one of them takes.
func (o *Options) fresh(ctx context.Context, u *redis.UniversalOptions) (redis.UniversalClient, error) {
	own := *u
	if o.SentinelMaster != "" {
		login, err := o.sentinelLogin(ctx, u)
		if err != nil {
			return nil, err
		}
		own.SentinelUsername, own.SentinelPassword = login.user, login.password
	}
	return redis.NewUniversalClient(&own), nil
}

type login struct{ user, password string }

// logins are those to try: what was given, without the user (a Sentinel with
// requirepass knows the default user alone), and none (it refuses a password
// where it has none).
func (o *Options) logins() []login {
	given := login{o.SentinelUser, o.SentinelPassword}
	if given == (login{}) {
		given = login{o.User, o.Password}
	}
	return slices.Compact([]login{given, {"", given.password}, {}})
}

// sentinelLogin asks all Sentinels at once who is master, because a machine that
// hangs may have taken some of them along, and returns the login with which the
// first of them answers.
func (o *Options) sentinelLogin(ctx context.Context, u *redis.UniversalOptions) (login, error) {
	ctx, cancel := context.WithCancel(ctx)
	type answer struct {
		login
		err error
	}
	answers := make(chan answer, len(u.Addrs))
	var asked sync.WaitGroup
	defer asked.Wait()
	defer cancel()
	for _, addr := range u.Addrs {
		asked.Go(func() {
			l, err := o.loginAt(ctx, addr, u)
			answers <- answer{l, err}
		})
	}
	var problems []error
	for range u.Addrs {
		a := <-answers
		if a.err == nil {
			return a.login, nil
		}
		problems = append(problems, a.err)
	}
	return login{}, errors.Join(problems...)
}

// loginAt returns the login that one Sentinel takes.
func (o *Options) loginAt(ctx context.Context, addr string, u *redis.UniversalOptions) (login, error) {
	var problems []error
	for _, l := range o.logins() {
		err := askSentinel(ctx, addr, l, u)
		if err == nil {
			return l, nil
		}
		problems = append(problems, fmt.Errorf("sentinel %s: %w", addr, err))
		if !isLogin(err) {
			break // another login changes nothing
		}
	}
	return login{}, errors.Join(problems...)
}

func askSentinel(ctx context.Context, addr string, l login, u *redis.UniversalOptions) error {
	s := redis.NewSentinelClient(&redis.Options{
		Addr: addr, Username: l.user, Password: l.password, TLSConfig: u.TLSConfig,
		DialTimeout: u.DialTimeout, ReadTimeout: u.ReadTimeout, WriteTimeout: u.WriteTimeout, MaxRetries: -1, DialerRetries: 1,
		ContextTimeoutEnabled: true, DisableIdentity: true, MaintNotificationsConfig: noNotifications(),
	})
	defer s.Close()
	defer context.AfterFunc(ctx, func() { s.Close() })() // another one answered: a read ends at once
	_, err := s.GetMasterAddrByName(ctx, u.MasterName).Result()
	if errors.Is(err, redis.Nil) {
		return fmt.Errorf("it knows no master of the name %q", u.MasterName)
	}
	return err
}
