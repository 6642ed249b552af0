package quota

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/piano-roc/rpn/internal/redis"
)

// A Store is the central side. Ask answers within ctx; an error says that it is
// not known what was given. Leave takes an instance out, so that the others no
// longer count with it. Safe for concurrent use.
type Store interface {
	Ask(ctx context.Context, q Question) (Answer, error)
	Leave(ctx context.Context, d Departure) error
}

//go:embed central.lua
var centralScript string

//go:embed leave.lua
var leaveScript string

// Redis is a Store in Redis: one script, by the server's time. Its keys are in
// one slot of a Cluster. It is trusted with the limits and with nothing else:
// who can write to it can let an establishment send more, or less. Configure it
// with maxmemory-policy noeviction: an evicted account is a full one.
type Redis struct {
	client *redis.Client
	script *redis.Script
	leave  *redis.Script
	prefix string
}

// NewRedis makes a Redis over client, which the caller closes.
func NewRedis(client *redis.Client) *Redis {
	return &Redis{client, redis.NewScript(centralScript), redis.NewScript(leaveScript), "{limites}:"}
}

// Ask runs the script once: one round trip, two the first time a server sees it.
func (s *Redis) Ask(ctx context.Context, q Question) (Answer, error) {
	keys := make([]string, 2, 2+len(q.Wants))
	keys[0], keys[1] = s.prefix+"depot", s.prefix+"instances"
	args := make([]any, 7, 7+5*len(q.Wants))
	args[0], args[1], args[2], args[3] = q.Instance, q.Mark, q.Sequence, flag(q.Lost)
	args[4], args[5], args[6] = memberLife.Microseconds(), silence.Microseconds(), settling.Microseconds()
	for _, w := range q.Wants {
		keys = append(keys, s.prefix+"compte:"+w.Account)
		args = append(args, number(w.Terms.Rate), number(w.Terms.Burst), number(w.Terms.Life.Seconds()), number(w.Terms.Overdraft), number(w.Units))
	}
	out, err := s.client.RunOnSlot(ctx, s.script, keys, args...)
	if err != nil {
		return Answer{}, err
	}
	return readAnswer(out, len(q.Wants))
}

// Leave runs its script once.
func (s *Redis) Leave(ctx context.Context, d Departure) error {
	_, err := s.client.RunOnSlot(ctx, s.leave, []string{s.prefix + "depot", s.prefix + "instances"}, d.Instance, d.Mark, d.Sequence, flag(d.Lost))
	return err
}

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

func number(f float64) string { return strconv.FormatFloat(f, 'g', 17, 64) }

var errAnswer = errors.New("quota: not an answer of the script")

// readAnswer parses what the script returned. Anything unexpected is an error:
// a store with unusable answers counts as away.
func readAnswer(out []any, wants int) (a Answer, err error) {
	if len(out) != 4+2*wants {
		return a, errAnswer
	}
	numbers := make([]int64, len(out))
	for i, v := range out {
		switch v := v.(type) {
		case int64:
			numbers[i] = v
		case string:
			if numbers[i], err = strconv.ParseInt(v, 10, 64); err != nil {
				return a, fmt.Errorf("%w: %w", errAnswer, err)
			}
		default:
			return a, errAnswer
		}
		if numbers[i] < 0 {
			return a, errAnswer
		}
	}
	a = Answer{Mark: numbers[0], Sequence: numbers[1], Instances: int(numbers[2]), Settling: numbers[3] != 0, Grants: make([]Grant, wants)}
	for i := range a.Grants {
		a.Grants[i] = Grant{float64(numbers[4+2*i]), time.Duration(min(numbers[5+2*i], 3600e6)) * time.Microsecond}
	}
	return a, nil
}
