package replay

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/redis/go-redis/v9"
)

// Shared is a window that several instances share through Redis. Each keeps
// its own Local too, which answers most replays without a question.
//
// Redis is not trusted and not needed: it can at most make a replay pass, or,
// written to by an enemy, make a message look replayed. Without it the window
// fails open to Local, because the outage of a cache must not stop the billing
// of a country, and the error says so.
type Shared struct {
	local   *Local
	client  redis.UniversalClient
	timeout time.Duration
}

// NewShared makes a window over local and client. timeout bounds each question
// to Redis; 0 means 100 ms. The caller closes client.
func NewShared(local *Local, client redis.UniversalClient, timeout time.Duration) *Shared {
	if timeout <= 0 {
		timeout = 100 * time.Millisecond
	}
	return &Shared{local, client, timeout}
}

// Seen asks Local, then Redis.
func (s *Shared) Seen(ctx context.Context, m Message, at time.Time) (bool, error) {
	if seen, _ := s.local.Seen(ctx, m, at); seen {
		return true, nil
	}
	life := m.Until.Sub(at)
	if life < time.Millisecond {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	// One key a message, the signer in braces: a Cluster spreads signers.
	key := "rpn:rejeu:{" + string(m.Signer) + "}:" + hex.EncodeToString(m.Signature[:16])
	err := s.client.SetArgs(ctx, key, 1, redis.SetArgs{Mode: "NX", TTL: life}).Err()
	if err == redis.Nil { // the key was there: another instance saw the message
		return true, nil
	}
	return false, err
}
