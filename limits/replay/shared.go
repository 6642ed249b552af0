package replay

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/piano-roc/rpn/internal/redis"
	"github.com/piano-roc/rpn/internal/roc"
)

// Shared is a window that several instances share through Redis. Each also
// keeps its own Local, which answers most replays without asking Redis.
//
// Redis is neither trusted nor required: at most it can let a replay pass or,
// if an attacker writes to it, make a message look replayed. Without it the
// window fails open to Local, because the outage of a cache must not stop the
// billing of a country, and the error says so.
type Shared struct {
	local  *Local
	client *redis.Client
}

// NewShared makes a window over local and client. timeout bounds each question
// to Redis; 0 means 100 ms; while Redis is lost, none is asked. The caller closes
// client.
func NewShared(local *Local, client *redis.Client, timeout time.Duration) *Shared {
	if timeout <= 0 {
		timeout = 100 * time.Millisecond
	}
	return &Shared{local, client.Within(timeout)}
}

// Reserve asks Local, then Redis.
func (s *Shared) Reserve(ctx context.Context, m roc.Signed, at time.Time) (bool, error) {
	if seen, _ := s.local.Reserve(ctx, m, at); seen {
		return true, nil
	}
	life := m.Until.Sub(at)
	if life < time.Millisecond {
		return false, nil
	}
	first, err := s.client.SetNew(ctx, keyOf(m), []byte("1"), life)
	return err == nil && !first, err // the key existed: another instance saw the message
}

// Forget undoes a Reserve that returned false. If Redis cannot be asked, the other instances still
// treat the message as a replay until its life ends.
func (s *Shared) Forget(ctx context.Context, m roc.Signed) {
	s.local.Forget(ctx, m)
	_ = s.client.Del(context.WithoutCancel(ctx), keyOf(m)) // its own time-out bounds it; the owner of the connection logs a lost Redis
}

// keyOf is one key for each message, with the signer in braces: a Cluster
// spreads signers.
func keyOf(m roc.Signed) string {
	return "rejeu:{" + string(m.Signer) + "}:" + hex.EncodeToString(m.Signature[:16])
}
