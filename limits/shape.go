package limits

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// queues are those of each establishment who wait for its credit, in their
// order. There is one only while somebody waits.
type queues struct {
	mu sync.Mutex // guards by, and the queues in it
	by map[queueKey]*queue
}

type queueKey struct {
	who  roc.StructureID
	kind credit
}

type queue struct {
	turns []*turn
	units int // that all of them want
}

type turn struct {
	units int
	next  chan struct{} // closed when nobody is before
}

// shape waits for n units, in the order of the establishment's own messages:
// what others send is of other credit. It refuses at once when so many wait
// already, or when the credit would come too late: after ShapeWait, or after the
// deadline of ctx. Every unit comes from the source, so that the bound of the
// source is that of shape.
func (r *Rates) shape(ctx context.Context, a account, n int, at time.Time) (wait time.Duration, ok bool) {
	begun := time.Now()
	patience := r.o.ShapeWait
	if end, stated := ctx.Deadline(); stated {
		patience = min(patience, end.Sub(begun))
	}
	key := queueKey{a.who, a.kind}
	if !r.waiting.any(key) {
		if wait, ok = r.source.take(ctx, a, n, at); ok {
			return 0, true
		}
	}
	t, late := r.waiting.join(key, n, r.o.ShapeQueue, func(ahead int) time.Duration {
		return max(wait, seconds(float64(ahead)/a.rate))
	}, patience-time.Since(begun))
	if t == nil {
		return max(late, time.Millisecond), false
	}
	defer r.waiting.leave(key, t)
	timer := time.NewTimer(patience - time.Since(begun))
	defer timer.Stop()
	select {
	case <-t.next:
	case <-timer.C:
		return max(wait, seconds(float64(n)/a.rate)), false
	case <-ctx.Done():
		return max(wait, seconds(float64(n)/a.rate)), false
	}
	for {
		spent := time.Since(begun)
		if wait, ok = r.source.take(ctx, a, n, at.Add(spent)); ok {
			return 0, true
		}
		if spent = time.Since(begun); spent+wait > patience || ctx.Err() != nil {
			return wait, false
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			return wait, false
		}
	}
}

func (q *queues) any(key queueKey) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.by[key] != nil
}

// join takes the last turn; none when so many have one, or when it would come
// later than left. expected is how long that is, by how many units are before.
func (q *queues) join(key queueKey, n, most int, expected func(ahead int) time.Duration, left time.Duration) (*turn, time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	mine := q.by[key]
	if mine == nil {
		mine = &queue{}
	}
	wait := expected(mine.units)
	if len(mine.turns) >= most || wait > left {
		return nil, wait
	}
	q.by[key] = mine
	t := &turn{n, make(chan struct{})}
	if len(mine.turns) == 0 {
		close(t.next)
	}
	mine.turns = append(mine.turns, t)
	mine.units += n
	return t, 0
}

func (q *queues) leave(key queueKey, t *turn) {
	q.mu.Lock()
	defer q.mu.Unlock()
	mine := q.by[key]
	i := slices.Index(mine.turns, t)
	mine.turns = slices.Delete(mine.turns, i, i+1)
	mine.units -= t.units
	switch {
	case len(mine.turns) == 0:
		delete(q.by, key)
	case i == 0:
		close(mine.turns[0].next)
	}
}

func seconds(s float64) time.Duration { return time.Duration(min(s, 3600) * float64(time.Second)) }
