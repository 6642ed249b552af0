package annuaire

import (
	"context"
	"strings"
	"time"

	"github.com/piano-roc/rpn/internal/redis"
)

// inRedis is a remote over a real Redis, behind Sentinels or a Cluster too: no
// command is about two keys.
type inRedis struct{ client *redis.Client }

func (r inRedis) Get(ctx context.Context, key string, max int) ([]byte, error) {
	b, err := r.client.GetAtMost(ctx, key, max)
	if err == redis.ErrNone || err == nil && len(b) == 0 {
		return nil, nil
	}
	return b, err
}

func (r inRedis) Set(ctx context.Context, key string, value []byte, life time.Duration, index string, at time.Time) error {
	if err := r.client.ZAdd(ctx, index, key, float64(at.Unix())); err != nil {
		return err
	}
	return r.client.Set(ctx, key, value, life)
}

func (r inRedis) Del(ctx context.Context, key string) error { return r.client.Del(ctx, key) }

// trimmedAtOnce bounds one Trim; what is left is for the next.
const trimmedAtOnce = 1000

func (r inRedis) Trim(ctx context.Context, index string, most int) error {
	n, err := r.client.ZCard(ctx, index)
	if err != nil || n <= most {
		return err
	}
	oldest, err := r.client.ZPopMin(ctx, index, min(n-most, trimmedAtOnce))
	if err != nil {
		return err
	}
	for _, key := range oldest {
		// Only ours: who can write in the index must not make us drop others'.
		if strings.HasPrefix(key, sharedPrefix) {
			if err := r.client.Del(ctx, key); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r inRedis) Publish(ctx context.Context, text string) error {
	return r.client.Publish(ctx, sharedChannel, text)
}

func (r inRedis) Hear(ctx context.Context, subscribed func(), message func(string)) {
	r.client.Subscribe(ctx, sharedChannel, subscribed, message)
}

func (r inRedis) Memory(ctx context.Context) (int64, string, error) { return r.client.Memory(ctx) }
