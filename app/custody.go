package app

import (
	"context"
	"sync"
	"time"

	"github.com/piano-roc/rpn/app/handover"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/proxy"
	"github.com/piano-roc/rpn/register/attempts"
)

// A custody knows who writes in the state folder for the exchanges of this
// process: itself, or the process that has taken the folder over. While the
// folder changes hands they wait.
type custody struct {
	mu     sync.RWMutex // held to write while the folder changes hands
	keeper handover.Keeper

	open int // reservations of exchanges in flight; guarded by count
	lost int // of them, those that the new keeper has not; guarded by count

	count sync.Mutex
}

// change has move give the folder to somebody else, and its exchanges go on
// there. With an error nobody has it, and what is asked fails.
func (c *custody) change(move func() (handover.Keeper, error)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keeper = nobody{}
	k, err := move()
	if err != nil {
		return err
	}
	c.keeper = k
	c.count.Lock()
	defer c.count.Unlock()
	c.lost = 0
	for range c.open { // those in flight keep their room
		if kept, err := k.Reserve(); err != nil || !kept {
			c.lost++
		}
	}
	return nil
}

// Reserve implements proxy.Journal.
func (c *custody) Reserve() (bool, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	kept, err := c.keeper.Reserve()
	if kept {
		c.count.Lock()
		c.open++
		c.count.Unlock()
	}
	return kept, err
}

// Append implements proxy.Journal.
func (c *custody) Append(rec *roc.Record) (roc.Receipt, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.keeper.Append(rec)
}

// Amend implements proxy.Journal.
func (c *custody) Amend(rec *roc.Record, of roc.Receipt, abandoned, badAnswer bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	c.keeper.Amend(rec, of, abandoned, badAnswer)
}

// Release implements proxy.Journal.
func (c *custody) Release() {
	c.mu.RLock()
	defer c.mu.RUnlock()
	c.count.Lock()
	c.open--
	lost := c.lost > 0
	if lost {
		c.lost--
	}
	c.count.Unlock()
	if !lost {
		c.keeper.Release()
	}
}

// keep keeps an attempt in accrochage.
func (c *custody) keep(a attempts.Attempt) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	c.keeper.Keep(a)
}

// replays is the custody as proxy.Replays.
type replays struct{ *custody }

// Reserve implements proxy.Replays.
func (r replays) Reserve(ctx context.Context, m roc.Signed, at time.Time) (bool, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.keeper.Seen(ctx, m, at)
}

// Forget implements proxy.Replays.
func (r replays) Forget(ctx context.Context, m roc.Signed) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	r.keeper.Forget(ctx, m)
}

// ours is this process as the keeper of its own exchanges, and of those that the
// process before it ends.
type ours struct {
	journal proxy.Journal // nil: none
	replays proxy.Replays // nil: the policy does not look
	keepOne func(attempts.Attempt)
}

func (o ours) Reserve() (bool, error) {
	if o.journal == nil {
		return false, nil
	}
	return o.journal.Reserve()
}

func (o ours) Append(rec *roc.Record) (roc.Receipt, error) {
	if o.journal == nil {
		return roc.Receipt{}, nil
	}
	return o.journal.Append(rec)
}

func (o ours) Amend(rec *roc.Record, of roc.Receipt, abandoned, badAnswer bool) {
	if o.journal != nil {
		o.journal.Amend(rec, of, abandoned, badAnswer)
	}
}

func (o ours) Release() {
	if o.journal != nil {
		o.journal.Release()
	}
}

func (o ours) Seen(ctx context.Context, m roc.Signed, at time.Time) (bool, error) {
	if o.replays == nil {
		return false, nil
	}
	return o.replays.Reserve(ctx, m, at)
}

func (o ours) Forget(ctx context.Context, m roc.Signed) {
	if o.replays != nil {
		o.replays.Forget(ctx, m)
	}
}

func (o ours) Keep(a attempts.Attempt) {
	if o.keepOne != nil {
		o.keepOne(a)
	}
}

// nobody is who keeps once the folder was given away and nobody took it. It
// fails closed, but for replays, which fail open everywhere.
type nobody struct{}

func (nobody) Reserve() (bool, error)                     { return false, handover.ErrGone }
func (nobody) Append(*roc.Record) (roc.Receipt, error)    { return roc.Receipt{}, handover.ErrGone }
func (nobody) Amend(*roc.Record, roc.Receipt, bool, bool) {}
func (nobody) Release()                                   {}
func (nobody) Seen(context.Context, roc.Signed, time.Time) (bool, error) {
	return false, handover.ErrGone
}
func (nobody) Forget(context.Context, roc.Signed) {}
func (nobody) Keep(attempts.Attempt)              {}
